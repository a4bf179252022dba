//! Stopping and restarting single containers of a pod that goes on. Main functions: [`stop`], [`carry_out`], [`backoff`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy>.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    run::Run,
    view::{Now, View, is_other},
};
use crate::{
    event::PodEvent,
    history::ContainerStop,
    model::{Kind, RestartPolicy},
    observed::ContainerState,
    probe,
    step::{Hook, LaneKey, Step},
    text::{between, go_duration, later, pod_name, seconds},
};

/// The wait after the second end of a container; doubles. Upstream's numbers.
const CRASH_FIRST: Duration = Duration::from_secs(10);

/// The longest wait.
const CRASH_MAX: Duration = Duration::from_secs(300);

/// A container that ran so long starts anew.
const CRASH_FORGET: Duration = Duration::from_secs(600);

/// The least time between asking a container to end and killing it.
pub(super) const GRACE_MIN: Duration = Duration::from_secs(2);

/// Seconds of grace if a pod does not say.
pub(super) const GRACE_SECONDS: i64 = 30;

/// A message, and that the container will be restarted if that is so.
pub(super) fn intent(run: &Run<'_>, message: String) -> String {
    match run.input.pod.spec.restart_policy {
        RestartPolicy::Never => message,
        _ => format!("{message}, will be restarted"),
    }
}

/// One attempt of a container is to be stopped.
pub(super) fn stop(run: &mut Run<'_>, (kind, name): (Kind, &str), attempt: u32, grace: Option<i64>, message: &str) {
    let grace = grace.or(run.input.pod.spec.termination_grace_period_seconds).unwrap_or(GRACE_SECONDS);
    let deadline = later(run.input.now, seconds(grace));
    if run.of(name).stop.as_ref().is_some_and(|old| old.attempt == attempt) {
        return;
    }
    run.of(name).stop = Some(ContainerStop { attempt, deadline, message: message.to_owned() });
    run.of(name).killing_told = Some(attempt);
    run.event(PodEvent::of(false, "Killing", (kind, name), message));
}

/// Goes on with the stops that were decided, and decides those of containers whose image was changed.
pub(super) fn carry_out(run: &mut Run<'_>) {
    for view in run.views() {
        let (Now::Running(_), Some(newest)) = (view.now, view.newest) else { continue };
        if view.kind != Kind::Ephemeral && is_other(newest, view.spec) {
            let text = format!("Container {} definition changed, will be restarted", view.name());
            stop(run, view.place(), newest.attempt, None, &text);
        }
        let due = run.of(view.name()).stop.clone().filter(|stop| stop.attempt == newest.attempt);
        if let Some(stop) = due {
            lane(run, &view, stop.deadline, true);
        }
    }
}

/// The next step of stopping a container that runs: its hook, then the stop itself if it is its turn.
pub(super) fn lane(run: &mut Run<'_>, view: &View<'_>, deadline: Timestamp, turn: bool) {
    let (key, now) = (LaneKey::Container(view.name().to_owned()), run.input.now);
    if run.must_wait(&format!("container/{}", view.name())) {
        return;
    }
    let hook_ended = run.of(view.name()).hook_done == view.attempt();
    if let Some(handler) = view.spec.lifecycle.pre_stop.as_ref().filter(|_| !hook_ended && deadline > now) {
        let ip = super::launch::pod_ips(run).first().copied();
        let action = probe::hook(handler, view.spec, ip);
        let timeout = Some(between(now, deadline));
        let step = Step::RunHook { target: view.target(), hook: Hook::PreStop, action, timeout };
        return run.urgent(key, vec![step], deadline);
    }
    if turn {
        run.urgent(key, vec![Step::StopContainer { target: view.target(), deadline, grace_min: GRACE_MIN }], deadline);
    }
}

fn crash_wait(failures: u32) -> Duration {
    CRASH_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(CRASH_MAX)
}

/// Whether a container that ended has to wait before it is started again. Tells of it, and wakes in time.
pub(super) fn backoff(run: &mut Run<'_>, view: &View<'_>) -> bool {
    let Now::Exited(exit) = view.now else { return false };
    let (now, restarts) = (run.input.now, run.of(view.name()).restarts.clone());
    let wait = crash_wait(restarts.failures);
    let until = later(exit.finished_at, wait);
    let fresh = restarts.last_at.is_none_or(|last| between(last, exit.finished_at) > CRASH_FORGET);
    // An end that is yet to come was noted before the clock went back: nobody knows how long ago it was.
    if fresh || until <= now || exit.finished_at > now {
        return false;
    }
    let (pod, name) = (pod_name(run.input.pod), view.name());
    let message = format!("back-off {} restarting failed container={name} pod={pod}", go_duration(wait));
    if run.waits(view, "CrashLoopBackOff", message) {
        let text = format!("Back-off restarting failed container {name} in pod {pod}");
        run.event(PodEvent::of(true, "BackOff", view.place(), text));
    }
    run.wake(until);
    true
}

/// A container was made again: the next wait is longer, unless the one before ran long.
pub(super) fn count(run: &mut Run<'_>, name: &str, attempt: u32) {
    let before = run.input.observed.containers.iter().filter(|one| one.name == name && one.attempt < attempt);
    let Some(before) = before.max_by_key(|one| one.attempt) else { return };
    let ContainerState::Exited(exit) = &before.state else { return };
    // An end that nobody saw, as by a reboot, is not its fault.
    if exit.code.is_none() {
        return;
    }
    let (now, finished) = (run.input.now, exit.finished_at);
    let restarts = &mut run.of(name).restarts;
    let fresh = restarts.last_at.is_none_or(|last| between(last, finished) > CRASH_FORGET);
    restarts.failures = if fresh { 1 } else { restarts.failures.saturating_add(1) };
    restarts.last_at = Some(now);
}
