//! A plan in the making. Main type: [`Run`].

use std::time::Duration;

use jiff::Timestamp;

use super::{Input, Plan, view::View};
use crate::{
    event::PodEvent,
    history::{Backoff, ContainerHistory, History},
    model::Kind,
    observed::Sandbox,
    step::{Lane, LaneKey, Step},
    text::later,
};

/// The wait after the first failure of a step; doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest wait after failures of steps: a pod shall not wait long for what has come back.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A plan in the making.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) history: History,
    lanes: Vec<Lane>,
    events: Vec<PodEvent>,
    wake_at: Option<Timestamp>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(input: &Input<'a>) -> Self {
        Self { input: *input, history: input.history.clone(), lanes: Vec::new(), events: Vec::new(), wake_at: None }
    }

    pub(crate) fn into_plan(self, status: Option<serde_json::Value>) -> Plan {
        let persist = significant(&self.history) != significant(self.input.history);
        let finished = self.history.confirmed;
        Plan {
            lanes: self.lanes,
            events: self.events,
            status,
            persist,
            wake_at: self.wake_at,
            finished,
            history: self.history,
        }
    }

    /// Steps that displace nothing.
    pub(crate) fn lane(&mut self, key: LaneKey, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.lanes.push(Lane { key, steps, deadline: None });
        }
    }

    /// Takes back the lanes with such a step; says whether there were any.
    pub(crate) fn take_back(&mut self, is: fn(&Step) -> bool) -> bool {
        let before = self.lanes.len();
        self.lanes.retain(|lane| !lane.steps.iter().any(is));
        self.lanes.len() < before
    }

    /// Steps that displace those of a later deadline.
    pub(crate) fn urgent(&mut self, key: LaneKey, steps: Vec<Step>, deadline: Timestamp) {
        self.lanes.push(Lane { key, steps, deadline: Some(deadline) });
    }

    pub(crate) fn event(&mut self, event: PodEvent) {
        self.events.push(event);
    }

    /// Plan again then, at the latest.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |old| old.min(at)));
    }

    pub(crate) fn in_flight(&self, key: &LaneKey) -> bool {
        self.input.in_flight.contains(key)
    }

    pub(crate) fn of(&mut self, container: &str) -> &mut ContainerHistory {
        self.history.containers.entry(container.to_owned()).or_default()
    }

    pub(crate) fn view(&self, kind: Kind, spec: &'a crate::model::Container) -> View<'a> {
        View::of(&self.input, &self.history, kind, spec)
    }

    /// All containers of the spec.
    pub(crate) fn views(&self) -> Vec<View<'a>> {
        self.input.pod.all_containers().map(|(kind, spec)| self.view(kind, spec)).collect()
    }

    /// The newest sandbox.
    pub(crate) fn sandbox(&self) -> Option<&'a Sandbox> {
        self.input.observed.sandboxes.iter().max_by_key(|one| one.attempt)
    }

    /// Something failed: not again for a while.
    pub(crate) fn failed(&mut self, what: &str, message: &str) {
        self.failed_for(what, message, RETRY_MAX);
    }

    /// The same, for at most so long.
    pub(crate) fn failed_for(&mut self, what: &str, message: &str, most: Duration) {
        let now = self.input.now;
        let old = self.history.lanes.entry(what.to_owned()).or_default();
        let wait = RETRY_FIRST.saturating_mul(1 << old.failures.min(8)).min(most);
        let (failures, until) = (old.failures.saturating_add(1), Some(later(now, wait)));
        *old = Backoff { failures, last_at: Some(now), until, message: message.to_owned(), told: true };
    }

    /// Something succeeded.
    pub(crate) fn succeeded(&mut self, what: &str) {
        self.history.lanes.remove(what);
    }

    /// Whether something that failed is still to wait; then the plan wakes in time.
    pub(crate) fn must_wait(&mut self, what: &str) -> bool {
        let until = self.history.lanes.get(what).and_then(|old| old.until).filter(|until| *until > self.input.now);
        if let Some(until) = until {
            self.wake(until);
        }
        until.is_some()
    }

    /// The container cannot be made or started now; tells of it if that is new.
    pub(crate) fn waits(&mut self, view: &View<'_>, reason: &str, message: String) -> bool {
        let new = Some((reason.to_owned(), message));
        let history = self.of(view.name());
        let changed = history.waiting != new;
        history.waiting = new;
        changed
    }
}

/// A history without what changes with each answer of a probe.
fn significant(history: &History) -> History {
    let mut history = history.clone();
    for state in history.containers.values_mut().flat_map(|one| one.probes.values_mut()) {
        *state = crate::probe::State { attempt: state.attempt, result: state.result, ..Default::default() };
    }
    history
}
