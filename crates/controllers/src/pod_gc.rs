//! Removes pods that nobody else will: of nodes that are gone or off, and ended ones beyond a number.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection>.
//!
//! A node is gone when its Node object is and no member has its name: a member makes its Node object anew. Pods without a
//! node need no care, since the API ends them at once.

use api::{
    kinds::{
        node::NODE,
        pod::{self, Condition, NODE_INDEX, POD, is_terminal},
        read::{items, text},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Patch, Plan, Target, View, Watch, change, view::Object,
    workload::sooner,
};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "pod-garbage-collector",
    account: "pod-garbage-collector",
    watches: &[Watch { kinds: Kinds::One(&NODE), keys: of_nodes }, Watch { kinds: Kinds::One(&POD), keys: of_pods }],
    facts: change::no_facts,
    reconcile,
};

/// How long a node may be missing before its pods go, as upstream.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);

/// Ended pods that are kept for people to look at, as upstream.
const ENDED_MAX: usize = 12_500;

/// Pods removed in one run at most.
const BURST: usize = 500;

/// The key that stands for all ended pods; no node's name has it.
const ENDED: &str = "ended/";

/// The taint by which a person says that a machine is off.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

fn of_nodes(change: &dyn Change, keys: &mut Vec<Key>) {
    keys.push(Key::new("", change.name()));
}

/// A pod concerns the decision about its node, and, once ended, that about all ended ones.
fn of_pods(change: &dyn Change, keys: &mut Vec<Key>) {
    let Some(pod) = change.after() else { return };
    if meta::is_being_deleted(&pod) || change.before().is_none() || is_terminal(&pod) {
        keys.push(Key::new("", text(&pod, "/spec/nodeName")));
    }
    if is_terminal(&pod) {
        keys.push(Key::new("", ENDED));
    }
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    match key.name.as_str() {
        ENDED => Plan { actions: ended(view), wake_at: None },
        "" => Plan::default(),
        node => match view.get(&NODE, "", node) {
            Some(object) => Plan { actions: off(view, &object), wake_at: None },
            None if is_gone(view, node) => orphaned(view, node, now),
            None => Plan::default(),
        },
    }
}

