//! Pure deciders in simulated worlds of their own: no node, no message, only the truth, what each decider is told of it,
//! and what it makes of that. An hour takes milliseconds. Each world names the invariants that it judges.

use std::time::Duration;

pub mod quorum;
pub mod withdrawal;

/// What came of some hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Virtual time.
    pub simulated: Duration,
    /// Faults that happened.
    pub faults: u64,
    /// Decisions that were made: a run without any shows nothing.
    pub decisions: u64,
}
