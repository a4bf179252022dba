//! How many pods of a PodDisruptionBudget may be evicted now, and how it stands with those that were.
//! Spec: <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>. Evictions spend what is worked out here
//! (`apiserver`, `pods/eviction`).
//!
//! A pod that was to be evicted but lives on counts again after a while, and is said to be no target any longer.

use api::{
    kinds::{
        deployment::DEPLOYMENT,
        pod::{self, Condition, POD},
        pod_disruption_budget::{POD_DISRUPTION_BUDGET, selects, set_allowed, set_failed},
        read::{entries, items, text},
        replica_set::REPLICA_SET,
        replication_controller::REPLICATION_CONTROLLER,
        stateful_set::STATEFUL_SET,
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    Action, Change, Controller, Event, Key, Kinds, Only, Patch, Plan, Target, View, Watch, change,
    view::Object,
    workload::{ready_since, sooner, write_status},
};

mod expected;
#[cfg(test)]
mod tests;

use expected::Expected;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "disruption",
    account: "disruption-controller",
    watches: &[
        Watch { kinds: Kinds::One(&POD_DISRUPTION_BUDGET), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: of_pods },
        Watch { kinds: Kinds::One(&REPLICA_SET), keys: of_owners },
        Watch { kinds: Kinds::One(&REPLICATION_CONTROLLER), keys: of_owners },
        Watch { kinds: Kinds::One(&DEPLOYMENT), keys: of_owners },
        Watch { kinds: Kinds::One(&STATEFUL_SET), keys: of_owners },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Time in which the deletion that an eviction brings is seen; and after which a pod that lives on is no target.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// Start of the name of a key that stands for a pod; no object's name has it.
const TARGET: &str = "pod/";

/// The budgets that a pod is or was protected by; and the pod itself while it is to be evicted.
fn of_pods(change: &dyn Change, keys: &mut Vec<Key>) {
    let (old, new) = (change.before(), change.after());
    if let Some(pod) = &new
        && target_since(pod).is_some()
    {
        keys.push(Key::new(change.namespace(), format!("{TARGET}{}", change.name())));
    }
    if old.as_deref().map(weight) == new.as_deref().map(weight) {
        return;
    }
    for budget in change.neighbours(&POD_DISRUPTION_BUDGET) {
        if [&old, &new].into_iter().flatten().any(|pod| selects(&budget, pod)) {
            keys.push(Key::new(change.namespace(), meta::name(&budget)));
        }
    }
}

/// What of a pod a budget looks at.
fn weight(pod: &Value) -> (bool, bool, Option<&Value>, Option<&Value>) {
    let labels = pod.pointer("/metadata/labels");
    (meta::is_being_deleted(pod), ready_since(pod).is_some(), labels, meta::controller_of(pod))
}

/// Another size changes what shares are shares of.
fn of_owners(change: &dyn Change, keys: &mut Vec<Key>) {
    let size = |owner: Option<Object>| owner.map(|owner| owner.pointer("/spec/replicas").cloned());
    if size(change.before()) != size(change.after()) {
        let all = change.neighbours(&POD_DISRUPTION_BUDGET);
        keys.extend(all.iter().map(|budget| Key::new(change.namespace(), meta::name(budget))));
    }
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    if let Some(name) = key.name.strip_prefix(TARGET) {
        return view.get(&POD, &key.namespace, name).map(|pod| spared(&pod, now)).unwrap_or_default();
    }
    let Some(budget) = view.get(&POD_DISRUPTION_BUDGET, &key.namespace, &key.name) else { return Plan::default() };
    let pods: Vec<Object> = view.list(&POD, &key.namespace).filter(|pod| selects(&budget, pod)).collect();
    let mut plan = Plan::default();
    let mut news = Vec::new();
    let status = match Expected::of(view, &budget, &pods) {
        Ok(expected) => {
            let (disrupted, wake_at) = disrupted(&budget, &pods, now, &mut news);
            plan.wake_at = wake_at;
            news.extend(noted(&budget, &pods, &expected));
            worked_out(&budget, &pods, &expected, disrupted, now)
        }
        Err(why) => {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            news.push(told(&budget, "Warning", "CalculateExpectedPodCountFailed", message));
            let mut changed = budget.as_ref().clone();
            set_failed(&mut changed, &why, now);
            changed["status"].take()
        }
    };
    if let Some(write) = write_status(&POD_DISRUPTION_BUDGET, &budget, status) {
        plan.actions.push(write);
        plan.actions.extend(news);
    }
    plan
}

/// The status that the pods there are give.
fn worked_out(
    budget: &Value,
    pods: &[Object],
    expected: &Expected,
    disrupted: Map<String, Value>,
    now: Timestamp,
) -> Value {
    let counts = |pod: &&Object| {
        !meta::is_being_deleted(pod) && !disrupted.contains_key(meta::name(pod)) && ready_since(pod).is_some()
    };
    let healthy = i64::try_from(pods.iter().filter(counts).count()).unwrap_or(i64::MAX);
    // Without any pod nothing is allowed: the first ones may appear before they are counted.
    let allowed = if expected.pods <= 0 { 0 } else { (healthy - expected.healthy).max(0) };
    let mut changed = budget.clone();
    let conditions = items(budget, "/status/conditions");
    changed["status"] = json!({
        "currentHealthy": healthy, "desiredHealthy": expected.healthy, "expectedPods": expected.pods,
        "disruptionsAllowed": allowed, "observedGeneration": meta::generation(budget), "conditions": conditions,
    });
    if !disrupted.is_empty() {
        changed["status"]["disruptedPods"] = disrupted.into();
    }
    set_allowed(&mut changed, now);
    changed["status"].take()
}

/// Pods that were evicted and whose deletion is not seen yet, and when the first of them counts again.
fn disrupted(
    budget: &Value,
    pods: &[Object],
    now: Timestamp,
    news: &mut Vec<Action>,
) -> (Map<String, Value>, Option<Timestamp>) {
    let (mut kept, mut wake_at) = (Map::new(), None);
    for (name, since) in entries(budget, "/status/disruptedPods") {
        let living = |pod: &&Object| meta::name(pod) == name && !meta::is_being_deleted(pod);
        let Some(pod) = pods.iter().find(living) else { continue };
        let until = after(since.as_str().and_then(meta::parse_time).unwrap_or(Timestamp::MIN));
        if until > now {
            kept.insert(name.to_owned(), since.clone());
            wake_at = sooner(wake_at, Some(until));
        } else {
            let place = format!("{}/{}", meta::namespace(budget), meta::name(budget));
            let message = format!("Pod was expected by PDB {place} to be deleted but it wasn't");
            news.push(told(pod, "Warning", "NotDeleted", message));
        }
    }
    (kept, wake_at)
}

/// What people should know about the pods that were found.
fn noted(budget: &Value, pods: &[Object], expected: &Expected) -> Option<Action> {
    if pods.is_empty() {
        return Some(told(budget, "Normal", "NoPods", "No matching pods found".into()));
    }
    let selector = api::kinds::workload::selector(budget);
    let message = format!(
        "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the \
         status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these \
         pods please set \".spec.minAvailable\" field of the PDB to an integer value."
    );
    expected.unmanaged.then(|| told(budget, "Warning", "UnmanagedPods", message))
}

fn told(about: &Value, severity: &'static str, reason: &'static str, message: String) -> Action {
    Action::Event(Event { about: about.clone(), severity, reason, message })
}

/// Since when a pod that lives is to be evicted. What its kubelet says of its own doing stays.
fn target_since(pod: &Value) -> Option<Timestamp> {
    let target = items(pod, "/status/conditions").iter().find(|one| text(one, "/type") == "DisruptionTarget")?;
    let lasts =
        meta::is_being_deleted(pod) || pod::is_terminal(pod) || text(target, "/reason") == "TerminationByKubelet";
    let is_target = text(target, "/status") == "True" && !lasts;
    is_target.then(|| meta::parse_time(text(target, "/lastTransitionTime")).unwrap_or(Timestamp::MIN))
}

/// A pod that was to be evicted and lives on is no target any longer.
fn spared(pod: &Value, now: Timestamp) -> Plan {
    let Some(at) = target_since(pod).map(after) else { return Plan::default() };
    if at > now {
        return Plan { actions: Vec::new(), wake_at: Some(at) };
    }
    let mut changed = pod.clone();
    let none = Condition { r#type: "DisruptionTarget", status: "False", reason: "", message: "" };
    pod::set_condition(&mut changed, none, now);
    let patch = Patch::Merge(json!({ "status": { "conditions": changed.pointer("/status/conditions") } }));
    let target = Target::of(&POD, pod);
    Plan { actions: vec![Action::Patch { target, part: "status", patch, only: Only::unchanged(pod) }], wake_at: None }
}

fn after(since: Timestamp) -> Timestamp {
    since.saturating_add(DELETION_TIMEOUT).unwrap_or(Timestamp::MAX)
}
