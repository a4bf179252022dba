//! Voters are never too few, nor the wrong ones for long, in any world: see `sim::deciders::quorum`.

use sim::deciders::quorum;

/// Worlds of four hours each.
const WORLDS: u64 = 100;

#[test]
fn voters_are_never_too_few_and_the_dead_are_replaced() {
    let accounts: Vec<_> = (1..=WORLDS).map(|seed| quorum::run(seed).unwrap_or_else(|why| panic!("{why}"))).collect();
    let decisions: u64 = accounts.iter().map(|account| account.decisions).sum();
    assert!(decisions > WORLDS, "too little happened: {decisions} decisions");
}
