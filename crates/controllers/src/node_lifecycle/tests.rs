//! Tables of the node lifecycle: who is silent, which taints, whose Node goes.

use super::*;
use crate::{view::Member, world::World};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn member(silent_for: Option<i64>) -> Member {
    let silent =
        silent_for.map(|seconds| Silence { since: after(NOW, SignedDuration::from_secs(-seconds)), reachable: false });
    Member { id: "1".into(), name: "a".into(), api_addresses: Vec::new(), silent }
}

fn node(ready: &str) -> Value {
    json!({ "status": { "conditions": [{ "type": "Ready", "status": ready }] } })
}

fn pod() -> Value {
    json!({ "spec": { "nodeName": "a" }, "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })
}

/// What is done, one word each: the kind and part patched, or the action's first words.
fn check(world: &World, expect: &[&str]) -> Option<Timestamp> {
    let told = world.told(&CONTROLLER, &Key::new("", "a"));
    let starts = told.len() == expect.len() && told.iter().zip(expect).all(|(one, start)| one.starts_with(start));
    assert!(starts, "{told:?} instead of {expect:?}");
    world.plan(&CONTROLLER, &Key::new("", "a")).wake_at
}

#[test]
fn a_silent_member_is_unknown_and_its_pods_are_not_ready() {
    let world =
        |silent| World::default().member(member(silent)).with(&NODE, "", "a", node("True")).with(&POD, "n", "p", pod());
    assert_eq!(check(&world(None), &[]), None);
    assert_eq!(check(&world(Some(1)), &[]), Some(after(NOW, SignedDuration::from_secs(1))));
    check(&world(Some(3)), &["patch nodes a", "event NodeNotReady", "patch pods n/p"]);
}

#[test]
fn taints_follow_conditions_and_those_of_others_stay() {
    let tainted = |ready: &str, taints: Value| {
        let mut node = node(ready);
        node["spec"] = json!({ "taints": taints });
        World::default().member(member(None)).with(&NODE, "", "a", node)
    };
    check(&tainted("True", json!([])), &[]);
    let own = json!({ "key": "own", "effect": "NoExecute" });
    let gone =
        json!({ "key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z" });
    check(
        &tainted("True", json!([own, gone])),
        &[r#"patch nodes a {"spec":{"taints":[{"effect":"NoExecute","key":"own"}]}}"#],
    );
    let both = json!([own, { "key": "node.kubernetes.io/not-ready", "effect": "NoSchedule" },
        { "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" }]);
    check(&tainted("False", both), &[]);
    check(
        &tainted("Unknown", json!([])),
        &[r#"patch nodes a {"spec":{"taints":[{"effect":"NoSchedule","key":"node.kubernetes.io/unreachable""#],
    );
}

#[test]
fn a_silent_node_is_tainted_as_of_when_it_fell_silent() {
    let unknown = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
    let conditions = unknown.map(|name| json!({ "type": name, "status": "Unknown" }));
    let node = json!({ "status": { "conditions": conditions } });
    let check = |silent, expect: &str| {
        let world = World::default().member(member(Some(silent))).with(&NODE, "", "a", node.clone());
        let told = world.told(&CONTROLLER, &Key::new("", "a"));
        assert!(told.len() == 1 && told[0].contains(&format!("\"timeAdded\":\"1969-12-31T{expect}Z\"")), "{told:?}");
    };
    check(3, "23:59:57");
    // Reachable until now: nothing of its silence is counted but what it takes to notice.
    check(60, "23:59:55");
}

#[test]
fn the_node_of_a_former_member_goes_and_a_foreign_one_stays() {
    let node = |id: &str| json!({ "metadata": { "annotations": { NODE_ID: id } } });
    let world = |object| World::default().member(member(None)).with(&NODE, "", "a", object);
    check(&world(node("2")), &["delete nodes a"]);
    check(&world(node("1")), &[]);
    check(&world(json!({})), &[]);
    check(&World::default().with(&NODE, "", "a", node("2")), &[]);
}

#[test]
fn a_node_that_is_no_member_lives_by_its_lease() {
    let lease =
        |at: i64| json!({ "spec": { "renewTime": meta::micro_time(after(NOW, SignedDuration::from_secs(at))) } });
    let world = |at| World::default().with(&NODE, "", "a", node("True")).with(&LEASE, LEASES, "a", lease(at));
    assert_eq!(check(&world(-10), &[]), Some(after(NOW, SignedDuration::from_secs(40))));
    check(&world(-60), &["patch nodes a", "event NodeNotReady"]);
    check(&World::default().with(&NODE, "", "a", node("True")), &[]);
}

#[test]
fn pods_of_a_node_whose_control_process_alone_is_silent_serve_on() {
    let mut reachable = member(Some(60));
    reachable.silent = reachable.silent.map(|silence| Silence { reachable: true, ..silence });
    let world =
        |node| World::default().member(reachable.clone()).with(&NODE, "", "a", node).with(&POD, "n", "p", pod());
    check(&world(node("True")), &["patch nodes a", "event NodeNotReady"]);
    let unknown = |name| json!({ "type": name, "status": "Unknown" });
    let conditions = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"].map(unknown);
    let told = json!({ "status": { "conditions": conditions } });
    check(
        &world(told),
        &[r#"patch nodes a {"spec":{"taints":[{"effect":"NoSchedule","key":"node.kubernetes.io/not-ready""#],
    );
}
