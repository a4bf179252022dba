//! What came of steps: into the history, and into events. Main function: [`digest`].

use std::time::Duration;

use api::gotext::quote;

use super::{restart, run::Run};
use crate::{
    event::PodEvent,
    image, probe,
    step::{Hook, Outcome, Step, StepResult, Target},
    text::{between, go_duration},
};

/// Last words are kept of so many attempts: the newest, and the one before, which `lastState` shows.
const MESSAGES_MAX: usize = 2;

/// Takes in all results.
pub(super) fn digest(run: &mut Run<'_>) {
    for result in run.input.results {
        one(run, result);
    }
}

fn one(run: &mut Run<'_>, result: &StepResult) {
    let failure = match &result.outcome {
        Outcome::Failed { message } => Some(message.as_str()),
        _ => None,
    };
    match &result.step {
        Step::PrepareVolumes(_) => told(run, "volumes", "FailedMount", "", failure),
        Step::AttachNetwork | Step::RunSandbox(_) => {
            told(run, "sandbox", "FailedCreatePodSandBox", "Failed to create pod sandbox: ", failure);
            if let (Step::RunSandbox(spec), None) = (&result.step, failure)
                && spec.attempt > 0
            {
                let text = "Pod sandbox changed, it will be killed and re-created.";
                run.event(PodEvent::of_pod(false, "SandboxChanged", text));
            }
        }
        Step::PullImage { reference, container, attempt, .. } => pulled(run, result, reference, (container, *attempt)),
        Step::CreateContainer { spec, .. } => created(run, &spec.name, spec.attempt, failure),
        Step::StartContainer(target) => started(run, target, failure),
        Step::RunHook { target, hook, .. } => hooked(run, target, *hook, failure),
        Step::Probe { target, sort, .. } => probed(run, target, *sort, result),
        Step::ReadTerminationMessage { target, .. } => {
            let text = if let Outcome::Text(text) = &result.outcome { text.clone() } else { String::new() };
            let messages = &mut run.of(&target.name).messages;
            messages.insert(target.attempt, text);
            while messages.len() > MESSAGES_MAX {
                messages.pop_first();
            }
        }
        Step::StopContainer { target, .. } => {
            let what = format!("container/{}", target.name);
            told(run, &what, "FailedKillPod", "error killing pod: ", failure);
        }
        Step::StopSandbox { .. } | Step::RemoveSandbox { .. } | Step::DetachNetwork | Step::RemoveVolumes => {
            told(run, "teardown", "FailedKillPod", "error killing pod: ", failure);
            if matches!(result.step, Step::RemoveVolumes) && failure.is_none() {
                run.history.torn_down = true;
            }
        }
        Step::RemoveContainer { .. } => quiet(run, "teardown", failure),
        Step::Confirm { .. } => {
            quiet(run, "teardown", failure);
            run.history.confirmed |= failure.is_none();
        }
    }
}

/// Failures of machinery: wait, and tell.
fn told(run: &mut Run<'_>, what: &str, reason: &'static str, prefix: &str, failure: Option<&str>) {
    if let Some(message) = failure {
        run.event(PodEvent::of_pod(true, reason, format!("{prefix}{message}")));
    }
    quiet(run, what, failure);
}

fn quiet(run: &mut Run<'_>, what: &str, failure: Option<&str>) {
    match failure {
        Some(message) => run.failed(what, message),
        None => run.succeeded(what),
    }
}

fn pulled(run: &mut Run<'_>, result: &StepResult, reference: &str, (name, attempt): (&str, u32)) {
    let Some((kind, _)) = run.input.pod.container(name) else { return };
    match &result.outcome {
        Outcome::Pulled(image) => {
            let took = between(result.started_at, result.finished_at);
            let took = go_duration(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or_default()));
            let text = format!(
                "Successfully pulled image {} in {took} ({took} including waiting). Image size: {} bytes.",
                quote(reference),
                image.size
            );
            run.event(PodEvent::of(false, "Pulled", (kind, name), text));
            run.history.images.remove(reference);
            run.of(name).pulled_for = Some(attempt);
        }
        Outcome::Failed { message } => {
            let text = format!("Failed to pull image {}: {message}", quote(reference));
            run.event(PodEvent::of(true, "Failed", (kind, name), text));
            run.event(PodEvent::of(true, "Failed", (kind, name), "Error: ErrImagePull"));
            let backoff = run.history.images.entry(reference.to_owned()).or_default();
            image::failed(backoff, message.clone(), result.finished_at);
            run.of(name).waiting = Some(("ErrImagePull".to_owned(), message.clone()));
        }
        _ => {}
    }
}

