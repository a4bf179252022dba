//! Taints that follow from a node's conditions.
//! Spec: <https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-not-ready>.

use api::{
    kinds::read::{is_true, items, text},
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Condition, its status, and the taint that keeps new pods away then.
const BY_CONDITION: &[(&str, &str, &str)] = &[
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];

/// Taints that also drive pods away.
const EVICTING: [&str; 2] = [NOT_READY, UNREACHABLE];

/// The node's taints as they should be; `None` where they are so. Those of others stay as they are. A node that says nothing
/// while its data plane is reachable is not ready rather than unreachable. New taints are dated `since`: of a silent node that
/// is when it fell silent, so that what pods tolerate is counted from there and not from when it was written down.
pub(super) fn wanted(node: &Value, reachable: bool, since: Timestamp) -> Option<Vec<Value>> {
    let present = items(node, "/spec/taints");
    let mut wanted: Vec<Value> = present.iter().filter(|taint| !is_ours(taint)).cloned().collect();
    for (key, effect) in due(node, reachable) {
        let same = |taint: &&Value| text(taint, "/key") == key && text(taint, "/effect") == effect;
        let kept = present.iter().find(same).cloned();
        wanted.push(kept.unwrap_or_else(|| json!({ "key": key, "effect": effect, "timeAdded": meta::time(since) })));
    }
    let missing = |of: &[Value], other: &[Value]| of.iter().any(|taint| !other.contains(taint));
    (missing(&wanted, present) || missing(present, &wanted)).then_some(wanted)
}

/// Keys and effects that the node's state asks for.
fn due(node: &Value, reachable: bool) -> Vec<(&'static str, &'static str)> {
    let says = |name: &str, status: &str| {
        let conditions = items(node, "/status/conditions").iter();
        conditions.into_iter().any(|one| text(one, "/type") == name && text(one, "/status") == status)
    };
    let milder = |key| if reachable && key == UNREACHABLE { NOT_READY } else { key };
    let told = BY_CONDITION.iter().filter(|(name, status, _)| says(name, status)).map(|(_, _, key)| milder(*key));
    let keys: Vec<&str> = told.chain(is_true(node, "/spec/unschedulable").then_some(UNSCHEDULABLE)).collect();
    let evicting = keys.iter().filter(|key| EVICTING.contains(key)).map(|key| (*key, "NoExecute"));
    keys.iter().map(|key| (*key, "NoSchedule")).chain(evicting).collect()
}

/// Whether this controller gives and takes the taint.
fn is_ours(taint: &Value) -> bool {
    let (key, effect) = (text(taint, "/key"), text(taint, "/effect"));
    let known = BY_CONDITION.iter().any(|(_, _, ours)| *ours == key) || key == UNSCHEDULABLE;
    known && (effect == "NoSchedule" || (effect == "NoExecute" && EVICTING.contains(&key)))
}
