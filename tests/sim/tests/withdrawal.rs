//! No endpoint is withdrawn that can be reached, and none used that cannot, in any world: see `sim::deciders::withdrawal`.

use sim::deciders::withdrawal;

/// Worlds of an hour each.
const WORLDS: u64 = 50;

#[test]
fn the_dead_are_not_used_the_reachable_are_and_a_cut_off_node_changes_nothing() {
    let accounts: Vec<_> =
        (1..=WORLDS).map(|seed| withdrawal::run(seed).unwrap_or_else(|why| panic!("{why}"))).collect();
    let decisions: u64 = accounts.iter().map(|account| account.decisions).sum();
    assert!(decisions > WORLDS, "too little happened: {decisions} decisions");
}
