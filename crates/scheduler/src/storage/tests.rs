//! Placements of pods with claims: the node and what is chosen, or the words of a refusal.

use serde_json::{Value, json};

use super::*;
use crate::{ClusterSnapshot, Node, Pod, place, tests::merge};

/// Nodes `a` and `b`, a class that waits and one that also provisions.
fn cluster() -> ClusterSnapshot {
    let mut snapshot = ClusterSnapshot::default();
    for name in ["a", "b"] {
        let labels = json!({ "kubernetes.io/hostname": name });
        let allocatable = json!({ "cpu": "2", "memory": "4Gi", "pods": "10" });
        let node = json!({ "metadata": { "name": name, "labels": labels }, "status": { "allocatable": allocatable } });
        snapshot.set_node(Node::read(&node).unwrap());
    }
    let class = |provisioner: &str, more: Value| {
        let mut class = json!({ "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer" });
        class["allowedTopologies"] = more;
        class
    };
    let on_b = json!([{ "matchLabelExpressions": [{ "key": "kubernetes.io/hostname", "values": ["b"] }] }]);
    snapshot.storage.set_class("wait", Some(&class("kubernetes.io/no-provisioner", json!([]))));
    snapshot.storage.set_class("make", Some(&class("example.com/x", json!([]))));
    snapshot.storage.set_class("make-on-b", Some(&class("example.com/x", on_b)));
    snapshot
}

