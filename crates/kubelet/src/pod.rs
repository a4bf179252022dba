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
    observed::{NodeFacts, Observed, References},
    step::{Lane, LaneKey, StepResult},
};

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
    Plan { history: input.history.clone(), ..Plan::default() }
}

/// What to do with what is left of a pod that the API no longer has: all is killed with its remaining grace and taken away.
#[must_use]
pub fn plan_orphan(observed: &Observed, history: &History, in_flight: &BTreeSet<LaneKey>, now: Timestamp) -> Plan {
    let _ = (observed, in_flight, now);
    Plan { history: history.clone(), ..Plan::default() }
}
