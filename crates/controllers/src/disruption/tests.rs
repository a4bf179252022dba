//! Budgets over a small world: what is allowed, what was evicted, and what cannot be worked out.

use super::*;
use crate::world::World;

/// A namespace with a deployment of three, its set, and the budget of its pods.
fn world(spec: Value, status: Value) -> World {
    let mut budget = json!({ "metadata": { "generation": 2 }, "spec": spec, "status": status });
    budget["spec"]["selector"] = json!({ "matchLabels": { "app": "a" } });
    let owner = |kind: &str, name: &str| json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": format!("u-{name}"), "controller": true }]);
    World::default()
        .with(&POD_DISRUPTION_BUDGET, "n", "b", budget)
        .with(&DEPLOYMENT, "n", "d", json!({ "spec": { "replicas": 3 } }))
        .with(
            &REPLICA_SET,
            "n",
            "s",
            json!({ "metadata": { "ownerReferences": owner("Deployment", "d") }, "spec": { "replicas": 2 } }),
        )
}

fn pod(ready: &str, owner: &str) -> Value {
    let reference = json!({ "apiVersion": "apps/v1", "kind": owner, "name": "s", "uid": "u-s", "controller": true });
    json!({
        "metadata": { "labels": { "app": "a" }, "ownerReferences": if owner.is_empty() { json!([]) } else { json!([reference]) } },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }] },
    })
}

fn three(world: World) -> World {
    let world = world.with(&POD, "n", "p", pod("True", "ReplicaSet")).with(&POD, "n", "q", pod("True", "ReplicaSet"));
    world.with(&POD, "n", "r", pod("True", "ReplicaSet"))
}

fn status(world: &World) -> Option<Value> {
    let plan = world.plan(&CONTROLLER, &Key::new("n", "b"));
    plan.actions.into_iter().find_map(|action| match action {
        Action::Update { part: "status", object, .. } => Some(object["status"].clone()),
        _ => None,
    })
}

/// Healthy, wanted healthy, expected, allowed.
fn check(world: &World, expect: [i64; 4]) {
    let status = status(world).expect("a status is written");
    let fields = ["currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed"];
    assert_eq!(fields.map(|field| status[field].as_i64().expect("a count")), expect, "{status}");
    assert_eq!(status["observedGeneration"], 2);
    let reason = if expect[3] > 0 { "SufficientPods" } else { "InsufficientPods" };
    assert_eq!(status["conditions"][0]["reason"], reason);
}

#[test]
fn bounds_are_numbers_or_shares_of_what_owners_want() {
    let with = |spec: Value| three(world(spec, json!({})));
    check(&with(json!({ "minAvailable": 2 })), [3, 2, 3, 1]);
    check(&with(json!({ "minAvailable": 5 })), [3, 5, 3, 0]);
    check(&with(json!({ "minAvailable": "50%" })), [3, 2, 3, 1]);
    check(&with(json!({ "maxUnavailable": 1 })), [3, 2, 3, 1]);
    check(&with(json!({ "maxUnavailable": "34%" })), [3, 1, 3, 2]);
    check(&with(json!({ "maxUnavailable": 9 })), [3, 0, 3, 3]);
    check(&with(json!({})), [3, 0, 0, 0]);
    let named = world(json!({ "maxUnavailable": 1 }), json!({}))
        .with(&STATEFUL_SET, "n", "s", json!({ "spec": { "replicas": 5 } }))
        .with(&POD, "n", "s-0", pod("True", "StatefulSet"));
    check(&named, [1, 4, 5, 0]);
    check(&world(json!({ "maxUnavailable": 1 }), json!({})), [0, 0, 0, 0]);
}

