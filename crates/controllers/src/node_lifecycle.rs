//! Says of a node that is not heard that nothing is known of it, taints nodes by their conditions, and forgets nodes of
//! former members.
//! Spec: <https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller>,
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions>.
//!
//! A node is alive if it is a member that is heard, or, as for a virtual kubelet, if its Lease is fresh. One whose control
//! process alone is silent is not ready, but its pods serve on and are left in peace as long as those of a node that says
//! itself that it is not ready. Leaves out eviction ([`crate::taint_eviction`]) and its rate.

mod conditions;
mod taints;

use api::{
    kinds::{
        lease::LEASE,
        node::NODE,
        pod::{NODE_INDEX, POD},
        read::text,
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Action, Change, Cluster, Controller, Event, Key, Kinds, Only, Patch, Plan, Target, View, Watch, change,
    view::{NODE_ID, Silence},
};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "node-lifecycle",
    account: "node-controller",
    watches: &[
        Watch { kinds: Kinds::One(&NODE), keys: change::itself },
        Watch { kinds: Kinds::One(&LEASE), keys: leases },
    ],
    facts,
    reconcile,
};

/// Silence before a member counts as not there. Gossip takes about two seconds to notice; together under 5 s.
const SILENCE: SignedDuration = SignedDuration::from_secs(2);

/// Age of a Lease before a node that is no member counts as not there: upstream's node-monitor-grace-period, rounded up.
const LEASE_GRACE: SignedDuration = SignedDuration::from_secs(50);

/// How far back a taint for silence is dated at most: what it takes to notice and to write it. A node that was silent for
/// longer was reachable until now, and its pods have all of their time.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_secs(5);

/// Where nodes' Leases are.
const LEASES: &str = "kube-node-lease";

fn facts(cluster: &Cluster, keys: &mut Vec<Key>) {
    keys.extend(cluster.members.iter().map(|member| Key::new("", &member.name)));
}

/// A Lease renewed wakes its node only where that is said to be gone; it looks again by itself otherwise.
fn leases(change: &dyn Change, keys: &mut Vec<Key>) {
    if change.namespace() == LEASES {
        keys.push(Key::new("", change.name()));
    }
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let Some(node) = view.get(&NODE, "", &key.name) else { return Plan::default() };
    if is_former(view.cluster(), &node) {
        let delete = Action::Delete { target: Target::of(&NODE, &node), only: Only::uid(&node), propagation: None };
        return Plan { actions: vec![delete], wake_at: None };
    }
    let (silent, wake_at) = match silent_at(view, &node) {
        Some(at) if at > now => (false, Some(at)),
        silent => (silent.is_some(), None),
    };
    let silence = view.cluster().member(&key.name).and_then(|member| member.silent);
    let reachable = silence.is_some_and(|silence| silence.reachable);
    let mut actions = Vec::new();
    if silent && let Some(unknown) = conditions::unknown(&node, now) {
        let patch = Patch::Merge(json!({ "status": { "conditions": unknown } }));
        actions.push(patched(&node, "status", patch));
        actions.push(told(&node));
    } else if let Some(wanted) = taints::wanted(&node, reachable, dated(silence, now)) {
        // The other of two writes to one object would meet a changed one: conditions first, taints in the run they cause.
        actions.push(patched(&node, "", Patch::Merge(json!({ "spec": { "taints": wanted } }))));
    }
    if silent && !reachable {
        actions.extend(view.by_index(&POD, NODE_INDEX, &key.name).filter_map(|pod| not_ready(&pod, now)));
    }
    Plan { actions, wake_at }
}

/// Whether the node's member has left or was removed.
fn is_former(cluster: &Cluster, node: &Value) -> bool {
    let id = meta::annotation(node, NODE_ID);
    id.is_some_and(|id| !cluster.members.is_empty() && !cluster.members.iter().any(|member| member.id == id))
}

/// From when on the node counts as not there; `None` while it is heard.
fn silent_at(view: &dyn View, node: &Value) -> Option<Timestamp> {
    if let Some(member) = view.cluster().member(meta::name(node)) {
        return member.silent.map(|silence| after(silence.since, SILENCE));
    }
    let lease = view.get(&LEASE, LEASES, meta::name(node))?;
    // A fresh one is looked at again when it is due to be stale.
    meta::parse_time(text(&lease, "/spec/renewTime")).map(|renewed| after(renewed, LEASE_GRACE))
}

/// The time of a new taint: of a silent node, when it fell silent.
fn dated(silence: Option<Silence>, now: Timestamp) -> Timestamp {
    silence.map_or(now, |silence| silence.since.clamp(after(now, -NOTICED_WITHIN), now))
}

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn patched(node: &Value, part: &'static str, patch: Patch) -> Action {
    Action::Patch { target: Target::of(&NODE, node), part, patch, only: Only::unchanged(node) }
}

fn told(node: &Value) -> Action {
    let message = format!("Node {} status is now: NodeNotReady", meta::name(node));
    Action::Event(Event { about: node.clone(), severity: "Normal", reason: "NodeNotReady", message })
}

/// A pod nobody can vouch for serves no traffic; its kubelet says otherwise when it is back.
fn not_ready(pod: &Value, now: Timestamp) -> Option<Action> {
    let conditions = conditions::not_ready(pod, now)?;
    let patch = Patch::Merge(json!({ "status": { "conditions": conditions } }));
    Some(Action::Patch { target: Target::of(&POD, pod), part: "status", patch, only: Only::unchanged(pod) })
}

#[cfg(test)]
mod tests;
