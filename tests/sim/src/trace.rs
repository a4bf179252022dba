//! A hash of all that happened in a run, in its order: two runs of one seed must have the same. Functions: [`start`],
//! [`note`], [`finish`].
//!
//! Noted are faults, calls between nodes, clients' operations, what watchers were told, and each node's progress, with
//! the step of each. A simulation lives on one thread, and so does its trace.

use std::{
    cell::{Cell, RefCell},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

thread_local! {
    static TRACE: RefCell<DefaultHasher> = RefCell::default();
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Forgets what was noted before.
pub fn start() {
    TRACE.set(DefaultHasher::new());
    at(Duration::ZERO);
}

/// The step that ends at this virtual time begins.
pub fn at(now: Duration) {
    NOW.set(now);
}

/// Something happened, in this step.
pub fn note(what: &str, details: impl Hash) {
    TRACE.with_borrow_mut(|trace| (NOW.get(), what, details).hash(trace));
}

/// The hash of all that was noted.
pub fn finish() -> u64 {
    TRACE.with_borrow(|trace| trace.finish())
}
