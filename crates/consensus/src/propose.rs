//! From a command to its outcome, on whatever node it was made. Main type: [`Attempt`].
//!
//! On the leader the command is proposed, elsewhere it is forwarded to the leader. It is sent again, under the same
//! request id, while nothing or nothing certain has come of it: the store applies a request once.

use std::time::Duration;

use bytes::Bytes;
use net::{NodeId, Protocol};
use openraft::errors::{ClientWriteError, RaftError};
use store::{Command, Outcome, WriteError};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    codec, leadership,
    node::Inner,
    peers::{self, CallError},
    types::Proposal,
    wire::{ProposeResponse, methods},
};

/// Pause before another try where leadership has not changed meanwhile.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How long opening a channel to the leader may take before it counts as gone.
const OPEN_LIMIT: Duration = Duration::from_secs(1);

/// How long the leader may take for one forwarded command, before it is asked again: many slow disk syncs.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// How long the proposals of a group wait for a leader whose disk is not full: a handover with room to spare.
const FULL_LIMIT: Duration = Duration::from_secs(3);

/// What came of sending a command once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Applied at this index of the log.
    Applied(u64, Outcome),
    /// Surely not applied; another try may succeed.
    NotLeader(Option<NodeId>),
    /// Surely not applied, nor will another try be.
    Refused(String),
    /// Surely not applied: the leader's disk has no room.
    Full(String),
    /// May be applied yet.
    Unknown(String),
}

impl Inner {
    /// See [`store::Storage::propose`].
    pub(crate) async fn propose(&self, command: &Command) -> Result<Outcome, WriteError> {
        let bytes = store::wire::encode_command(command).map_err(|error| WriteError::NotAccepted(error.to_string()))?;
        let deadline = Instant::now() + self.config.propose_timeout;
        let Ok(Ok(_permit)) = timeout_at(deadline, self.in_flight.acquire()).await else {
            return Err(WriteError::NotAccepted("too many proposals are under way".into()));
        };
        let (index, outcome) = self.propose_until(bytes.into(), deadline).await?;
        self.wait_applied(index, deadline).await.map_err(|_| {
            WriteError::Unknown(format!("entry {index} is applied elsewhere, but has not reached this node"))
        })?;
        Ok(outcome)
    }

    async fn propose_until(&self, bytes: Bytes, deadline: Instant) -> Result<(u64, Outcome), WriteError> {
        let mut leadership = self.leadership.subscribe();
        let mut hint = None;
        let mut doubt = None;
        loop {
            let leader = hint.take().or(leadership.borrow_and_update().leader);
            match timeout_at(deadline, self.attempt(leader, bytes.clone())).await {
                Ok(Attempt::Applied(index, outcome)) => return Ok((index, outcome)),
                Ok(Attempt::Refused(reason)) if doubt.is_none() => return Err(WriteError::NotAccepted(reason)),
                // Asked again while another voter, which may have room, takes over.
                Ok(Attempt::Full(_)) if Instant::now() < self.full_until(deadline) => {}
                Ok(Attempt::Full(reason)) if doubt.is_none() => return Err(WriteError::Full(reason)),
                // An earlier try may be in the log of the leader that has no room now: it may be applied yet.
                Ok(Attempt::Full(reason)) => return Err(WriteError::Unknown(reason)),
                Ok(Attempt::Refused(reason) | Attempt::Unknown(reason)) => doubt = Some(reason),
                Ok(Attempt::NotLeader(next)) => hint = next.filter(|next| Some(*next) != leader),
                Err(_) => doubt = Some("no answer in time".into()),
            }
            if Instant::now() >= deadline {
                return Err(match doubt {
                    Some(reason) => WriteError::Unknown(reason),
                    None => WriteError::NotAccepted("no leader was found in time".into()),
                });
            }
            if hint.is_none() {
                leadership::changed(&mut leadership, RETRY_PAUSE).await;
            }
        }
    }

    /// Until when a proposal waits for a leader with a disk that has room.
    fn full_until(&self, deadline: Instant) -> Instant {
        let others = self.raft.voter_ids().nth(1).is_some();
        let waiting = if others { FULL_LIMIT.min(self.config.propose_timeout) } else { Duration::ZERO };
        deadline - self.config.propose_timeout + waiting
    }

