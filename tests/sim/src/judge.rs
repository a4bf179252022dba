//! What must hold of a [`Report`], besides linearizability. Each function judges one invariant.

use std::collections::{BTreeMap, BTreeSet};

use store::View;

use crate::{
    Report, client,
    history::{Action, Ending, Value},
    recovery::{self, Before},
};

/// One invariant: its name, and whether a run kept it.
pub type Invariant = (&'static str, fn(&Report) -> Result<(), String>);

/// What is judged when a run is over. While it runs, the world itself observes `one_leader_a_term`, `voters_stay`,
/// `survival` and `quorum_reforms`, and of a recovery `recovers` and `disturbs_nobody`.
const INVARIANTS: [Invariant; 6] = [
    ("recovered_a_prefix", recovered_a_prefix),
    ("nothing_lost", nothing_lost),
    ("nothing_twice", nothing_twice),
    ("watchers_agree", watchers_agree),
    ("replicas_agree", replicas_agree),
    ("linearizable", linearizable),
];

/// All that was violated: names and complaints.
#[must_use]
pub fn all(report: &Report) -> Vec<(&'static str, String)> {
    let ended = report.observed.iter().any(|(name, _)| *name == "quorum_reforms");
    // A cluster that did not come to rest has not told its watchers all: only what clients saw can be judged.
    let judged = INVARIANTS.iter().filter(|(name, _)| !ended || *name == "linearizable");
    let found = judged.filter_map(|(name, judge)| judge(report).err().map(|complaint| (*name, complaint)));
    found.chain(report.observed.iter().cloned()).collect()
}

/// A recovery began with a state that was: see [`recovery::began_with_a_prefix`].
///
/// # Errors
/// Where it did not.
pub fn recovered_a_prefix(report: &Report) -> Result<(), String> {
    report.before.as_ref().map_or(Ok(()), recovery::began_with_a_prefix)
}

/// Reads and writes are linearizable: see [`crate::linearizable`].
///
/// # Errors
/// The register whose answers no order explains.
pub fn linearizable(report: &Report) -> Result<(), String> {
    let beginning = report.before.iter().flat_map(Before::as_operations);
    let operations: Vec<_> = beginning.chain(report.operations.iter().copied()).collect();
    let earlier = report.before.as_ref().map_or(Ok(()), |before| crate::linearizable::check(&before.operations));
    earlier
        .and_then(|()| crate::linearizable::check(&operations))
        .map_err(|violation| format!("no order explains register {}: {:?}", violation.key, violation.operations))
}

/// All nodes hold the same in the end.
///
/// # Errors
/// Where they differ.
pub fn replicas_agree(report: &Report) -> Result<(), String> {
    let held = |view: &View| -> Vec<(Value, i64)> {
        let registers = 0..client::KEYS;
        registers.map(|key| (client::value(view, key), view.counter(&client::counter(key)))).collect()
    };
    let mut all = report.finals.iter().map(held);
    let first = all.next();
    match all.position(|other| Some(&other) != first.as_ref()) {
        Some(place) => Err(format!("nodes 1 and {} hold different states", place + 2)),
        None => Ok(()),
    }
}

/// Every acknowledged write is in the history that watchers were told, and none that was surely refused is.
///
/// # Errors
/// What is missing, or should not be there.
pub fn nothing_lost(report: &Report) -> Result<(), String> {
    let told: BTreeSet<Value> = report.watchers.iter().flatten().map(|change| change.value).collect();
    for operation in &report.operations {
        match (operation.action, operation.ending) {
            (Action::Write(value), Ending::Answered(_)) if !told.contains(&value) => {
                return Err(format!("acknowledged write {value:#x} of register {} is lost", operation.key));
            }
            (Action::Write(value), Ending::Denied) if told.contains(&value) => {
                return Err(format!("write {value:#x} of register {} was denied, yet applied", operation.key));
            }
            _ => {}
        }
    }
    Ok(())
}

/// No write is applied twice: no value appears twice, and each register's counter has counted each once.
///
/// # Errors
/// What was applied twice.
pub fn nothing_twice(report: &Report) -> Result<(), String> {
    let (Some(changes), Some(last)) = (report.watchers.first(), report.finals.first()) else { return Ok(()) };
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    let mut values = BTreeSet::new();
    for change in changes {
        if !values.insert(change.value) {
            return Err(format!("{:#x} was written twice", change.value));
        }
        *counts.entry(&change.key).or_default() += 1;
    }
    for register in 0..client::KEYS {
        let key = client::key(register);
        let began = report.before.as_ref().map_or(0, |before| before.register(register).1);
        let told = began + counts.get(&*key).copied().unwrap_or(0);
        let counted = last.counter(&client::counter(register));
        if told != counted {
            return Err(format!("{key}: {told} changes were told, {counted} counted"));
        }
    }
    Ok(())
}

/// All watchers were told the same, in rising revisions, and it leads to the final state of every node.
///
/// # Errors
/// Where they differ.
pub fn watchers_agree(report: &Report) -> Result<(), String> {
    let Some(first) = report.watchers.first() else { return Ok(()) };
    if let Some(pair) = first.windows(2).find(|pair| pair[0].revision >= pair[1].revision) {
        return Err(format!("revisions do not rise: {pair:?}"));
    }
    if let Some(other) = report.watchers.iter().find(|other| *other != first) {
        let place = first.iter().zip(other).take_while(|(a, b)| a == b).count();
        return Err(format!("watchers differ from change {place} on: {:?}, {:?}", first.get(place), other.get(place)));
    }
    let began = |register| report.before.as_ref().map_or(0, |before| before.register(register).0);
    let folded: BTreeMap<&str, Value> = first.iter().map(|change| (&*change.key, change.value)).collect();
    for (node, view) in report.finals.iter().enumerate() {
        for register in 0..client::KEYS {
            let (told, held) = (
                folded.get(&*client::key(register)).copied().unwrap_or(began(register)),
                client::value(view, register),
            );
            if told != held {
                return Err(format!("node {}: register {register} holds {held:#x}, was told {told:#x}", node + 1));
            }
        }
    }
    Ok(())
}
