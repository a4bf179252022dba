//! The simulation finds what it is for: a node that acknowledges entries before they are synced loses them.

use consensus::SeededBug;
use sim::{Plan, judge, linearizable, plan::Fault};

/// Runs in which the bug must show.
const TRIES: u64 = 8;

#[test]
fn acknowledging_before_the_sync_is_found_out() {
    let plan = Plan {
        faults: vec![Fault::Blackout, Fault::SlowDisk],
        bug: Some(SeededBug::AcknowledgeBeforeSync),
        ..Plan::default()
    };
    let found = (1..=TRIES).any(|seed| {
        let run = std::panic::catch_unwind(|| {
            let report = sim::run(seed, &plan);
            judge::nothing_lost(&report).is_err()
                || judge::watchers_agree(&report).is_err()
                || linearizable::check(&report.operations).is_err()
        });
        // A node or a watcher that breaks has found it out too.
        run.unwrap_or(true)
    });
    assert!(found, "{TRIES} runs with lost writes looked sound");
}