fn created(run: &mut Run<'_>, name: &str, attempt: u32, failure: Option<&str>) {
    let Some((kind, spec)) = run.input.pod.container(name) else { return };
    let what = format!("container/{name}");
    if let Some(message) = failure {
        run.event(PodEvent::of(true, "Failed", (kind, name), format!("Error: {message}")));
        run.of(name).waiting = Some(("CreateContainerError".to_owned(), message.to_owned()));
        run.failed(&what, message);
        return;
    }
    run.succeeded(&what);
    if run.of(name).pulled_for != Some(attempt) {
        let text =
            format!("Container image {} already present on machine and can be accessed by the pod", quote(&spec.image));
        run.event(PodEvent::of(false, "Pulled", (kind, name), text));
    }
    run.event(PodEvent::of(false, "Created", (kind, name), "Container created"));
}

fn started(run: &mut Run<'_>, target: &Target, failure: Option<&str>) {
    let Some((kind, _)) = run.input.pod.container(&target.name) else { return };
    let place = (kind, target.name.as_str());
    match failure {
        Some(message) => {
            run.event(PodEvent::of(true, "Failed", place, format!("Error: {message}")));
            run.of(&target.name).waiting = Some(("RunContainerError".to_owned(), message.to_owned()));
        }
        None => {
            run.event(PodEvent::of(false, "Started", place, "Container started"));
            run.of(&target.name).waiting = None;
        }
    }
}

fn hooked(run: &mut Run<'_>, target: &Target, hook: Hook, failure: Option<&str>) {
    let Some((kind, _)) = run.input.pod.container(&target.name) else { return };
    // The text of a failure may hold what a server says to the hook only.
    match (hook, failure) {
        (Hook::PostStart, None) => run.of(&target.name).started_hook = Some(target.attempt),
        (Hook::PostStart, Some(_)) => {
            run.event(PodEvent::of(true, "FailedPostStartHook", (kind, &target.name), "PostStartHook failed"));
            run.of(&target.name).started_hook = Some(target.attempt);
            run.of(&target.name).waiting = Some(("PostStartHookError".to_owned(), "PostStartHookError".to_owned()));
            restart::stop(run, (kind, &target.name), target.attempt, None, "FailedPostStartHook");
        }
        (Hook::PreStop, outcome) => {
            if outcome.is_some() {
                run.event(PodEvent::of(true, "FailedPreStopHook", (kind, &target.name), "PreStopHook failed"));
            }
            run.of(&target.name).hook_done = Some(target.attempt);
        }
    }
}

fn probed(run: &mut Run<'_>, target: &Target, sort: probe::Sort, result: &StepResult) {
    let failed = |message: &String| probe::Answer::Error(message.clone());
    let answer = match &result.outcome {
        Outcome::Probed(answer) => answer.clone(),
        Outcome::Failed { message } => failed(message),
        _ => return,
    };
    let Some((kind, spec)) = run.input.pod.container(&target.name) else { return };
    let Some(probe) = sort.of(spec) else { return };
    let view = run.view(kind, spec);
    let runs = matches!(view.now, super::view::Now::Running(_)) && view.attempt() == Some(target.attempt);
    if !runs {
        return;
    }
    let state = run.of(&target.name).probes.entry(sort).or_default();
    if state.attempt != target.attempt {
        *state = probe::State { attempt: target.attempt, ..Default::default() };
    }
    let change = state.take(sort, probe, &answer, result.started_at);
    if let Some((reason, text)) = probe::told(sort, &answer) {
        run.event(PodEvent::of(true, reason, (kind, &target.name), text));
    }
    if change == probe::Change::Restart {
        let text = format!("Container {} failed {} probe", target.name, sort.as_str().to_lowercase());
        let text = restart::intent(run, text);
        restart::stop(run, (kind, &target.name), target.attempt, probe.termination_grace_period_seconds, &text);
    }
}