fn claim(class: &str, size: &str, change: &Value) -> Value {
    let mut claim = json!({
        "metadata": { "name": "c", "namespace": "n", "uid": "c", "annotations": {} },
        "spec": { "storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
    });
    merge(&mut claim, change);
    claim
}

fn volume(name: &str, size: &str, node: &str, change: &Value) -> Value {
    let on = json!([{ "key": "kubernetes.io/hostname", "operator": "In", "values": [node] }]);
    let terms = json!([{ "matchExpressions": on }]);
    let mut volume = json!({
        "metadata": { "name": name }, "status": { "phase": "Available" },
        "spec": { "storageClassName": "wait", "capacity": { "storage": size }, "accessModes": ["ReadWriteOnce"],
            "nodeAffinity": { "required": { "nodeSelectorTerms": terms } } },
    });
    merge(&mut volume, change);
    volume
}

fn bound(node: &str) -> (Value, Value) {
    let claim = json!({ "metadata": { "annotations": { (BIND_COMPLETED): "yes" } }, "spec": { "volumeName": "v" } });
    (self::claim("wait", "1", &claim), volume("v", "1", node, &json!({ "status": { "phase": "Bound" } })))
}

fn pod() -> Pod {
    let volumes = json!([{ "name": "v", "persistentVolumeClaim": { "claimName": "c" } }]);
    let metadata = json!({ "name": "p", "namespace": "n", "uid": "p" });
    Pod::read(&json!({ "metadata": metadata, "spec": { "volumes": volumes } })).unwrap()
}

/// Checks where the pod goes and what is chosen first (`volume v` or `make`), or why it goes nowhere.
fn check(claim: Option<Value>, volumes: &[Value], expect: &str) {
    let mut snapshot = cluster();
    snapshot.storage.set_claim("n/c", claim);
    volumes.iter().for_each(|one| snapshot.storage.set_volume(meta::name(one), Some(one.clone())));
    assert_eq!(told(&snapshot), expect);
}

fn told(snapshot: &ClusterSnapshot) -> String {
    let found = match place(&pod(), snapshot) {
        Ok(found) => found,
        Err(why) => return why.everywhere.unwrap_or_else(|| format!("{:?}", why.reasons)),
    };
    let mut choices = found.choices.iter().map(|choice| match choice {
        Choice::Bind { volume, .. } => format!("{}: volume {volume}", found.node),
        Choice::Provision { .. } => format!("{}: make", found.node),
    });
    choices.next_back().unwrap_or(found.node)
}

#[test]
fn a_pod_goes_where_its_volume_is() {
    for node in ["a", "b"] {
        let (claim, volume) = bound(node);
        check(Some(claim), &[volume], node);
    }
    let (claim, volume) = bound("c");
    check(Some(claim.clone()), &[volume], "{\"node(s) didn't match PersistentVolume's node affinity\": 2}");
    check(Some(claim), &[], "{\"node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)\": 2}");
}

#[test]
fn what_is_wrong_with_a_claim_is_said() {
    check(None, &[], "persistentvolumeclaim \"c\" not found");
    let lost = json!({ "spec": { "volumeName": "v" }, "status": { "phase": "Lost" } });
    check(
        Some(claim("wait", "1", &lost)),
        &[],
        "persistentvolumeclaim \"c\" bound to non-existent persistentvolume \"v\"",
    );
    let deleted = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    check(Some(claim("wait", "1", &deleted)), &[], "persistentvolumeclaim \"c\" is being deleted");
    let none = json!({});
    check(Some(claim("immediate", "1", &none)), &[], "pod has unbound immediate PersistentVolumeClaims");
    check(Some(claim("wait", "1", &none)), &[], "{\"node(s) didn't find available persistent volumes to bind\": 2}");
}

#[test]
fn a_claim_that_waits_gets_the_smallest_volume_of_a_node() {
    let none = json!({});
    let all = [volume("big", "3Gi", "a", &none), volume("fits", "2Gi", "a", &none), volume("small", "1Gi", "b", &none)];
    check(Some(claim("wait", "2Gi", &none)), &all, "a: volume fits");
    check(Some(claim("wait", "1Gi", &none)), &all[2..], "b: volume small");
    let other = json!({ "spec": { "claimRef": { "namespace": "n", "name": "other" } } });
    let mine = json!({ "spec": { "claimRef": { "namespace": "n", "name": "c" } } });
    let chosen = [volume("taken", "1Gi", "a", &other), volume("mine", "5Gi", "b", &mine)];
    check(Some(claim("wait", "1Gi", &none)), &chosen, "b: volume mine");
}

#[test]
fn a_volume_is_made_where_the_class_allows_it_and_only_once() {
    let none = json!({});
    check(Some(claim("make-on-b", "1Gi", &none)), &[], "b: make");
    let on_a = json!({ "metadata": { "annotations": { (SELECTED_NODE): "a" } } });
    check(Some(claim("make", "1Gi", &on_a)), &[], "a: make");
    check(
        Some(claim("make-on-b", "1Gi", &json!({ "metadata": { "annotations": { (SELECTED_NODE): "gone" } } }))),
        &[],
        "{\"node(s) didn't find available persistent volumes to bind\": 2}",
    );
}

#[test]
fn what_is_promised_is_not_given_twice() {
    let mut snapshot = cluster();
    snapshot.storage.set_claim("n/c", Some(claim("wait", "1Gi", &json!({}))));
    snapshot.storage.set_volume("v", Some(volume("v", "1Gi", "a", &json!({}))));
    let taken = Choice::Bind { claim: "n/other".into(), volume: "v".into() };
    assert!(snapshot.storage.promise(&taken, "a"));
    assert_eq!(told(&snapshot), "{\"node(s) didn't find available persistent volumes to bind\": 2}");
    snapshot.storage.forget(&taken);
    assert_eq!(told(&snapshot), "a: volume v");
}

#[test]
fn pods_that_share_a_claim_share_what_is_chosen() {
    let mut snapshot = cluster();
    snapshot.storage.set_claim("n/c", Some(claim("wait", "1Gi", &json!({}))));
    for (name, node) in [("u", "a"), ("v", "b"), ("w", "b")] {
        snapshot.storage.set_volume(name, Some(volume(name, "1Gi", node, &json!({}))));
    }
    let chosen = Choice::Bind { claim: "n/c".into(), volume: "w".into() };
    assert!(snapshot.storage.promise(&chosen, "b"));
    assert_eq!(told(&snapshot), "b: volume w");
    assert!(!snapshot.storage.promise(&chosen, "b"), "it is written once");
    snapshot.storage.forget(&chosen);
    assert_eq!(told(&snapshot), "b: volume w");
    snapshot.storage.forget(&chosen);
    assert_ne!(told(&snapshot), "b: volume w");
    snapshot.storage.set_claim("n/c", Some(claim("make", "1Gi", &json!({}))));
    for node in ["a", "b"] {
        let make = json!({ "spec": { "storageClassName": "make" } });
        snapshot.storage.set_volume("w", Some(volume("w", "1Gi", node, &make)));
        snapshot.storage.promise(&chosen, node);
        assert_eq!(told(&snapshot), format!("{node}: volume w"), "no second one is made");
        snapshot.storage.forget(&chosen);
    }
    snapshot.storage.set_volume("w", None);
    let made = Choice::Provision { claim: "n/c".into() };
    for node in ["a", "b"] {
        snapshot.storage.promise(&made, node);
        assert_eq!(told(&snapshot), format!("{node}: make"));
        snapshot.storage.forget(&made);
    }
}

#[test]
fn one_pod_alone_uses_a_claim_that_says_so() {
    let mut snapshot = cluster();
    let (mut claim, volume) = bound("a");
    snapshot.storage.set_volume("v", Some(volume));
    snapshot.set_pod(Pod { name: "other".into(), node: "a".into(), ..pod() });
    snapshot.storage.set_claim("n/c", Some(claim.clone()));
    assert_eq!(told(&snapshot), "a");
    claim["spec"]["accessModes"] = json!(["ReadWriteOncePod"]);
    snapshot.storage.set_claim("n/c", Some(claim));
    let words = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    assert_eq!(told(&snapshot), format!("{{\"{words}\": 2}}"));
    snapshot.remove_pod("n/other");
    assert_eq!(told(&snapshot), "a");
}
