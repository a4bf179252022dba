//! The simulation finds what it is for: each bug put in on purpose violates an invariant that it names.

use std::path::Path;

use sim::{child, flaw::Flaw, plan::Scenario};

/// Runs in which a bug must show.
const TRIES: u64 = 16;

/// Which invariants speak of each bug.
const EXPECTED: [(Flaw, &[&str]); Flaw::ALL.len()] = [
    (Flaw::AcknowledgeBeforeSync, &["nothing_lost"]),
    (Flaw::ResumeLeadership, &["nothing_lost", "replicas_agree", "watchers_agree", "linearizable"]),
    (Flaw::StaleReads, &["linearizable"]),
    (Flaw::RetryUnderNewId, &["nothing_twice"]),
    (Flaw::AcknowledgeUnclear, &["nothing_lost"]),
    (Flaw::DenyUnclear, &["nothing_lost"]),
    (Flaw::WatchSkips, &["watchers_agree"]),
    (Flaw::WatchRepeats, &["watchers_agree"]),
    (Flaw::ShrinkVoters, &["voters_stay"]),
    (Flaw::ForgetPeers, &["quorum_reforms"]),
    (Flaw::ForgetVotes, &["one_leader_a_term"]),
];

/// The first seed that finds this, and the invariant that tells of it.
fn find(flaw: Flaw, expected: &[&str]) -> Option<(u64, String)> {
    (1..=TRIES).find_map(|seed| {
        let findings = child::run(Path::new(env!("CARGO_BIN_EXE_sim")), seed, Scenario::Flawed(flaw));
        let named = findings.violated.into_iter().find(|(name, _)| expected.contains(&&**name));
        named.map(|(name, _)| (seed, name))
    })
}

#[test]
fn each_bug_put_in_on_purpose_is_found_and_named() {
    for (flaw, expected) in EXPECTED {
        let found = find(flaw, expected);
        println!("{}: {found:?}", flaw.name());
        assert!(found.is_some(), "{}: {TRIES} runs looked sound", flaw.name());
    }
}
