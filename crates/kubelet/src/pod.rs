//! One pod: what to do next and what its status is. Main function: [`plan`].
//!
//! Level-triggered: the same input gives the same plan, and a plan whose steps are under way may be made again.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    event::PodEvent,
    history::{History, Verdict},
    model::Pod,
    node,
    observed::{NodeFacts, Observed, References},
    status,
    step::{Lane, LaneKey, StepResult},
};

mod end;
mod ended;
pub(crate) mod launch;
mod orphan;
mod probes;
mod restart;
mod results;
pub(crate) mod run;
mod start;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use run::Run;

/// All that a plan follows from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The pod, as read by [`Pod::read`] from the newest object known.
    pub pod: &'a Pod,
    /// What is.
    pub observed: &'a Observed,
    /// What was remembered with the plan before; the default for a pod never seen.
    pub history: &'a History,
    /// What came of steps since the plan before, oldest first.
    pub results: &'a [StepResult],
    /// Lanes in flight.
    pub in_flight: &'a BTreeSet<LaneKey>,
    /// Objects the pod refers to.
    pub references: &'a References,
    /// The node.
    pub node: &'a NodeFacts,
    /// [`crate::node::admit`] refused it; asked for when the pod is first seen.
    pub refused: Option<&'a Verdict>,
    /// The time.
    pub now: Timestamp,
}

/// What to do next.
///
/// In this order: keep [`Self::history`] (on disk if [`Self::persist`]), record the events, write the status, start the lanes.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// To be started, unless one of the key is in flight; see [`Lane::deadline`].
    pub lanes: Vec<Lane>,
    /// To be recorded.
    pub events: Vec<PodEvent>,
    /// The whole of `.status`, where it differs from the pod's.
    pub status: Option<Value>,
    /// To be remembered; replaces the input's.
    pub history: History,
    /// Something in it has changed that has to survive a restart.
    pub persist: bool,
    /// Plan again then, if nothing else happens.
    pub wake_at: Option<Timestamp>,
    /// Nothing is left to do for it, here or at the API: it can be forgotten with its history and folder. Only after a deletion.
    pub finished: bool,
}

/// What to do next for a pod.
#[must_use]
pub fn plan(input: &Input<'_>) -> Plan {
    let mut run = Run::new(input);
    remember(&mut run);
    results::digest(&mut run);
    end::decide(&mut run);
    ended::read(&mut run);
    match run.history.ending.clone() {
        Some(ending) => end::advance(&mut run, &ending),
        None => {
            start::advance(&mut run);
            restart::carry_out(&mut run);
        }
    }
    probes::schedule(&mut run);
    if input.pod.metadata.deletion_timestamp.is_none() {
        ended::prune(&mut run);
    }
    let status = status::render(&mut run);
    if status.is_some() {
        end::hold(&mut run);
    }
    run.into_plan(status)
}

/// What has to be known before all else.
fn remember(run: &mut Run<'_>) {
    let input = run.input;
    if run.history.first_seen.is_none() {
        let told = input.pod.status.get("startTime").and_then(Value::as_str).and_then(api::meta::parse_time);
        run.history.first_seen = Some(told.unwrap_or(input.now));
    }
    if let Some(refused) =
        input.refused.filter(|_| run.history.verdict.is_none() && input.observed.sandboxes.is_empty())
    {
        let text = refused.message.strip_prefix(node::REJECTED).unwrap_or(&refused.message);
        run.event(PodEvent::of_pod(true, node::reason(&refused.reason), text));
        run.history.verdict = Some(refused.clone());
    }
    let sandboxes = input.observed.sandboxes.iter().map(|one| one.attempt.saturating_add(1));
    run.history.sandboxes = sandboxes.fold(run.history.sandboxes, u32::max);
    for one in &input.observed.containers {
        // Seen for the first time.
        if run.of(&one.name).attempts <= one.attempt {
            run.of(&one.name).attempts = one.attempt.saturating_add(1);
            restart::count(run, &one.name, one.attempt);
        }
    }
}

/// What to do with what is left of a pod that the API no longer has: all is stopped with the least grace and taken away. Its
/// [`Plan::finished`] means that nothing is left.
#[must_use]
pub fn plan_orphan(observed: &Observed, history: &History, in_flight: &BTreeSet<LaneKey>, now: Timestamp) -> Plan {
    orphan::plan(observed, history, in_flight, now)
}