#[test]
fn pods_that_are_away_or_on_their_way_do_not_count() {
    let spec = || json!({ "minAvailable": 1 });
    check(&three(world(spec(), json!({}))).with(&POD, "n", "p", pod("False", "ReplicaSet")), [2, 1, 3, 1]);
    let mut dying = pod("True", "ReplicaSet");
    dying["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    check(&three(world(spec(), json!({}))).with(&POD, "n", "p", dying), [2, 1, 3, 1]);
    let evicted = json!({ "disruptedPods": { "p": "1970-01-01T00:00:00Z", "gone": "1970-01-01T00:00:00Z" } });
    let evicted = three(world(spec(), evicted));
    check(&evicted, [2, 1, 3, 1]);
    assert_eq!(status(&evicted).expect("one")["disruptedPods"], json!({ "p": "1970-01-01T00:00:00Z" }));
    assert_eq!(evicted.plan(&CONTROLLER, &Key::new("n", "b")).wake_at, Timestamp::from_second(120).ok());
    let late = evicted.at(120);
    check(&late, [3, 1, 3, 2]);
    let told = late.told(&CONTROLLER, &Key::new("n", "b"));
    assert!(told.contains(&"event NotDeleted: Pod was expected by PDB n/b to be deleted but it wasn't".to_owned()));
}

#[test]
fn what_cannot_be_worked_out_allows_nothing() {
    let failed = |world: World, why: &str| {
        let status = status(&world).expect("one");
        let condition = &status["conditions"][0];
        let told = (&status["disruptionsAllowed"], &condition["reason"], &condition["message"]);
        assert_eq!(told, (&json!(0), &json!("SyncFailed"), &json!(why)));
    };
    let share = || world(json!({ "maxUnavailable": 1 }), json!({}));
    let missing = share().without(&REPLICA_SET, "n", "s").with(&POD, "n", "p", pod("True", "ReplicaSet"));
    failed(missing, "found no controllers for pod \"p\"");
    failed(share().with(&POD, "n", "p", pod("True", "Widget")), "found no controllers for pod \"p\"");
    let alone = share().with(&POD, "n", "p", pod("True", ""));
    check(&alone, [1, 0, 0, 0]);
    assert!(alone.told(&CONTROLLER, &Key::new("n", "b")).iter().any(|one| one.starts_with("event UnmanagedPods")));
}

#[test]
fn a_status_that_is_right_is_left_alone() {
    let before = three(world(json!({ "minAvailable": 2 }), json!({})));
    let right = status(&before).expect("one");
    assert_eq!(status(&three(world(json!({ "minAvailable": 2 }), right))), None);
}

#[test]
fn a_target_that_lives_on_is_none() {
    let mut pod = pod("True", "ReplicaSet");
    pod["status"]["conditions"] = json!([{
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }]);
    let woken = World::keys(&CONTROLLER, &POD, "n", "p", None, Some(pod.clone()));
    assert_eq!(woken, [Key::new("n", "pod/p")]);
    let world = World::default().with(&POD, "n", "p", pod);
    let early = world.plan(&CONTROLLER, &woken[0]);
    assert_eq!((early.actions.len(), early.wake_at), (0, Timestamp::from_second(120).ok()));
    let told = world.at(120).told(&CONTROLLER, &woken[0]);
    assert!(told.len() == 1 && told[0].contains(r#""status":"False","type":"DisruptionTarget""#), "{told:?}");
}

#[test]
fn what_changes_a_count_wakes_the_budgets_concerned() {
    let world = world(json!({}), json!({}));
    let check = |old: Option<Value>, new: Option<Value>, expect: usize| {
        assert_eq!(world.woken(&CONTROLLER, &POD, "n", "p", old, new).len(), expect);
    };
    let of = |ready: &str| Some(pod(ready, "ReplicaSet"));
    check(None, of("True"), 1);
    check(of("True"), None, 1);
    check(of("False"), of("True"), 1);
    check(of("True"), of("True"), 0);
    let mut other = pod("True", "ReplicaSet");
    other["metadata"]["labels"] = json!({ "app": "b" });
    check(None, Some(other.clone()), 0);
    check(Some(other), of("True"), 1);
    let size = |replicas: i64| Some(json!({ "spec": { "replicas": replicas } }));
    assert_eq!(world.woken(&CONTROLLER, &DEPLOYMENT, "n", "d", size(1), size(2)).len(), 1);
    assert_eq!(world.woken(&CONTROLLER, &DEPLOYMENT, "n", "d", size(2), size(2)).len(), 0);
    assert_eq!(world.woken(&CONTROLLER, &STATEFUL_SET, "n", "d", size(1), size(2)).len(), 1);
}
