//! Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.
//!
//! A pod of an unreachable node is only marked: it is gone once its kubelet says so. Leaves out the rate of evictions.

mod tolerance;

use api::{
    kinds::{
        node::NODE,
        pod::{NODE_INDEX, POD},
        read::{items, text},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tolerance::Tolerance;

use crate::{Action, Change, Cluster, Controller, Event, Key, Kinds, Only, Patch, Plan, Target, View, Watch, change};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "taint-eviction",
    account: "node-controller",
    watches: &[Watch { kinds: Kinds::One(&NODE), keys: change::itself }, Watch { kinds: Kinds::One(&POD), keys: pods }],
    facts,
    reconcile,
};

/// The taint of a node that is not heard.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// A node's key decides about all its pods.
fn pods(change: &dyn Change, keys: &mut Vec<Key>) {
    let node = change.after().map(|pod| text(&pod, "/spec/nodeName").to_owned()).unwrap_or_default();
    if !node.is_empty() {
        keys.push(Key::new("", node));
    }
}

fn facts(cluster: &Cluster, keys: &mut Vec<Key>) {
    keys.extend(cluster.members.iter().map(|member| Key::new("", &member.name)));
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let Some(node) = view.get(&NODE, "", &key.name) else { return Plan::default() };
    let taints: Vec<&Value> = items(&node, "/spec/taints").iter().filter(|taint| evicts(view, key, taint)).collect();
    let mut plan = Plan::default();
    if taints.is_empty() {
        return plan;
    }
    for pod in view.by_index(&POD, NODE_INDEX, &key.name).filter(|pod| !meta::is_being_deleted(pod)) {
        match Tolerance::of(&pod, &taints) {
            Tolerance::Forever => {}
            Tolerance::Until(at) => {
                let at = at.max(heard_until(view, key, &pod, &taints));
                if at <= now {
                    plan.actions.extend(evict(&pod, now));
                } else {
                    plan.wake_at = Some(plan.wake_at.map_or(at, |wake: Timestamp| wake.min(at)));
                }
            }
        }
    }
    plan
}

/// A taint for silence counts only while this leader does not hear the node either.
fn evicts(view: &dyn View, key: &Key, taint: &Value) -> bool {
    let heard = view.cluster().member(&key.name).is_some_and(|member| member.silent.is_none());
    text(taint, "/effect") == "NoExecute" && !(heard && text(taint, "/key") == UNREACHABLE)
}

/// The earliest time to act on silence, by this leader's own measure: `timeAdded` is another clock's, which may be wrong.
fn heard_until(view: &dyn View, key: &Key, pod: &Value, taints: &[&Value]) -> Timestamp {
    let silence = view.cluster().member(&key.name).and_then(|member| member.silent);
    match (silence, Tolerance::wait(pod, taints)) {
        (Some(silence), Some(wait)) => silence.since.checked_add(wait).unwrap_or(Timestamp::MAX),
        _ => Timestamp::MIN,
    }
}

fn evict(pod: &Value, now: Timestamp) -> [Action; 3] {
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": meta::time(now),
    });
    let add = Patch::Json(json!([{ "op": "add", "path": "/status/conditions/-", "value": condition }]));
    let target = || Target::of(&POD, pod);
    let message = format!("Marking for deletion Pod {}/{}", meta::namespace(pod), meta::name(pod));
    [
        Action::Event(Event { about: pod.clone(), severity: "Normal", reason: "TaintManagerEviction", message }),
        Action::Patch { target: target(), part: "status", patch: add, only: Only::uid(pod) },
        Action::Delete { target: target(), only: Only::uid(pod), propagation: None },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        view::{Member, Silence},
        world::World,
    };

    fn world(taint: Value, tolerations: Value, silent: Option<i64>) -> World {
        let silent = silent.map(|at| Silence { since: Timestamp::from_second(at).unwrap(), reachable: false });
        let member = Member { id: "1".into(), name: "a".into(), api_addresses: Vec::new(), silent };
        World::default().member(member).with(&NODE, "", "a", json!({ "spec": { "taints": [taint] } })).with(
            &POD,
            "n",
            "p",
            json!({ "spec": { "nodeName": "a", "tolerations": tolerations } }),
        )
    }

    fn check(world: &World, evicted: bool, wake: Option<i64>) {
        let plan = world.plan(&CONTROLLER, &Key::new("", "a"));
        assert_eq!(
            (plan.actions.len(), plan.wake_at),
            (if evicted { 3 } else { 0 }, wake.map(|at| Timestamp::from_second(at).unwrap()))
        );
    }

    fn taint(key: &str, effect: &str) -> Value {
        json!({ "key": key, "effect": effect, "timeAdded": "1969-12-31T23:59:55Z" })
    }

    #[test]
    fn pods_go_when_their_toleration_ends() {
        let exists = |seconds: Value| json!([{ "key": "k", "operator": "Exists", "tolerationSeconds": seconds }]);
        let own = || taint("k", "NoExecute");
        check(&world(own(), json!([]), None), true, None);
        check(&world(taint("k", "NoSchedule"), json!([]), None), false, None);
        check(&world(own(), exists(Value::Null), None), false, None);
        check(&world(own(), exists(json!(8)), None), false, Some(3));
        check(&world(own(), exists(json!(5)), None), true, None);
        check(&world(own(), json!([{ "key": "other", "operator": "Exists" }]), None), true, None);
    }

    #[test]
    fn silence_counts_only_as_long_as_this_leader_heard_nothing() {
        let unreachable = || taint(UNREACHABLE, "NoExecute");
        let ten = json!([{ "key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5 }]);
        check(&world(unreachable(), ten.clone(), Some(-5)), true, None);
        check(&world(unreachable(), ten.clone(), Some(-1)), false, Some(4));
        check(&world(unreachable(), ten, None), false, None);
    }
}
