//! Runs the lanes of a pod's plans, each as a task of its own. Steps are in [`super::steps`].

use std::sync::Arc;

use ::kubelet::step::{Lane, Outcome, Step};
use ::kubelet::{LaneKey, StepResult};
use jiff::Timestamp;
use tracing::debug;

use super::keeper::{Keeper, Running};
use super::machine::Machine;
use super::steps::Steps;

impl Keeper {
    /// Starts a lane, unless one of its key is in flight that is to be left to run.
    pub fn start(self: Arc<Self>, machine: Arc<Machine>, lane: Lane) {
        let keeper = self.clone();
        let mut inner = self.inner.lock();
        if let Some(running) = inner.lanes.get(&lane.key)
            && stays(running.deadline, lane.deadline)
        {
            return;
        }
        inner.lanes_started += 1;
        let number = inner.lanes_started;
        let (key, deadline) = (lane.key.clone(), lane.deadline);
        let task = tokio::spawn(run(keeper, machine, lane, number)).abort_handle();
        // One that is displaced ends here.
        inner.lanes.insert(key, Running { number, deadline, task });
    }
}

/// Whether a lane that runs is left to, although one of its key is wanted with this deadline.
fn stays(running: Option<Timestamp>, wanted: Option<Timestamp>) -> bool {
    match (running, wanted) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(running), Some(wanted)) => running <= wanted,
    }
}

async fn run(keeper: Arc<Keeper>, machine: Arc<Machine>, lane: Lane, number: u64) {
    let mut steps = Steps::new(&machine, &keeper);
    let mut results = Vec::new();
    let mut changes_runtime = false;
    for step in lane.steps {
        changes_runtime |= changes(&step);
        let started_at = clock::now();
        let outcome = steps.run(&step).await;
        let failed = matches!(outcome, Outcome::Failed { .. });
        if let Outcome::Failed { message } = &outcome {
            debug!(pod = keeper.uid, lane = ?lane.key, message, "a step failed");
        }
        results.push(StepResult { step, started_at, finished_at: clock::now(), outcome });
        if failed {
            break;
        }
    }
    if changes_runtime {
        // The next plan must see what these steps did. Where the runtime does not answer, none is made until it does.
        let _ = machine.listing.refresh().await;
    }
    keeper.push(results);
    keeper.ended(&lane.key, number);
    machine.wake(&keeper.uid);
}

impl Keeper {
    fn ended(&self, key: &LaneKey, number: u64) {
        let mut inner = self.inner.lock();
        if inner.lanes.get(key).is_some_and(|running| running.number == number) {
            inner.lanes.remove(key);
        }
    }
}

/// Whether the runtime's listing differs after a step.
fn changes(step: &Step) -> bool {
    !matches!(
        step,
        Step::Probe { .. }
            | Step::RunHook { .. }
            | Step::ReadTerminationMessage { .. }
            | Step::PrepareVolumes(_)
            | Step::RemoveVolumes
            | Step::Confirm { .. }
            | Step::PullImage { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_deadline_displaces_nothing_and_an_earlier_one_does() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        for (running, wanted, expect) in [
            (None, None, true),
            (at(1), None, true),
            (None, at(1), false),
            (at(1), at(1), true),
            (at(1), at(2), true),
            (at(2), at(1), false),
        ] {
            assert_eq!(stays(running, wanted), expect, "{running:?} {wanted:?}");
        }
    }
}
