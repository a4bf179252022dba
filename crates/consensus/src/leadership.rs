//! Who leads, for those who act only on the leader and for those who forward to it. Main type: [`Leadership`].

use std::time::Duration;

use net::NodeId;
use openraft::{ServerState, async_runtime::watch::WatchReceiver, metrics::RaftServerMetrics};
use tokio::sync::watch;

use crate::{
    machine::Progress,
    node::{Inner, Raft},
    types::TypeConfig,
};

/// Who leads, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Its term; [`store::Guard::Term`] compares with it.
    pub term: u64,
    /// This node leads, and has applied an entry of its own term: it has seen all that earlier leaders have
    /// acknowledged. Deciders start now, not before.
    pub own_first_entry_applied: bool,
}

fn leadership(metrics: &RaftServerMetrics<TypeConfig>, progress: Progress) -> Leadership {
    let term = metrics.vote.leader_id.term;
    Leadership {
        leader: metrics.current_leader,
        term,
        own_first_entry_applied: metrics.state == ServerState::Leader && progress.term == term,
    }
}

/// Keeps `told` equal to what openraft and the applied state say, until either ends.
pub(crate) async fn follow(raft: Raft, mut progress: watch::Receiver<Progress>, told: watch::Sender<Leadership>) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = leadership(&metrics.borrow_and_update(), *progress.borrow_and_update());
        told.send_if_modified(|before| std::mem::replace(before, now) != now);
        let ended = tokio::select! {
            biased;
            changed = metrics.changed() => changed.is_err(),
            changed = progress.changed() => changed.is_err(),
        };
        if ended {
            return;
        }
    }
}

impl Inner {
    /// Returns once news come that another node leads: nobody needs to wait for an answer of a dead leader. What this
    /// node believes already counts for nothing, since it may be asking on somebody's better knowledge.
    pub(crate) async fn succeeded(&self, leader: NodeId) {
        let mut leadership = self.leadership.subscribe();
        while leadership.changed().await.is_ok() {
            if leadership.borrow_and_update().leader.is_some_and(|now| now != leader) {
                return;
            }
        }
        std::future::pending().await
    }
}

/// Waits until the leadership differs from `seen`, but not longer than `limit`.
pub(crate) async fn changed(from: &mut watch::Receiver<Leadership>, limit: Duration) {
    let _ = tokio::time::timeout(limit, from.changed()).await; // either way the caller looks again
}
