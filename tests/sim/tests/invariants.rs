//! No run of any seed violates an invariant; which there are is in `sim::invariants`.

use std::path::Path;

use sim::{child, plan::Scenario};

/// Seeds of each other world: its faults or states are fewer.
const SEEDS: usize = 20;

fn check(scenario: Scenario, seeds: &[u64]) {
    let all = child::run_all(Path::new(env!("CARGO_BIN_EXE_sim")), seeds, scenario);
    println!("{}: {}", scenario.name(), child::account(&all));
    let bad: Vec<_> = all.iter().filter(|(_, findings)| !findings.violated.is_empty()).collect();
    assert!(bad.is_empty(), "{} of {} seeds: {bad:#?}", bad.len(), all.len());
}

fn check_some(scenario: Scenario) {
    let seeds = sim::seeds();
    check(scenario, &seeds[..seeds.len().min(SEEDS)]);
}

#[test]
fn all_invariants_hold_whatever_fails() {
    check(Scenario::Sound, &sim::seeds());
}

#[test]
fn two_members_lose_nothing_whatever_fails_but_the_only_voters_disk() {
    check_some(Scenario::Pair);
}

#[test]
fn a_survivor_of_two_goes_on_with_what_it_had_and_the_old_member_disturbs_nobody() {
    check_some(Scenario::Recovered);
}

#[test]
fn one_disk_that_lies_about_its_syncs_costs_nothing_while_the_others_agree() {
    check_some(Scenario::Liar);
}
