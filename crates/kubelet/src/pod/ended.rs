//! Containers that ended: reading their last words, and keeping only the newest of each name. Main functions: [`read`], [`prune`].

use std::path::PathBuf;

use super::{
    launch::log_path,
    run::Run,
    view::{Now, View},
};
use crate::{
    observed::{Container, ContainerState},
    step::{LaneKey, Step, Target},
    volume,
};

/// Most bytes of one container's last words; upstream's number.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// Most bytes of the last words of all containers of a pod together; upstream's number.
const POD_BYTES_MAX: usize = 12 * 1_024;

/// Reads the last words of containers that have just ended.
pub(super) fn read(run: &mut Run<'_>) {
    let count = run.input.pod.all_containers().count().max(1);
    for view in run.views() {
        let Now::Reading(exit) = view.now else { continue };
        let target = view.target();
        let file = volume::termination_log(run.input.node, &run.input.pod.metadata.uid, view.name(), target.attempt);
        let fallback = view.spec.termination_message_policy == "FallbackToLogsOnError" && exit.code != Some(0);
        let log = fallback.then(|| log_path(run, view.name(), target.attempt));
        let bytes_max = MESSAGE_BYTES_MAX.min(POD_BYTES_MAX / count);
        let step = Step::ReadTerminationMessage { target, file, bytes_max, log };
        run.lane(LaneKey::Ended(view.name().to_owned()), vec![step]);
    }
}

/// Removes containers that ended, but for the newest such of each name.
pub(super) fn prune(run: &mut Run<'_>) {
    for view in run.views() {
        let kept = match view.now {
            Now::Exited(_) | Now::Reading(_) => view.attempt(),
            _ => view.before.map(|(one, _)| one.attempt),
        };
        let Some(kept) = kept else { continue };
        let steps = old(run, &view, kept);
        run.lane(LaneKey::Ended(view.name().to_owned()), steps);
    }
    let newest = run.sandbox().map(|one| one.attempt);
    let empty = |id: &str| !run.input.observed.containers.iter().any(|one| one.sandbox == id);
    let old = run.input.observed.sandboxes.iter().filter(|one| Some(one.attempt) < newest && empty(&one.id));
    let steps: Vec<Step> = old.map(|one| Step::RemoveSandbox { id: one.id.clone() }).collect();
    if !run.in_flight(&LaneKey::Pod) {
        run.lane(LaneKey::Ended(String::new()), steps);
    }
}

fn old(run: &Run<'_>, view: &View<'_>, kept: u32) -> Vec<Step> {
    let ended = |one: &&Container| matches!(one.state, ContainerState::Exited(_));
    let own = run.input.observed.containers.iter().filter(|one| one.name == view.name() && one.attempt < kept);
    own.filter(ended).map(|one| remove(one, Some(log_path(run, &one.name, one.attempt)))).collect()
}

/// Forgets a container, and its log if that is given.
pub(super) fn remove(one: &Container, log: Option<PathBuf>) -> Step {
    Step::RemoveContainer {
        target: Target { name: one.name.clone(), attempt: one.attempt, id: Some(one.id.clone()) },
        log,
    }
}