    async fn attempt(&self, leader: Option<NodeId>, bytes: Bytes) -> Attempt {
        match leader {
            Some(leader) if leader == self.id => self.propose_here(bytes).await,
            Some(leader) => match self.in_touch() {
                Ok(()) => self.forward(leader, &bytes).await,
                Err(reason) => Attempt::Refused(reason),
            },
            None => self.in_touch().map_or_else(Attempt::Refused, |()| Attempt::NotLeader(None)),
        }
    }

    /// Refuses what could only lie in wait on a node that was cut off: a leader among a minority does not know yet that
    /// others lead, and what it takes may be applied or lost once it is back.
    fn in_touch(&self) -> Result<(), String> {
        let age = self.contact.age(&self.raft);
        if age <= self.config.leaderless_limit {
            return Ok(());
        }
        Err(format!("no quorum has been reached for {} s", age.as_secs()))
    }

    /// Proposes to this node's own Raft, which must lead.
    pub(crate) async fn propose_here(&self, bytes: Bytes) -> Attempt {
        let full = || format!("no space is left on the disk of {}", self.id);
        if self.log.is_full() {
            self.refused_full.notify_one();
            return Attempt::Full(full());
        }
        if let Err(reason) = self.in_touch() {
            return Attempt::Refused(reason);
        }
        match timeout(ANSWER_LIMIT, self.raft.client_write(Proposal(bytes))).await {
            Ok(Ok(written)) => match written.data.0 {
                Some(outcome) => Attempt::Applied(written.log_id.index, outcome),
                None => Attempt::Unknown("the entry was applied without an outcome".into()),
            },
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => Attempt::NotLeader(to.leader_id),
            Ok(Err(error)) => Attempt::Unknown(error.to_string()),
            Err(_) if self.log.is_full() => Attempt::Unknown(full()),
            Err(_) => Attempt::Unknown(format!("no quorum took it within {ANSWER_LIMIT:?}")),
        }
    }

    async fn forward(&self, leader: NodeId, bytes: &Bytes) -> Attempt {
        let opened = peers::open(&*self.dial, leader, Protocol::Rpc, methods::PROPOSE, OPEN_LIMIT).await;
        let Ok(mut channel) = opened else { return Attempt::NotLeader(None) }; // nothing was sent
        let exchange = timeout(ANSWER_LIMIT, peers::exchange(&mut channel, bytes));
        let answer = tokio::select! {
            answer = exchange => answer.map_err(|_| CallError::Late(ANSWER_LIMIT)).flatten(),
            () = self.succeeded(leader) => return Attempt::Unknown(format!("{leader} leads no longer")),
        };
        match answer.and_then(|frame| Ok(codec::decode::<ProposeResponse>(&frame)?)) {
            Ok(response) => Attempt::from(response),
            Err(error) => Attempt::Unknown(error.to_string()),
        }
    }

    /// Waits until this node's own state contains that entry.
    pub(crate) async fn wait_applied(&self, index: u64, deadline: Instant) -> Result<(), tokio::time::error::Elapsed> {
        let mut progress = self.published.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.index >= index);
        timeout_at(deadline, reached).await.map(|_| ())
    }
}

impl From<ProposeResponse> for Attempt {
    fn from(response: ProposeResponse) -> Self {
        match response {
            ProposeResponse::Applied(index, outcome) => match store::wire::decode_outcome(&outcome) {
                Ok(outcome) => Self::Applied(index, outcome),
                Err(error) => Self::Unknown(error.to_string()),
            },
            ProposeResponse::NotLeader(leader) => Self::NotLeader(leader.map(NodeId)),
            ProposeResponse::Unknown(reason) => Self::Unknown(reason),
            ProposeResponse::Refused(reason) => Self::Refused(reason),
            ProposeResponse::Full(reason) => Self::Full(reason),
        }
    }
}

impl From<Attempt> for ProposeResponse {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Applied(index, outcome) => match store::wire::encode_outcome(&outcome) {
                Ok(outcome) => Self::Applied(index, outcome.into()),
                Err(error) => Self::Unknown(error.to_string()),
            },
            Attempt::NotLeader(leader) => Self::NotLeader(leader.map(|id| id.0)),
            Attempt::Unknown(reason) => Self::Unknown(reason),
            Attempt::Refused(reason) => Self::Refused(reason),
            Attempt::Full(reason) => Self::Full(reason),
        }
    }
}