/// The machine is off, as a person says: what was to end there has ended.
fn off(view: &dyn View, node: &Value) -> Vec<Action> {
    let says = |key: &str| items(node, "/spec/taints").iter().any(|taint| text(taint, "/key") == key);
    let ready = items(node, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
    let is_ready = ready.is_some_and(|ready| text(ready, "/status") == "True");
    if is_ready || !says(OUT_OF_SERVICE) {
        return Vec::new();
    }
    let pods = view.by_index(&POD, NODE_INDEX, meta::name(node)).filter(|pod| meta::is_being_deleted(pod));
    pods.take(BURST).map(|pod| remove(&pod)).collect()
}

/// Who the members are has to be known: to guess would cost pods that run.
fn is_gone(view: &dyn View, node: &str) -> bool {
    let cluster = view.cluster();
    !cluster.members.is_empty() && cluster.member(node).is_none()
}

/// Pods of a node that is gone: first they are told to have failed, then removed.
fn orphaned(view: &dyn View, node: &str, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for pod in view.by_index(&POD, NODE_INDEX, node).take(BURST) {
        if is_terminal(&pod) && condition(&pod).is_some() {
            plan.actions.push(remove(&pod));
            continue;
        }
        let at = seen_without_node(&pod, now);
        if at <= now {
            plan.actions.push(if is_terminal(&pod) { remove(&pod) } else { failed(&pod, now) });
        } else {
            plan.wake_at = sooner(plan.wake_at, Some(at));
        }
    }
    plan
}

/// When a pod's node has been missing for long enough. Nothing remembers when a Node object went, so the wait starts with
/// what the pod itself knows last: its deletion, else its own age.
fn seen_without_node(pod: &Value, now: Timestamp) -> Timestamp {
    let times = [meta::deletion_timestamp(pod), meta::creation_timestamp(pod)];
    let since = times.into_iter().find_map(meta::parse_time).unwrap_or(now);
    since.saturating_add(QUARANTINE).unwrap_or(now)
}

fn condition(pod: &Value) -> Option<&Value> {
    items(pod, "/status/conditions").iter().find(|one| text(one, "/type") == "DisruptionTarget")
}

fn failed(pod: &Value, now: Timestamp) -> Action {
    let mut changed = pod.clone();
    let message = "PodGC: node no longer exists";
    let disrupted = Condition { r#type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", message };
    pod::set_condition(&mut changed, disrupted, now);
    let conditions = changed.pointer("/status/conditions").cloned();
    Action::Patch {
        target: Target::of(&POD, pod),
        part: "status",
        patch: Patch::Merge(json!({ "status": { "phase": "Failed", "conditions": conditions } })),
        only: Only::unchanged(pod),
    }
}

/// The oldest ended pods beyond the number; evicted ones first.
fn ended(view: &dyn View) -> Vec<Action> {
    let mut all: Vec<Object> = view.list(&POD, "").filter(|pod| is_terminal(pod)).collect();
    let surplus = all.len().saturating_sub(ENDED_MAX).min(BURST);
    let evicted = |pod: &Value| text(pod, "/status/reason") == "Evicted";
    all.sort_by_cached_key(|pod| (!evicted(pod), meta::creation_timestamp(pod).to_owned(), meta::name(pod).to_owned()));
    all.iter().take(surplus).map(|pod| remove(pod)).collect()
}

/// Now, whatever grace it has: nobody is left to use it.
fn remove(pod: &Value) -> Action {
    Action::Remove { target: Target::of(&POD, pod), only: Only::uid(pod) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{view::Member, world::World};

    fn world() -> World {
        let member = Member { id: "1".into(), name: "member".into(), api_addresses: Vec::new(), silent: None };
        World::default().at(100).member(member)
    }

    fn pod(node: &str, status: Value, deleted: bool) -> Value {
        let mut metadata = json!({ "creationTimestamp": "1970-01-01T00:00:30Z" });
        if deleted {
            metadata["deletionTimestamp"] = "1970-01-01T00:00:40Z".into();
        }
        json!({ "metadata": metadata, "spec": { "nodeName": node }, "status": status })
    }

    fn check(world: &World, node: &str, expect: &[&str]) {
        let told = world.told(&CONTROLLER, &Key::new("", node));
        let short = |text: &String| text.split(" {").next().unwrap_or_default().to_owned();
        assert_eq!(told.iter().map(short).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn pods_of_gone_nodes_fail_and_then_go() {
        let running = || pod("gone", json!({ "phase": "Running" }), false);
        check(&world().with(&POD, "n", "p", running()), "gone", &["patch pods n/p"]);
        let disrupted = json!({ "phase": "Failed", "conditions": [{ "type": "DisruptionTarget", "status": "True" }] });
        check(&world().with(&POD, "n", "p", pod("gone", disrupted, false)), "gone", &["remove pods n/p"]);
        check(&world().with(&POD, "n", "p", pod("member", json!({}), false)), "member", &[]);
        check(&world().with(&POD, "n", "p", running()).with(&NODE, "", "gone", json!({})), "gone", &[]);
        let unknown = World::default().at(100).with(&POD, "n", "p", running());
        check(&unknown, "gone", &[]);
        let young = world().at(60).with(&POD, "n", "p", running());
        check(&young, "gone", &[]);
        let wake_at = young.plan(&CONTROLLER, &Key::new("", "gone")).wake_at;
        assert_eq!(wake_at, Timestamp::from_second(70).ok());
    }

    #[test]
    fn what_was_to_end_on_a_machine_that_is_off_has_ended() {
        let node = |ready: &str| {
            json!({ "spec": { "taints": [{ "key": OUT_OF_SERVICE, "effect": "NoExecute" }] },
                    "status": { "conditions": [{ "type": "Ready", "status": ready }] } })
        };
        let with = |ready: &str, deleted: bool| {
            let pod = pod("off", json!({ "phase": "Running" }), deleted);
            world().with(&NODE, "", "off", node(ready)).with(&POD, "n", "p", pod)
        };
        check(&with("Unknown", true), "off", &["remove pods n/p"]);
        check(&with("Unknown", false), "off", &[]);
        check(&with("True", true), "off", &[]);
    }
}
