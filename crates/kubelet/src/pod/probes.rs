//! When probes of a pod's containers run. Main function: [`schedule`]. What their answers mean is in [`crate::probe`].

use super::{
    launch::pod_ips,
    run::Run,
    view::{self, Now, View},
};
use crate::{
    model::Kind,
    probe::{Sort, State, check},
    step::{LaneKey, Step},
    text::seconds,
};

/// Starts the probes that are due, and wakes for the next.
pub(super) fn schedule(run: &mut Run<'_>) {
    for view in run.views() {
        let probed = view.kind == Kind::Main || view.is_sidecar();
        let Now::Running(since) = view.now else { continue };
        if !probed || view.hook_runs(&run.input, &run.history) {
            continue;
        }
        for sort in active(run, &view) {
            one(run, &view, sort, since);
        }
    }
}

/// The startup probe until it has succeeded, then the others; of a pod that ends, readiness only.
fn active(run: &mut Run<'_>, view: &View<'_>) -> Vec<Sort> {
    let attempt = view.attempt().unwrap_or_default();
    let stopping = run.of(view.name()).stop.as_ref().is_some_and(|stop| stop.attempt == attempt);
    let ending = run.history.ending.is_some();
    let up = Sort::Startup.of(view.spec).is_none()
        || view::result(&run.history, view.name(), Sort::Startup, attempt) == Some(true);
    let wanted = |sort: &Sort| match sort {
        Sort::Startup => !up && !stopping && !ending,
        Sort::Liveness => up && !stopping && !ending,
        Sort::Readiness => up,
    };
    Sort::ALL.into_iter().filter(wanted).collect()
}

fn one(run: &mut Run<'_>, view: &View<'_>, sort: Sort, since: jiff::Timestamp) {
    let Some(probe) = sort.of(view.spec) else { return };
    let (target, now) = (view.target(), run.input.now);
    let state = run.of(view.name()).probes.entry(sort).or_default();
    if state.attempt != target.attempt {
        *state = State { attempt: target.attempt, ..State::default() };
    }
    let due = state.due(probe, since, now);
    if due > now {
        return run.wake(due);
    }
    let key = LaneKey::Probe(view.name().to_owned(), sort);
    if run.in_flight(&key) {
        return;
    }
    let check = check(probe, view.spec, pod_ips(run).first().copied());
    run.lane(key, vec![Step::Probe { target, sort, check, timeout: seconds(probe.timeout_seconds.max(1)) }]);
}
