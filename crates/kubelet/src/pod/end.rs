//! The end of a pod: deletion, deadline, refusal, or its work is done. Main functions: [`decide`], [`advance`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.

use std::time::Duration;

use super::{
    ended, restart,
    run::Run,
    view::{Now, View},
};
use crate::{
    event::PodEvent,
    history::{Ending, Verdict},
    model::Kind,
    observed::Volumes,
    status,
    step::{LaneKey, Step},
    text::{later, seconds},
};

/// How long after the end of its grace a pod's deletion waits for the write of its last status.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);

/// Decides whether the pod is to end, and until when it may take.
pub(super) fn decide(run: &mut Run<'_>) {
    deadline(run);
    let (pod, now) = (run.input.pod, run.input.now);
    let deleted = pod.metadata.deletion_timestamp.is_some();
    let own = pod.spec.termination_grace_period_seconds.unwrap_or(restart::GRACE_SECONDS);
    let grace = if deleted { pod.metadata.deletion_grace_period_seconds.unwrap_or(own) } else { own };
    let over = run.history.verdict.is_some() || status::is_over(run);
    match &mut run.history.ending {
        // A second deletion may shorten the grace; it never lengthens it.
        Some(ending) if grace < ending.grace_seconds => {
            ending.grace_seconds = grace;
            ending.deadline = ending.deadline.min(later(now, seconds(grace)));
        }
        Some(_) => {}
        None if deleted || over => {
            let deadline = later(now, seconds(grace));
            run.history.ending = Some(Ending { since: now, deadline, grace_seconds: grace });
        }
        None => {}
    }
}

/// The Pod is not deleted before its last status is written: watchers are to see how it ended. A status that the API never
/// takes must not keep it for ever.
pub(super) fn hold(run: &mut Run<'_>) {
    let Some(until) = run.history.ending.as_ref().map(|ending| later(ending.deadline, STATUS_PATIENCE)) else { return };
    if until > run.input.now && run.take_back(|step| matches!(step, Step::Confirm { .. })) {
        run.wake(until);
    }
}

/// `activeDeadlineSeconds`.
fn deadline(run: &mut Run<'_>) {
    const MESSAGE: &str = "Pod was active on the node longer than the specified deadline";
    let (Some(limit), Some(since)) = (run.input.pod.spec.active_deadline_seconds, run.history.first_seen) else {
        return;
    };
    if run.history.ending.is_some() || run.history.verdict.is_some() {
        return;
    }
    let at = later(since, seconds(limit));
    if at > run.input.now {
        return run.wake(at);
    }
    run.history.verdict = Some(Verdict { reason: "DeadlineExceeded".to_owned(), message: MESSAGE.to_owned() });
    run.event(PodEvent::of_pod(false, "DeadlineExceeded", MESSAGE));
}

/// The next steps of a pod that ends.
pub(super) fn advance(run: &mut Run<'_>, ending: &Ending) {
    let views = run.views();
    let busy = abandon(run, &views, ending);
    let alive: Vec<&View<'_>> = views.iter().filter(|view| matches!(view.now, Now::Running(_))).collect();
    for view in &alive {
        let attempt = view.attempt();
        if run.of(view.name()).killing_told != attempt {
            run.of(view.name()).killing_told = attempt;
            let text = format!("Stopping container {}", view.name());
            run.event(PodEvent::of(false, "Killing", view.place(), text));
        }
        restart::lane(run, view, stop_deadline(run, view, ending), is_turn(run, view, &alive, ending));
    }
    let reading = views.iter().any(|view| matches!(view.now, Now::Reading(_)));
    if alive.is_empty() && !busy && !reading {
        tear_down(run);
    } else if ending.deadline > run.input.now {
        run.wake(ending.deadline);
    }
}

/// One that was being stopped already keeps an earlier deadline.
fn stop_deadline(run: &Run<'_>, view: &View<'_>, ending: &Ending) -> jiff::Timestamp {
    let own = run.history.containers.get(view.name()).and_then(|one| one.stop.as_ref());
    let own = own.filter(|stop| Some(stop.attempt) == view.attempt()).map(|stop| stop.deadline);
    own.map_or(ending.deadline, |own| own.min(ending.deadline))
}

/// Gives up what is under way for containers that do not run; says whether anything is.
fn abandon(run: &mut Run<'_>, views: &[View<'_>], ending: &Ending) -> bool {
    let idle = views.iter().filter(|view| !matches!(view.now, Now::Running(_)));
    let keys: Vec<LaneKey> =
        idle.map(|view| LaneKey::Container(view.name().to_owned())).filter(|key| run.in_flight(key)).collect();
    for key in &keys {
        run.urgent(key.clone(), Vec::new(), ending.since);
    }
    !keys.is_empty()
}

/// Sidecars wait for the main containers, then stop in reverse order; when the grace is over, nobody waits.
fn is_turn(run: &Run<'_>, view: &View<'_>, alive: &[&View<'_>], ending: &Ending) -> bool {
    if !view.is_sidecar() || ending.deadline <= run.input.now {
        return true;
    }
    let place = |name: &str| run.input.pod.spec.init_containers.iter().position(|one| one.name == name);
    alive.iter().all(|other| match other.kind {
        Kind::Main => false,
        Kind::Init => !other.is_sidecar() || place(other.name()) <= place(view.name()),
        Kind::Ephemeral => true,
    })
}

/// Takes away what the pod had. Containers and logs stay until the pod is deleted.
fn tear_down(run: &mut Run<'_>) {
    let (observed, pod) = (run.input.observed, run.input.pod);
    if run.must_wait("teardown") || run.history.confirmed {
        return;
    }
    let deleted = pod.metadata.deletion_timestamp.is_some();
    let ready = observed.sandboxes.iter().filter(|one| one.ready);
    let mut steps: Vec<Step> = ready.map(|one| Step::StopSandbox { id: one.id.clone() }).collect();
    if deleted {
        // Logs go later: somebody may still read their end.
        steps.extend(observed.containers.iter().map(|one| ended::remove(one, None)));
        steps.extend(observed.sandboxes.iter().map(|one| Step::RemoveSandbox { id: one.id.clone() }));
    }
    steps.extend(observed.network.as_ref().map(|_| Step::DetachNetwork));
    if !run.history.torn_down || observed.volumes != Volumes::Absent {
        steps.push(Step::RemoveVolumes);
    }
    if deleted && steps.is_empty() {
        steps.push(Step::Confirm { uid: pod.metadata.uid.clone() });
    }
    let since = run.history.ending.as_ref().map_or(run.input.now, |ending| ending.since);
    if !steps.is_empty() {
        // Preparations that are still under way are given up.
        run.urgent(LaneKey::Pod, steps, since);
    }
}
