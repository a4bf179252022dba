//! What a ReplicaSet wants done, as tables.

use serde_json::{Value, json};

use super::*;
use crate::world::World;

const TEMPLATE: &str = r#"{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c"}]}}"#;

fn set(replicas: i64) -> Value {
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    let spec = json!({ "replicas": replicas, "selector": { "matchLabels": { "app": "x" } }, "template": template });
    json!({ "metadata": { "generation": 1 }, "spec": spec, "status": { "observedGeneration": 1 } })
}

fn owner() -> Value {
    json!([{ "kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "web", "uid": "u-web", "controller": true }])
}

/// A pod of the set with a change of its status.
fn pod(status: Value) -> Value {
    json!({ "metadata": { "labels": { "app": "x" }, "ownerReferences": owner() }, "status": status })
}

fn ready(since: &str) -> Value {
    let condition = json!({ "type": "Ready", "status": "True", "lastTransitionTime": since });
    json!({ "phase": "Running", "conditions": [condition] })
}

fn key() -> Key {
    Key::new("n", "web")
}

/// The first words of what is wanted, names of made pods left out.
fn check(world: &World, expect: &[&str]) {
    let told = world.told(&CONTROLLER, &key());
    let short = |text: &String| match text.split(' ').collect::<Vec<_>>().as_slice() {
        ["create", "pods", ..] => "create pod".to_owned(),
        ["event", "SuccessfulCreate:", ..] => "event SuccessfulCreate".to_owned(),
        ["update", ..] => "status".to_owned(),
        _ => text.clone(),
    };
    let mut told: Vec<String> = told.iter().map(short).collect();
    told.retain(|text| text != "status");
    assert_eq!(told, expect);
}

#[test]
fn batches_double_and_a_failure_makes_them_small() {
    let world = |there: usize| {
        let all = World::default().with(&REPLICA_SET, "n", "web", set(9));
        (0..there).fold(all, |all, at| all.with(&POD, "n", &format!("p{at}"), pod(json!({}))))
    };
    for (there, made) in [(0, 1), (1, 2), (3, 4), (7, 2), (9, 0)] {
        let told = world(there).told(&CONTROLLER, &key());
        assert_eq!(told.iter().filter(|one| one.starts_with("create pods n/web-")).count(), made, "{there}");
    }
    let refused = "pods \"web-\" is forbidden: exceeded quota";
    let world = world(3).failed(refused);
    let failed = format!("event FailedCreate: Error creating: {refused}");
    check(&world, &["create pod", "event SuccessfulCreate", &failed]);
    let Action::Update { object, .. } = world.plan(&CONTROLLER, &key()).actions.pop().unwrap() else {
        panic!("status")
    };
    let condition = &object["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("ReplicaFailure"), &json!("FailedCreate")));
    assert_eq!(condition["message"], refused);
}

#[test]
fn pods_that_cost_least_go_first() {
    let bound = |mut pod: Value, node: &str| {
        pod["spec"]["nodeName"] = node.into();
        pod
    };
    let priced = |cost: &str| {
        let mut pod = bound(pod(ready("1970-01-01T00:00:00Z")), "z");
        pod["metadata"]["annotations"] = json!({ "controller.kubernetes.io/pod-deletion-cost": cost });
        pod
    };
    let long = || pod(ready("1970-01-01T00:00:00Z"));
    let pods = [
        ("a-not-bound", pod(json!({ "phase": "Pending" }))),
        ("b-pending", bound(pod(json!({ "phase": "Pending" })), "x")),
        ("c-not-ready", bound(pod(json!({ "phase": "Running" })), "x")),
        ("d-cheap", priced("-5")),
        ("e-crowded", bound(long(), "x")),
        ("f-young", bound(pod(ready("1970-01-01T01:00:00Z")), "y")),
        ("g-old", bound(long(), "w")),
        ("h-dear", priced("5")),
    ];
    for surplus in 1..pods.len() {
        let wanted = i64::try_from(pods.len() - surplus).unwrap();
        let world = World::default().at(7200).with(&REPLICA_SET, "n", "web", set(wanted));
        let world = pods.iter().fold(world, |world, (name, pod)| world.with(&POD, "n", name, pod.clone()));
        let told = world.told(&CONTROLLER, &key());
        let gone: Vec<&str> = told.iter().filter_map(|one| one.strip_prefix("delete pods n/")).map(str::trim).collect();
        let expect: Vec<&str> = pods[..surplus].iter().map(|(name, _)| *name).collect();
        assert_eq!(gone, expect);
        assert!(told.contains(&format!("event SuccessfulDelete: Deleted pod: {}", pods[0].0)));
    }
}

#[test]
fn orphans_are_adopted_and_strangers_let_go() {
    let orphan = || json!({ "metadata": { "labels": { "app": "x" } } });
    let adopted = r#"patch pods n/p {"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"ReplicaSet","name":"web","uid":"u-web"}]}}"#;
    let mut new = set(1);
    new["status"] = json!({ "replicas": 0 });
    check(&World::default().with(&REPLICA_SET, "n", "web", new.clone()).with(&POD, "n", "p", orphan()), &[adopted]);
    let world = World::default().with(&REPLICA_SET, "n", "web", set(1)).with(&POD, "n", "p", orphan());
    assert_eq!(world.told(&CONTROLLER, &Key::new("n", "orphan/p")), [adopted]);
    let mut stranger = pod(json!({}));
    stranger["metadata"]["labels"] = json!({ "app": "y" });
    let released = r#"patch pods n/p {"metadata":{"ownerReferences":null}}"#;
    let world = World::default().with(&REPLICA_SET, "n", "web", set(0)).with(&POD, "n", "p", stranger);
    check(&world, &[released]);
    new["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    check(&World::default().with(&REPLICA_SET, "n", "web", new).with(&POD, "n", "p", orphan()), &[]);
}

#[test]
fn the_status_counts() {
    let mut owner = set(4);
    owner["spec"]["minReadySeconds"] = 10.into();
    let dying = {
        let mut pod = pod(ready("1970-01-01T00:00:00Z"));
        pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
        pod
    };
    let world = World::default()
        .at(15)
        .with(&REPLICA_SET, "n", "web", owner)
        .with(&POD, "n", "available", pod(ready("1970-01-01T00:00:00Z")))
        .with(&POD, "n", "ready", pod(ready("1970-01-01T00:00:10Z")))
        .with(&POD, "n", "starting", pod(json!({ "phase": "Pending" })))
        .with(&POD, "n", "failed", pod(json!({ "phase": "Failed" })))
        .with(&POD, "n", "dying", dying);
    let plan = world.plan(&CONTROLLER, &key());
    let Some(Action::Update { object, part: "status", .. }) = plan.actions.last() else { panic!("status") };
    let expect = json!({
        "replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 2, "availableReplicas": 1, "terminatingReplicas": 1,
        "observedGeneration": 1,
    });
    assert_eq!(object["status"], expect);
    assert_eq!(plan.wake_at, Timestamp::from_second(20).ok(), "when the second pod is available");
}

#[test]
fn pods_wake_their_set() {
    let check = |old: Option<Value>, new: Option<Value>, expect: &[&str]| {
        let keys = World::keys(&CONTROLLER, &POD, "n", "p", old, new);
        assert_eq!(keys, expect.iter().map(|name| Key::new("n", *name)).collect::<Vec<_>>());
    };
    let orphan = || json!({ "metadata": { "labels": { "app": "x" } } });
    check(None, Some(pod(json!({}))), &["web"]);
    check(Some(pod(json!({}))), None, &["web"]);
    check(Some(pod(json!({}))), Some(orphan()), &["web", "orphan/p"]);
    check(None, Some(orphan()), &["orphan/p"]);
    check(Some(orphan()), Some(orphan()), &[]);
}

#[test]
fn a_replication_controller_keeps_its_pods_and_leaves_others_theirs() {
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    let spec = json!({ "replicas": 2, "selector": { "app": "x" }, "template": template });
    let controller = json!({ "metadata": { "generation": 1 }, "spec": spec, "status": { "observedGeneration": 1 } });
    let own = json!([{ "kind": "ReplicationController", "apiVersion": "v1", "name": "web", "uid": "u-web", "controller": true }]);
    let pod = json!({ "metadata": { "labels": { "app": "x" }, "ownerReferences": own } });
    let world = World::default().with(&REPLICATION_CONTROLLER, "n", "web", controller).with(&POD, "n", "p", pod);
    let told = world.told(&REPLICATION, &key());
    assert!(told[0].starts_with("create pods n/web-"), "{told:?}");
    let status = told.iter().find(|one| one.starts_with("update")).expect("a status");
    assert!(!status.contains("terminatingReplicas"), "{status}");
    assert_eq!(world.told(&CONTROLLER, &key()), Vec::<String>::new(), "a ReplicaSet's controller has no part in it");
}
