//! No run of any seed violates an invariant; which there are is in `sim::judge`.

use std::path::Path;

use sim::{child, plan::Scenario};

/// Seeds of the cluster of two: its states are fewer.
const PAIRS: usize = 20;

fn check(scenario: Scenario, seeds: &[u64]) {
    let all = child::run_all(Path::new(env!("CARGO_BIN_EXE_sim")), seeds, scenario);
    println!("{}: {}", scenario.name(), child::account(&all));
    let bad: Vec<_> = all.iter().filter(|(_, findings)| !findings.violated.is_empty()).collect();
    assert!(bad.is_empty(), "{} of {} seeds: {bad:#?}", bad.len(), all.len());
}

#[test]
fn all_invariants_hold_whatever_fails() {
    check(Scenario::Sound, &sim::seeds());
}

#[test]
fn two_members_lose_nothing_whatever_fails_but_the_only_voters_disk() {
    let seeds = sim::seeds();
    check(Scenario::Pair, &seeds[..seeds.len().min(PAIRS)]);
}
