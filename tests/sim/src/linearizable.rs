//! Whether a register's history is linearizable: one order of its operations explains all answers and respects
//! real time. Main function: [`check`].
//!
//! Wing and Gong's search with Lowe's memory of visited configurations ("Testing for linearizability", 2017). Each
//! register is judged apart: linearizability is local (Herlihy and Wing, 1990, theorem 1).

use std::collections::{BTreeMap, HashSet};

use crate::history::{Action, Ending, Operation, Value};

/// Configurations looked at before a register's history counts as undecided; far more than short runs need.
const VISITED_LIMIT: usize = 2_000_000;

/// A register whose answers no order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub key: u32,
    /// What was done with it.
    pub operations: Vec<Operation>,
    /// The search was given up instead.
    pub undecided: bool,
}

/// Judges each register.
///
/// # Errors
/// The first [`Violation`].
pub fn check(operations: &[Operation]) -> Result<(), Box<Violation>> {
    let mut registers: BTreeMap<u32, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        let moot =
            matches!((operation.action, operation.ending), (_, Ending::Denied) | (Action::Read(_), Ending::Open));
        if !moot {
            registers.entry(operation.key).or_default().push(*operation);
        }
    }
    for (key, operations) in registers {
        match explains(&operations) {
            Some(true) => {}
            found => return Err(Box::new(Violation { key, operations, undecided: found.is_none() })),
        }
    }
    Ok(())
}

/// Which operations have taken effect, and the register's value then.
type Configuration = (Vec<u64>, Value);

/// Whether some order explains the answers; `None` where that was too hard to tell.
fn explains(operations: &[Operation]) -> Option<bool> {
    let mut visited: HashSet<Configuration> = HashSet::new();
    let mut stack: Vec<Configuration> = vec![(vec![0; operations.len().div_ceil(64)], 0)];
    while let Some((done, value)) = stack.pop() {
        if answered_are_done(operations, &done) {
            return Some(true);
        }
        for (place, next_value) in candidates(operations, &done, value) {
            let mut next = done.clone();
            next[place / 64] |= 1 << (place % 64);
            let next = (next, next_value);
            if visited.insert(next.clone()) {
                stack.push(next);
            }
        }
        if visited.len() > VISITED_LIMIT {
            return None;
        }
    }
    Some(false)
}

fn is_done(done: &[u64], place: usize) -> bool {
    done[place / 64] >> (place % 64) & 1 == 1
}

fn answered_are_done(operations: &[Operation], done: &[u64]) -> bool {
    let answered = |operation: &Operation| matches!(operation.ending, Ending::Answered(_));
    operations.iter().enumerate().all(|(place, operation)| is_done(done, place) || !answered(operation))
}

/// Operations that may take effect next: called before any that is left was answered.
fn candidates(operations: &[Operation], done: &[u64], value: Value) -> Vec<(usize, Value)> {
    let left = || operations.iter().enumerate().filter(|(place, _)| !is_done(done, *place));
    let horizon = left().filter_map(|(_, operation)| match operation.ending {
        Ending::Answered(moment) => Some(moment),
        Ending::Denied | Ending::Open => None,
    });
    let horizon = horizon.min().unwrap_or(u64::MAX);
    let mut found = Vec::new();
    for (place, operation) in left().take_while(|(_, operation)| operation.called < horizon) {
        match operation.action {
            Action::Write(written) => found.push((place, written)),
            // A read that fits changes nothing, so it may as well come first, alone.
            Action::Read(seen) if seen == value => return vec![(place, value)],
            Action::Read(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(action: Action, called: u64, answered: Option<u64>) -> Operation {
        Operation { key: 0, action, called, ending: answered.map_or(Ending::Open, Ending::Answered) }
    }

    fn verdict(operations: &[Operation], expect: bool) {
        assert_eq!(check(operations).is_ok(), expect, "{operations:?}");
    }

    #[test]
    fn tells_histories_that_one_order_explains_from_others() {
        use Action::{Read, Write};
        // A read beside a write may see either value.
        verdict(&[operation(Write(1), 1, Some(4)), operation(Read(0), 2, Some(3))], true);
        verdict(&[operation(Write(1), 1, Some(4)), operation(Read(1), 2, Some(3))], true);
        // After the write was answered, only the new one.
        verdict(&[operation(Write(1), 1, Some(2)), operation(Read(0), 3, Some(4))], false);
        // Nor may a later read go back.
        let back = [operation(Write(1), 1, Some(9)), operation(Read(1), 2, Some(3)), operation(Read(0), 4, Some(5))];
        verdict(&back, false);
        // A write without an answer may happen late, or never.
        let late = [operation(Write(1), 1, None), operation(Read(0), 2, Some(3)), operation(Read(1), 4, Some(5))];
        verdict(&late, true);
        verdict(&[operation(Write(1), 1, None), operation(Read(0), 2, Some(3))], true);
        // A value nobody wrote.
        verdict(&[operation(Read(7), 1, Some(2))], false);
    }
}
