//! `.status` of a Pod. Main function: `render`.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodStatus>.
//! Leaves out: `user` of containers, device and claim status.

use api::kinds::read;
use serde_json::{Map, Value, json};

use crate::{
    model::Kind,
    node::REJECTED,
    pod::{
        run::Run,
        view::{Now, View},
    },
    resources,
    step::LaneKey,
};

mod conditions;
mod container;
mod phase;

pub use phase::Phase;

/// Whether the pod's work is done, or its end was told before: its phase stays.
pub(crate) fn is_over(run: &Run<'_>) -> bool {
    told(run).is_some_and(Phase::is_terminal) || phase::of(run, &run.views(), false).is_terminal()
}

/// The phase that was told last.
fn told(run: &Run<'_>) -> Option<Phase> {
    let stored = Phase::parse(read::text(&run.input.pod.status, "/phase"));
    let planned = run.history.last_status.as_ref().and_then(|status| Phase::parse(read::text(status, "/phase")));
    // A terminal phase that either of them has stays.
    planned.filter(|phase| phase.is_terminal()).or(stored).or(planned)
}

/// The phase of now.
fn phase(run: &Run<'_>, views: &[View<'_>]) -> Phase {
    let told = told(run);
    if let Some(phase) = told.filter(|phase| phase.is_terminal()) {
        return phase;
    }
    let ending = run.history.ending.is_some();
    let busy = |view: &View<'_>| {
        matches!(view.now, Now::Running(_) | Now::Reading(_))
            || run.in_flight(&LaneKey::Container(view.name().to_owned()))
    };
    if ending && !views.iter().any(busy) {
        let phase = phase::of(run, views, true);
        let failed = run.history.verdict.is_some() || !phase.is_terminal();
        return if failed { Phase::Failed } else { phase };
    }
    // As long as something runs, no end is told.
    let phase = phase::of(run, views, false);
    if phase.is_terminal() { told.unwrap_or(Phase::Running) } else { phase }
}

/// The whole status, where it differs from the stored one. It is remembered.
pub(crate) fn render(run: &mut Run<'_>) -> Option<Value> {
    let views = run.views();
    let phase = phase(run, &views);
    let pod = run.input.pod;
    let mut status = pod.status.as_object().cloned().unwrap_or_default();
    status.insert("phase".into(), phase.as_str().into());
    status.insert("qosClass".into(), resources::qos(pod).as_str().into());
    status.insert("startTime".into(), run.history.first_seen.map(api::meta::time).into());
    if pod.metadata.generation > 0 {
        status.insert("observedGeneration".into(), pod.metadata.generation.into());
    }
    reasons(run, phase, &mut status);
    // Of a pod that was refused there is nothing else to tell, and kubectl shows the reason.
    if !run.history.verdict.as_ref().is_some_and(|verdict| verdict.message.starts_with(REJECTED)) {
        parts(run, &views, phase, &mut status);
    }
    let status = without_nulls(Value::Object(status));
    run.history.last_status = Some(status.clone());
    (status != without_nulls(pod.status.clone())).then_some(status)
}

/// What the pod's parts are at: addresses, containers, conditions.
fn parts(run: &Run<'_>, views: &[View<'_>], phase: Phase, status: &mut Map<String, Value>) {
    addresses(run, status);
    for (kind, field) in LISTS {
        let of_kind = views.iter().filter(|view| view.kind == kind);
        let list: Vec<Value> =
            of_kind.map(|view| container::render(run, view, prior(run, field, view.name()))).collect();
        if list.is_empty() {
            status.remove(field);
        } else {
            status.insert(field.into(), list.into());
        }
    }
    if phase.is_terminal() && run.history.ending.is_some() {
        fail_missing(run, status);
    }
    let all = conditions::render(run, phase, status);
    status.insert("conditions".into(), all.into());
}

/// Containers that never ran count as lost once their pod was ended, but for those whose turn had not come.
fn fail_missing(run: &Run<'_>, status: &mut Map<String, Value>) {
    let list = |field: &str| status.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let has_run =
        |one: &Value| one.pointer("/state/waiting").is_none() || one.pointer("/lastState/terminated").is_some();
    let (inits, mains) = (list("initContainerStatuses"), list("containerStatuses"));
    let begun = inits.iter().rposition(has_run).map_or(1, |last| last + 1);
    let completed = inits.last().is_some_and(|last| {
        ["/state", "/lastState"].iter().any(|at| last.pointer(&format!("{at}/terminated/exitCode")) == Some(&json!(0)))
    });
    let initialized = run.input.pod.spec.init_containers.is_empty() || completed || mains.iter().any(has_run);
    let turns = [("initContainerStatuses", begun), ("containerStatuses", if initialized { mains.len() } else { 0 })];
    for (field, count) in turns {
        let list = status.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for one in list.take(count).filter(|one| one.pointer("/state/terminated").is_none()) {
            one["state"] = container::gone();
        }
    }
}

/// The lists of containers' statuses.
const LISTS: [(Kind, &str); 3] = [
    (Kind::Init, "initContainerStatuses"),
    (Kind::Main, "containerStatuses"),
    (Kind::Ephemeral, "ephemeralContainerStatuses"),
];

/// What was told of a container before.
fn prior<'a>(run: &'a Run<'_>, field: &str, name: &str) -> Option<&'a Value> {
    let known = |status: &'a Value| status.get(field)?.as_array()?.iter().find(|one| one["name"] == name);
    run.history.last_status.as_ref().and_then(known).or_else(|| known(&run.input.pod.status))
}

fn reasons(run: &Run<'_>, phase: Phase, status: &mut Map<String, Value>) {
    let verdict = run.history.verdict.as_ref().filter(|_| phase == Phase::Failed);
    for (field, text) in [("reason", verdict.map(|one| &one.reason)), ("message", verdict.map(|one| &one.message))] {
        match text {
            Some(text) => _ = status.insert(field.into(), text.as_str().into()),
            // Another's words about a pod that was over when it was found stay.
            None if phase.is_terminal() => {}
            None => _ = status.remove(field),
        }
    }
}

fn addresses(run: &Run<'_>, status: &mut Map<String, Value>) {
    let input = run.input;
    let texts = |list: &[std::net::IpAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let hosts = texts(&input.node.addresses);
    let own = match &input.observed.network {
        _ if input.pod.spec.host_network => hosts.clone(),
        Some(network) => texts(&network.addresses),
        None => Vec::new(),
    };
    // A pod that lost its network, as one that has ended, keeps the addresses it had; one that never ran has none.
    let sandboxed = run.sandbox().is_some();
    for (one, many, list) in
        [("hostIP", "hostIPs", hosts), ("podIP", "podIPs", if sandboxed { own } else { Vec::new() })]
    {
        if let Some(first) = list.first() {
            status.insert(one.into(), first.as_str().into());
            status.insert(many.into(), list.iter().map(|ip| json!({"ip": ip})).collect());
        }
    }
}

/// Null is absent to the API.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
