//! Linearizable reads by ReadIndex (Raft dissertation §6.4). Main type: [`ReadIndex`].
//!
//! Readers that come while a round is under way share the next one: a round serves those who came before it began,
//! however many they are.

use std::{sync::Arc, time::Duration};

use net::{NodeId, Protocol};
use openraft::{
    ReadPolicy,
    errors::{LinearizableReadError, RaftError},
};
use parking_lot::Mutex;
use store::ReadError;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    codec, leadership,
    node::Inner,
    peers,
    wire::{ReadIndexResponse, methods},
};

/// Readers that may wait for a round; more are refused, since no quorum would answer them in time either.
const WAITING_LIMIT: usize = 100_000;

/// How long one question to the leader may take before it is asked again.
const ROUND_LIMIT: Duration = Duration::from_millis(700);

/// Pause before another try where leadership has not changed meanwhile.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The readers who wait for the next round.
#[derive(Debug, Default)]
pub(crate) struct ReadIndex(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// A task is answering.
    running: bool,
    readers: Vec<oneshot::Sender<u64>>,
}

impl Inner {
    /// Returns once this node's state contains all that was acknowledged anywhere before the call.
    pub(crate) async fn linearize(self: &Arc<Self>) -> Result<(), ReadError> {
        let limit = self.config.read_timeout;
        let no_quorum = || ReadError::NoQuorum(limit);
        let deadline = Instant::now() + limit;
        let index = self.join_round().ok_or_else(no_quorum)?;
        let index = timeout_at(deadline, index).await.ok().and_then(Result::ok).ok_or_else(no_quorum)?;
        self.wait_applied(index, deadline).await.map_err(|_| no_quorum())
    }

    fn join_round(self: &Arc<Self>) -> Option<oneshot::Receiver<u64>> {
        let mut waiting = self.reads.0.lock();
        if waiting.readers.len() >= WAITING_LIMIT {
            return None;
        }
        let (tell, told) = oneshot::channel();
        waiting.readers.push(tell);
        if !std::mem::replace(&mut waiting.running, true) {
            tokio::spawn(self.clone().answer_readers());
        }
        Some(told)
    }

    /// Runs rounds until nobody waits.
    async fn answer_readers(self: Arc<Self>) {
        loop {
            let readers = {
                let mut waiting = self.reads.0.lock();
                if waiting.readers.is_empty() {
                    waiting.running = false;
                    return;
                }
                std::mem::take(&mut waiting.readers)
            };
            let deadline = Instant::now() + self.config.read_timeout;
            if let Ok(index) = timeout_at(deadline, self.round()).await {
                for reader in readers {
                    let _ = reader.send(index); // a reader may have given up
                }
            }
        }
    }

    /// The index that the present leader, once confirmed, has committed.
    async fn round(&self) -> u64 {
        let mut leadership = self.leadership.subscribe();
        let mut hint = None;
        loop {
            let leader = hint.take().or(leadership.borrow_and_update().leader);
            let answer = match leader {
                Some(leader) if leader == self.id => timeout(ROUND_LIMIT, self.read_index_here()).await.ok(),
                Some(leader) => tokio::select! {
                    answer = timeout(ROUND_LIMIT, self.ask_read_index(leader)) => answer.ok().flatten(),
                    () = self.succeeded(leader) => None,
                },
                None => None,
            };
            match answer {
                Some(ReadIndexResponse::Index(index)) => return index,
                Some(ReadIndexResponse::NotLeader(next)) => {
                    hint = next.map(NodeId).filter(|next| Some(*next) != leader)
                }
                Some(ReadIndexResponse::NoQuorum) | None => {}
            }
            if hint.is_none() {
                leadership::changed(&mut leadership, RETRY_PAUSE).await;
            }
        }
    }

    /// Asks this node's own Raft, which must lead.
    pub(crate) async fn read_index_here(&self) -> ReadIndexResponse {
        match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok((read, _)) => ReadIndexResponse::Index(read.index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                ReadIndexResponse::NotLeader(to.leader_id.map(|id| id.0))
            }
            Err(_) => ReadIndexResponse::NoQuorum,
        }
    }

    async fn ask_read_index(&self, leader: NodeId) -> Option<ReadIndexResponse> {
        let opened = peers::open(&*self.dial, leader, Protocol::Rpc, methods::READ_INDEX, ROUND_LIMIT).await;
        let frame = peers::exchange(&mut opened.ok()?, &[]).await.ok()?;
        codec::decode(&frame).ok()
    }
}
