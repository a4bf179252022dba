//! `status.conditions`. Main function: [`render`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions>.

use api::{gotext::quote, kinds::read, meta};
use serde_json::{Map, Value, json};

use super::Phase;
use crate::pod::{run::Run, view::View};

/// A condition without its times.
struct Condition {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

fn condition(kind: &'static str, holds: bool, reason: &'static str, message: String) -> Condition {
    Condition { kind, holds, reason, message }
}

/// All conditions: the kubelet's own, then those of others as they are.
pub(super) fn render(run: &Run<'_>, phase: Phase, status: &Map<String, Value>) -> Vec<Value> {
    let old = read::items(&run.input.pod.status, "/conditions");
    let ready = containers_ready(run, phase, status);
    let whole = pod_ready(run, &ready, old);
    let own = [sandboxed(run, phase), initialized(run, phase, status), whole, ready, scheduled()];
    let mut all: Vec<Value> = Vec::new();
    for one in own {
        let stored = old.iter().find(|stored| stored["type"] == one.kind);
        let others_word = one.kind == "PodScheduled";
        match stored.filter(|_| others_word) {
            Some(stored) => all.push(stored.clone()),
            None => all.push(timed(run, &one, stored)),
        }
    }
    if is_resized(run) {
        let stored = old.iter().find(|stored| stored["type"] == RESIZE);
        let message = "In-place resize of running containers is not supported on this node";
        all.push(timed(run, &condition(RESIZE, true, "Infeasible", message.to_owned()), stored));
    }
    let known: Vec<Value> = all.iter().map(|one| one["type"].clone()).collect();
    let others = old.iter().filter(|one| !known.contains(&one["type"]) && one["type"] != RESIZE);
    all.extend(others.cloned());
    all
}

/// The time of the last change is kept while the status stays.
fn timed(run: &Run<'_>, one: &Condition, stored: Option<&Value>) -> Value {
    let status = if one.holds { "True" } else { "False" };
    let planned = run.history.last_status.as_ref().map(|status| read::items(status, "/conditions"));
    let planned = planned.into_iter().flatten().find(|planned| planned["type"] == one.kind);
    let same = [stored, planned].into_iter().flatten().find(|old| old["status"] == status);
    let since = same.and_then(|old| old["lastTransitionTime"].as_str()).map(str::to_owned);
    let generation = run.input.pod.metadata.generation;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "type": one.kind, "status": status, "reason": some(one.reason), "message": some(&one.message),
        "lastTransitionTime": since.unwrap_or_else(|| meta::time(run.input.now)),
        "observedGeneration": (generation > 0).then_some(generation),
    })
}

/// The condition of a resize that is not carried out.
const RESIZE: &str = "PodResizePending";

/// Whether a container runs with other resources than the spec has now.
fn is_resized(run: &Run<'_>) -> bool {
    let resized =
        |view: &View<'_>| view.running_since().is_some() && super::container::actual(view) != view.spec.resources;
    run.views().iter().any(resized)
}

fn scheduled() -> Condition {
    condition("PodScheduled", true, "", String::new())
}

fn sandboxed(run: &Run<'_>, phase: Phase) -> Condition {
    let network = run.input.pod.spec.host_network || run.input.observed.network.is_some();
    let holds = !phase.is_terminal() && network && run.sandbox().is_some_and(|one| one.ready);
    condition("PodReadyToStartContainers", holds, "", String::new())
}

fn list<'a>(status: &'a Map<String, Value>, field: &str) -> &'a [Value] {
    status.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn names(all: &[&str]) -> String {
    format!("[{}]", all.join(" "))
}

fn initialized(run: &Run<'_>, phase: Phase, status: &Map<String, Value>) -> Condition {
    const KIND: &str = "Initialized";
    let ran = |one: &Value| {
        let state = |field: &str| one.pointer(field).is_some();
        state("/state/running") || state("/state/terminated") || state("/lastState/terminated")
    };
    if phase == Phase::Succeeded {
        return condition(KIND, true, "PodCompleted", String::new());
    }
    if list(status, "containerStatuses").iter().any(ran) {
        return condition(KIND, true, "", String::new());
    }
    let mut incomplete = Vec::new();
    for (spec, one) in run.input.pod.spec.init_containers.iter().zip(list(status, "initContainerStatuses")) {
        let done = if spec.is_sidecar() { one["started"] == true } else { one["ready"] == true };
        if !done {
            incomplete.push(spec.name.as_str());
        }
    }
    if incomplete.is_empty() {
        return condition(KIND, true, "", String::new());
    }
    let message = format!("containers with incomplete status: {}", names(&incomplete));
    condition(KIND, false, "ContainersNotInitialized", message)
}

fn containers_ready(run: &Run<'_>, phase: Phase, status: &Map<String, Value>) -> Condition {
    const KIND: &str = "ContainersReady";
    match phase {
        Phase::Succeeded => return condition(KIND, false, "PodCompleted", String::new()),
        Phase::Failed => return condition(KIND, false, "PodFailed", String::new()),
        _ => {}
    }
    let inits = run.input.pod.spec.init_containers.iter().zip(list(status, "initContainerStatuses"));
    let sidecars = inits.filter(|(spec, _)| spec.is_sidecar()).map(|(_, one)| one);
    let all = sidecars.chain(list(status, "containerStatuses"));
    let unready: Vec<&str> = all.filter(|one| one["ready"] != true).filter_map(|one| one["name"].as_str()).collect();
    if unready.is_empty() {
        return condition(KIND, true, "", String::new());
    }
    condition(KIND, false, "ContainersNotReady", format!("containers with unready status: {}", names(&unready)))
}

/// Ready: the containers are, and all gates are open.
fn pod_ready(run: &Run<'_>, containers: &Condition, old: &[Value]) -> Condition {
    const KIND: &str = "Ready";
    if !containers.holds {
        return condition(KIND, false, containers.reason, containers.message.clone());
    }
    let mut closed = Vec::new();
    for gate in &run.input.pod.spec.readiness_gates {
        let name = quote(&gate.condition_type);
        match old.iter().find(|one| one["type"] == gate.condition_type.as_str()) {
            None => closed.push(format!("corresponding condition of pod readiness gate {name} does not exist.")),
            Some(one) if one["status"] != "True" => {
                let status = one["status"].as_str().unwrap_or_default();
                closed.push(format!("the status of pod readiness gate {name} is not \"True\", but {status}"));
            }
            Some(_) => {}
        }
    }
    if closed.is_empty() {
        return condition(KIND, true, "", String::new());
    }
    condition(KIND, false, "ReadinessGatesNotReady", closed.join(", "))
}
