//! Starting one container: image, configuration, the steps. Main function: [`launch`].

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use super::{
    restart,
    run::Run,
    view::{Now, View},
};
use crate::{
    env::{self, EnvError, Sources},
    event::PodEvent,
    image::{self, Decision},
    model::{Container, Kind},
    observed::{Image, Reference, Sandbox},
    probe, resources, security,
    spec::ContainerSpec,
    step::{Hook, LaneKey, Prepare, Step, Target},
    text::{expand, later, seconds},
    volume,
};

/// The label of a container that holds the image its spec had: a change of it makes another container.
pub(super) const IMAGE_LABEL: &str = "mesh/image";

/// The label that holds the resources a container was made with, as JSON: a resize comes with its next start.
pub(crate) const RESOURCES_LABEL: &str = "mesh/resources";

/// Most bytes of that label: all labels together stay under 4 KiB.
const RESOURCES_LABEL_MAX: usize = 2_048;

/// How long a failed pull is shown as such before it is shown as waiting, in seconds.
const PULL_ERROR_SECONDS: i64 = 2;

/// Starts a container that does not run, or says why it waits.
pub(super) fn launch(run: &mut Run<'_>, view: &View<'_>, sandbox: &Sandbox) {
    let key = LaneKey::Container(view.name().to_owned());
    if run.in_flight(&key) || run.must_wait(&format!("container/{}", view.name())) {
        return;
    }
    if matches!(view.now, Now::Created) && view.is_in(sandbox) {
        let mut steps = vec![Step::StartContainer(view.target())];
        steps.extend(post_start(run, view, view.target()));
        return run.lane(key, steps);
    }
    if restart::backoff(run, view) {
        return;
    }
    let attempt = next_attempt(run, view);
    let Some(image) = image_of(run, view, attempt) else { return };
    match configure(run, view, sandbox, attempt, image) {
        Ok((prepare, spec)) => {
            let target = Target { name: view.name().to_owned(), attempt, id: None };
            let mut steps =
                vec![Step::CreateContainer { prepare, spec: Box::new(spec) }, Step::StartContainer(target.clone())];
            steps.extend(post_start(run, view, target));
            run.lane(key, steps);
        }
        Err(EnvError::Waiting(_)) => {}
        Err(EnvError::Config(message)) => {
            if run.waits(view, "CreateContainerConfigError", message.clone()) {
                run.event(PodEvent::of(true, "Failed", view.place(), format!("Error: {message}")));
            }
        }
    }
}

fn next_attempt(run: &mut Run<'_>, view: &View<'_>) -> u32 {
    let after = view.attempt().map_or(0, |attempt| attempt.saturating_add(1));
    run.of(view.name()).attempts.max(after)
}

/// The pod's addresses; with the host's network, those of the host.
pub(super) fn pod_ips(run: &Run<'_>) -> Vec<IpAddr> {
    let own = run.input.observed.network.as_ref().map(|network| network.addresses.clone());
    if run.input.pod.spec.host_network { run.input.node.addresses.clone() } else { own.unwrap_or_default() }
}

fn post_start(run: &Run<'_>, view: &View<'_>, target: Target) -> Option<Step> {
    let handler = view.spec.lifecycle.post_start.as_ref()?;
    let action = probe::hook(handler, view.spec, pod_ips(run).first().copied());
    Some(Step::RunHook { target, hook: Hook::PostStart, action, timeout: None })
}

/// The image, if it is there; else it is pulled, or the container waits.
fn image_of<'a>(run: &mut Run<'a>, view: &View<'_>, attempt: u32) -> Option<&'a Image> {
    let (reference, now) = (&view.spec.image, run.input.now);
    let present = run.input.observed.images.get(reference);
    let pulled = run.of(view.name()).pulled_for == Some(attempt);
    let backoff = run.history.images.get(reference).cloned();
    match image::decide(view.spec, present, pulled, backoff.as_ref(), now) {
        Decision::Present => return present,
        Decision::Pull => pull(run, view, attempt),
        Decision::Wait { reason, message, until } => {
            let shown =
                backoff.and_then(|backoff| backoff.last_at).map(|last| later(last, seconds(PULL_ERROR_SECONDS)));
            let failed = run.of(view.name()).waiting.as_ref().is_some_and(|(reason, _)| reason == "ErrImagePull");
            match shown.filter(|shown| failed && reason == "ImagePullBackOff" && *shown > now) {
                Some(shown) => run.wake(shown),
                None => wait(run, view, reason, message),
            }
            if let Some(until) = until {
                run.wake(until);
            }
        }
    }
    None
}

fn pull(run: &mut Run<'_>, view: &View<'_>, attempt: u32) {
    let reference = &view.spec.image;
    tell_missing_secrets(run);
    run.event(PodEvent::of(false, "Pulling", view.place(), format!("Pulling image {}", api::gotext::quote(reference))));
    let secrets =
        run.input.pod.spec.image_pull_secrets.iter().map(|one| one.name.clone()).filter(|name| !name.is_empty());
    let step = Step::PullImage {
        reference: reference.clone(),
        container: view.name().to_owned(),
        attempt,
        secrets: secrets.collect(),
        any: image::policy(view.spec) == "IfNotPresent" && !run.input.observed.images.contains_key(reference),
    };
    run.lane(LaneKey::Container(view.name().to_owned()), vec![step]);
}

