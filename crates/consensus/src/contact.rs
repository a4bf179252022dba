//! When this node was last in touch with a leader that a quorum may follow. Main type: [`Contact`].
//!
//! openraft's own notion of the present leader outlives the leader's death until an election; readers are to be
//! told the age of their data, so each append request that arrives is noted here.

use std::time::Duration;

use openraft::{Instant as _, async_runtime::watch::WatchReceiver};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::node::Raft;

/// The newest sign of life of a leader.
#[derive(Debug)]
pub(crate) struct Contact(Mutex<Instant>);

impl Contact {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// A leader spoke just now.
    pub(crate) fn heard(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Time since a leader spoke, or, on the leader, since a quorum did.
    pub(crate) fn age(&self, raft: &Raft) -> Duration {
        if let Some(acked) = quorum_acked(raft) {
            let mut last = self.0.lock();
            *last = (*last).max(acked);
        }
        self.0.lock().elapsed()
    }
}

/// When a quorum last answered this node, if it leads. A leader without others is its own quorum.
fn quorum_acked(raft: &Raft) -> Option<Instant> {
    if !raft.is_leader() {
        return None;
    }
    if raft.voter_ids().nth(1).is_none() {
        return Some(Instant::now());
    }
    let metrics = raft.data_metrics();
    let acked = metrics.borrow_watched().last_quorum_acked?;
    Instant::now().checked_sub(acked.elapsed())
}
