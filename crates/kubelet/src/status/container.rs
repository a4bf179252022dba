//! `containerStatuses`. Main function: [`render`].

use api::meta::time;
use serde_json::{Map, Value, json};

use crate::{
    image,
    model::{Kind, Resources},
    observed::{Container, Exit},
    pod::{
        launch::RESOURCES_LABEL,
        run::Run,
        view::{LOST, Now, UNSEEN, View},
    },
};

/// The status of one container. `prior` is what was told before.
pub(super) fn render(run: &Run<'_>, view: &View<'_>, prior: Option<&Value>) -> Value {
    if let (Now::Lost, Some(prior)) = (view.now, prior)
        && let Some(kept) = of_lost(run, prior)
    {
        return kept;
    }
    let (state, last) = states(run, view);
    let mut status = Map::new();
    status.insert("name".into(), view.name().into());
    status.insert("restartCount".into(), restarts(run, view).into());
    let last = last.or_else(|| prior.and_then(|prior| prior.get("lastState")).cloned());
    status.insert("lastState".into(), last.unwrap_or_else(|| json!({})));
    status.insert("ready".into(), view.ready(&run.input, &run.history).into());
    if view.kind != Kind::Ephemeral {
        status.insert("started".into(), view.started(&run.input, &run.history).into());
    }
    match view.newest {
        Some(one) => {
            status.insert("image".into(), one.image.as_str().into());
            status.insert("imageID".into(), image::id(&one.image, &one.image_digest).into());
            status.insert("containerID".into(), container_id(run, one).into());
        }
        None => {
            status.insert("image".into(), view.spec.image.as_str().into());
            status.insert("imageID".into(), "".into());
        }
    }
    if state.get("running").is_some() {
        resources(view, &mut status);
    }
    mounts(view, &mut status);
    status.insert("state".into(), state);
    Value::Object(status)
}

/// One that is gone, as when its pod is taken away, keeps its end.
fn of_lost(run: &Run<'_>, prior: &Value) -> Option<Value> {
    let ended = prior.pointer("/state/terminated").is_some();
    let waiting = prior.pointer("/state/waiting").is_some() && run.history.ending.is_some();
    (ended || waiting).then(|| prior.clone())
}

fn restarts(run: &Run<'_>, view: &View<'_>) -> u32 {
    let known = run.history.containers.get(view.name()).map_or(0, |one| one.attempts.saturating_sub(1));
    view.attempt().unwrap_or(known)
}

fn container_id(run: &Run<'_>, one: &Container) -> String {
    format!("{}://{}", run.input.node.runtime, one.id)
}

/// `state` and `lastState`.
fn states(run: &Run<'_>, view: &View<'_>) -> (Value, Option<Value>) {
    let ended = |one: &Container, exit: &Exit| json!({"terminated": terminated(run, one, exit)});
    let before = view.before.map(|(one, exit)| ended(one, exit));
    let reason = run.history.containers.get(view.name()).and_then(|one| one.waiting.as_ref());
    match (view.now, view.newest) {
        (Now::Running(_) | Now::Reading(_), _) if view.hook_runs(&run.input, &run.history) => {
            (waiting(run, None), before)
        }
        (Now::Running(since), _) => (json!({"running": {"startedAt": time(since)}}), before),
        (Now::Reading(exit), _) => (json!({"running": {"startedAt": time(exit.started_at)}}), before),
        (Now::Exited(exit), Some(one)) => {
            let code = exit.code.unwrap_or(UNSEEN);
            let again = run.history.ending.is_none() && view.restarts(run.input.pod, code);
            match reason.filter(|_| again) {
                Some(reason) => (waiting(run, Some(reason)), Some(ended(one, exit))),
                None => (ended(one, exit), before),
            }
        }
        (Now::Lost, _) => {
            let gone = gone();
            let again = run.history.ending.is_none() && view.restarts(run.input.pod, LOST);
            if again { (waiting(run, reason), Some(gone)) } else { (gone, None) }
        }
        _ => (waiting(run, reason), before),
    }
}

/// The end of one that is not there.
pub(super) fn gone() -> Value {
    json!({"terminated": {
        "exitCode": LOST, "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }})
}

fn waiting(run: &Run<'_>, reason: Option<&(String, String)>) -> Value {
    match reason {
        Some((reason, message)) if message.is_empty() => json!({"waiting": {"reason": reason}}),
        Some((reason, message)) => json!({"waiting": {"reason": reason, "message": message}}),
        None if run.input.pod.spec.init_containers.is_empty() => json!({"waiting": {"reason": "ContainerCreating"}}),
        None => json!({"waiting": {"reason": "PodInitializing"}}),
    }
}

fn terminated(run: &Run<'_>, one: &Container, exit: &Exit) -> Value {
    let words = run.history.containers.get(&one.name).and_then(|known| known.messages.get(&one.attempt));
    let message = exit.message.as_ref().or(words).filter(|text| !text.is_empty());
    let reason = match exit.code {
        _ if exit.oom_killed => "OOMKilled",
        _ if exit.message.is_some() => "StartError",
        None => "Unknown",
        Some(0) => "Completed",
        Some(_) => "Error",
    };
    json!({
        "exitCode": exit.code.unwrap_or(UNSEEN), "reason": reason, "message": message,
        "startedAt": time(exit.started_at), "finishedAt": time(exit.finished_at), "containerID": container_id(run, one),
    })
}

/// The resources that a container was made with.
pub(super) fn actual(view: &View<'_>) -> Resources {
    let label = view.newest.and_then(|one| one.labels.get(RESOURCES_LABEL));
    label.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| view.spec.resources.clone())
}

fn resources(view: &View<'_>, status: &mut Map<String, Value>) {
    let wanted = actual(view);
    let mut shown = Map::new();
    for (field, list) in [("limits", &wanted.limits), ("requests", &wanted.requests)] {
        if !list.is_empty() {
            shown.insert(field.into(), json!(list));
        }
    }
    status.insert("resources".into(), shown.into());
    if !wanted.requests.is_empty() {
        status.insert("allocatedResources".into(), json!(wanted.requests));
    }
}

fn mounts(view: &View<'_>, status: &mut Map<String, Value>) {
    let mount = |one: &crate::model::VolumeMount| {
        let recursive = one.recursive_read_only.as_deref().unwrap_or("Disabled");
        let (read_only, recursive) = if one.read_only { (Some(true), Some(recursive)) } else { (None, None) };
        json!({"name": one.name, "mountPath": one.mount_path, "readOnly": read_only, "recursiveReadOnly": recursive})
    };
    let all: Vec<Value> = view.spec.volume_mounts.iter().map(mount).collect();
    if !all.is_empty() {
        status.insert("volumeMounts".into(), all.into());
    }
}