/// The pull goes on without them; the words are upstream's.
fn tell_missing_secrets(run: &mut Run<'_>) {
    let named = run.input.pod.spec.image_pull_secrets.iter().map(|one| one.name.as_str());
    let is_missing = |name: &&str| matches!(run.input.references.secret(name), Reference::Missing);
    let mut missing: Vec<&str> = named.filter(is_missing).collect();
    missing.sort_unstable();
    if !missing.is_empty() {
        let text = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        run.event(PodEvent::of_pod(true, "FailedToRetrieveImagePullSecret", text));
    }
}

fn wait(run: &mut Run<'_>, view: &View<'_>, reason: &'static str, message: String) {
    if !run.waits(view, reason, message.clone()) {
        return;
    }
    let first = match reason {
        "ImagePullBackOff" => {
            let text = format!("Back-off pulling image {}", api::gotext::quote(&view.spec.image));
            PodEvent::of(false, "BackOff", view.place(), text)
        }
        "InvalidImageName" => PodEvent::of(true, "InspectFailed", view.place(), message),
        other => PodEvent::of(true, other, view.place(), message),
    };
    run.event(first);
    run.event(PodEvent::of(true, "Failed", view.place(), format!("Error: {reason}")));
}

type Configured = (Vec<Prepare>, ContainerSpec);

fn configure(
    run: &mut Run<'_>,
    view: &View<'_>,
    sandbox: &Sandbox,
    attempt: u32,
    image: &Image,
) -> Result<Configured, EnvError> {
    let (input, ips) = (run.input, pod_ips(run));
    let (pod, node, container) = (input.pod, input.node, view.spec);
    let sources = Sources { pod, pod_ips: &ips, references: input.references, node };
    let (mut env, events) = env::resolve(&sources, container)?;
    let hostname = volume::hostname(pod, node).0;
    if !hostname.is_empty() && !env.0.iter().any(|(name, _)| name == "HOSTNAME") {
        // What every runtime of Kubernetes sets.
        env.0.insert(0, ("HOSTNAME".to_owned(), hostname));
    }
    let security =
        security::resolve(pod, container, &image.user).map_err(|error| EnvError::Config(error.to_string()))?;
    let mounts = volume::mounts(&sources, (container, attempt), &env).map_err(EnvError::Config)?;
    for event in events {
        run.event(event);
    }
    let beside = beside(run, container).map_err(EnvError::Config)?;
    let known = |name: &str| env.0.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
    let expanded = |words: &[String]| words.iter().map(|word| expand(word, known)).collect();
    let spec = ContainerSpec {
        sandbox: sandbox.id.clone(),
        name: container.name.clone(),
        attempt,
        image: image.reference.clone(),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: Some(PathBuf::from(&container.working_dir)).filter(|dir| !dir.as_os_str().is_empty()),
        mounts: mounts.mounts,
        resources: resources::bounds(pod, container, node.memory_bytes, node.pids_max),
        security,
        beside,
        tty: container.tty,
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        log_path: log_path(run, &container.name, attempt),
        labels: labels(view),
        env,
    };
    Ok((mounts.prepare, spec))
}

/// Whose processes an ephemeral container is to see; the words are upstream's.
fn beside(run: &Run<'_>, container: &Container) -> Result<Option<String>, String> {
    let target = container.target_container_name.as_str();
    let of_name = run.input.observed.containers.iter().filter(|one| one.name == target);
    match of_name.max_by_key(|one| one.attempt) {
        _ if target.is_empty() => Ok(None),
        Some(found) => Ok(Some(found.id.clone())),
        None => Err(format!("unable to find target container {target}")),
    }
}

fn labels(view: &View<'_>) -> BTreeMap<String, String> {
    let kind = match view.kind {
        Kind::Init => "init",
        Kind::Main => "main",
        Kind::Ephemeral => "ephemeral",
    };
    let mut labels =
        BTreeMap::from([(IMAGE_LABEL.to_owned(), view.spec.image.clone()), ("mesh/kind".to_owned(), kind.to_owned())]);
    let resources = serde_json::to_string(&view.spec.resources).unwrap_or_default();
    if resources.len() <= RESOURCES_LABEL_MAX {
        labels.insert(RESOURCES_LABEL.to_owned(), resources);
    }
    labels
}

/// The log of an attempt of a container.
pub(super) fn log_path(run: &Run<'_>, container: &str, attempt: u32) -> PathBuf {
    let meta = &run.input.pod.metadata;
    let dir = run.input.node.logs_dir.join(format!("{}_{}_{}", meta.namespace, meta.name, meta.uid));
    dir.join(container).join(format!("{attempt}.log"))
}
