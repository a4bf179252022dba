//! What is left of a pod that the API no longer has. Main function: [`plan`].

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Plan, restart::GRACE_MIN};
use crate::{
    history::{Ending, History},
    observed::{Container, ContainerState, Observed, Volumes},
    step::{Lane, LaneKey, Step, Target},
};

/// Stops what runs, then takes all away.
pub(super) fn plan(observed: &Observed, history: &History, in_flight: &BTreeSet<LaneKey>, now: Timestamp) -> Plan {
    let mut history = history.clone();
    let since = history.ending.get_or_insert(Ending { since: now, deadline: now, grace_seconds: 0 }).since;
    let mut lanes: Vec<Lane> = observed.containers.iter().filter(|one| runs(one)).map(|one| stop(one, since)).collect();
    let stopped = lanes.is_empty();
    // What is under way for a container that does not run would make it anew.
    let other = in_flight
        .iter()
        .filter(|key| matches!(key, LaneKey::Container(_)) && !lanes.iter().any(|lane| lane.key == **key));
    let other: Vec<Lane> =
        other.map(|key| Lane { key: key.clone(), steps: Vec::new(), deadline: Some(since) }).collect();
    let quiet = stopped && other.is_empty();
    lanes.extend(other);
    let steps = if quiet { remove(observed, history.torn_down) } else { Vec::new() };
    let finished = quiet && steps.is_empty() && !in_flight.contains(&LaneKey::Pod);
    // One that fails leaves its volumes known as ready, and is repeated for that.
    history.torn_down |= !steps.is_empty();
    if !steps.is_empty() {
        lanes.push(Lane { key: LaneKey::Pod, steps, deadline: Some(since) });
    }
    Plan { lanes, history, finished, ..Plan::default() }
}

fn runs(one: &Container) -> bool {
    matches!(one.state, ContainerState::Running { .. })
}

fn stop(one: &Container, since: Timestamp) -> Lane {
    let target = Target { name: one.name.clone(), attempt: one.attempt, id: Some(one.id.clone()) };
    let step = Step::StopContainer { target, deadline: since, grace_min: GRACE_MIN };
    Lane { key: LaneKey::Container(one.name.clone()), steps: vec![step], deadline: Some(since) }
}

fn remove(observed: &Observed, torn_down: bool) -> Vec<Step> {
    let ready = observed.sandboxes.iter().filter(|one| one.ready);
    let mut steps: Vec<Step> = ready.map(|one| Step::StopSandbox { id: one.id.clone() }).collect();
    steps.extend(observed.sandboxes.iter().map(|one| Step::RemoveSandbox { id: one.id.clone() }));
    steps.extend(observed.network.as_ref().map(|_| Step::DetachNetwork));
    if observed.volumes != Volumes::Absent || !torn_down {
        steps.push(Step::RemoveVolumes);
    }
    steps
}
