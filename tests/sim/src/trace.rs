//! A hash of all that happened in a run, in its order: two runs of one seed must have the same. Functions: [`start`],
//! [`note`], [`finish`].
//!
//! Noted are faults, calls between nodes, clients' operations, what watchers were told, and each node's progress, with
//! the virtual time of each. A simulation lives on one thread, and so does its trace.

use std::{
    cell::RefCell,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

thread_local! {
    static TRACE: RefCell<DefaultHasher> = RefCell::default();
}

/// Forgets what was noted before.
pub fn start() {
    TRACE.set(DefaultHasher::new());
}

/// Something happened, now.
pub fn note(what: &str, details: impl Hash) {
    let now: Option<Duration> = turmoil::sim_elapsed();
    TRACE.with_borrow_mut(|trace| (now, what, details).hash(trace));
}

/// The hash of all that was noted.
pub fn finish() -> u64 {
    TRACE.with_borrow(|trace| trace.finish())
}
