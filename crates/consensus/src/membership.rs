//! Changing who votes, and seeing how they are: what the decider of voters works with. Main type: [`Status`].
//!
//! The policy (how many, who, when) is not here. Every change is one entry of the log; a change of voters is one
//! joint-consensus step (Raft §6), whatever the number of nodes that change.

use std::{collections::BTreeSet, time::Duration};

use net::NodeId;
use openraft::{
    ChangeMembers,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, InitializeError, RaftError},
};
use tokio::time::timeout;

use crate::{node::Inner, types::TypeConfig};

/// How long a change may take until a quorum has it.
const CHANGE_LIMIT: Duration = Duration::from_secs(10);

/// How long a leadership transfer may take.
const TRANSFER_LIMIT: Duration = Duration::from_secs(2);

/// A learner this many entries behind, or fewer, is as good as a voter.
const CAUGHT_UP_LAG: u64 = 100;

/// Why the membership has not been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Ask the leader.
    #[error("this node does not lead")]
    NotLeader(Option<NodeId>),
    /// Another change is under way, or this one makes no sense; look again.
    #[error("refused: {0}")]
    Refused(String),
    /// It may still come into force; look again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// One follower, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Which.
    pub id: NodeId,
    /// The last entry known to be on its disk.
    pub matched: u64,
    /// How many entries it is behind.
    pub lag: u64,
    /// Behind by so little that it can become a voter.
    pub caught_up: bool,
}

/// How the group is, as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// The newest term seen.
    pub term: u64,
    /// Who votes; while a change is under way, those of both sets.
    pub voters: BTreeSet<NodeId>,
    /// Who receives the log without a vote.
    pub learners: BTreeSet<NodeId>,
    /// A change of voters is under way.
    pub changing: bool,
    /// The last entry in this node's log.
    pub last_log: u64,
    /// The last entry this node has applied.
    pub last_applied: u64,
    /// The last entry in this node's newest snapshot.
    pub snapshot: u64,
    /// On the leader: everybody else.
    pub followers: Vec<Follower>,
}

impl Inner {
    pub(crate) async fn initialize(&self) -> Result<(), MembershipError> {
        match self.raft.initialize(BTreeSet::from([self.id])).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                Err(MembershipError::Refused("this node already belongs to a cluster".into()))
            }
            Err(error) => Err(MembershipError::Unknown(error.to_string())),
        }
    }

    pub(crate) async fn add_learner(&self, id: NodeId) -> Result<(), MembershipError> {
        outcome(timeout(CHANGE_LIMIT, self.raft.add_learner(id, (), false)).await)
    }

    pub(crate) async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), MembershipError> {
        if voters.is_empty() {
            return Err(MembershipError::Refused("there must be a voter".into()));
        }
        outcome(timeout(CHANGE_LIMIT, self.raft.change_membership(voters, true)).await)
    }

    pub(crate) async fn remove(&self, id: NodeId) -> Result<(), MembershipError> {
        let status = self.status();
        if status.voters.contains(&id) {
            let rest: BTreeSet<_> = status.voters.into_iter().filter(|voter| *voter != id).collect();
            if rest.is_empty() {
                return Err(MembershipError::Refused(format!("{id} is the only voter")));
            }
            return outcome(timeout(CHANGE_LIMIT, self.raft.change_membership(rest, false)).await);
        }
        let change = ChangeMembers::RemoveNodes(BTreeSet::from([id]));
        outcome(timeout(CHANGE_LIMIT, self.raft.change_membership(change, false)).await)
    }

    /// Returns once another leader is known.
    pub(crate) async fn transfer_leader(&self, to: NodeId) -> Result<(), MembershipError> {
        let mut leadership = self.leadership.subscribe();
        let transfer = self.raft.trigger().transfer_leader(to).await;
        transfer.map_err(|fatal| MembershipError::Unknown(fatal.to_string()))?;
        let moved = leadership.wait_for(|now| now.leader.is_some_and(|leader| leader != self.id));
        match timeout(TRANSFER_LIMIT, moved).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(MembershipError::Unknown(format!("{to} does not lead yet"))),
        }
    }

    pub(crate) fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let last_log = metrics.last_log_index.unwrap_or(0);
        let follower = |(id, matched): (&NodeId, &Option<crate::types::LogId>)| {
            let matched = matched.map_or(0, |id| id.index);
            let lag = last_log.saturating_sub(matched);
            Follower { id: *id, matched, lag, caught_up: lag <= CAUGHT_UP_LAG && matched > 0 }
        };
        let replication = metrics.replication.iter().flatten();
        Status {
            leader: metrics.current_leader,
            term: metrics.current_term,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            changing: membership.get_joint_config().len() > 1,
            last_log,
            last_applied: metrics.last_applied.map_or(0, |id| id.index),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            followers: replication.filter(|(id, _)| **id != self.id).map(follower).collect(),
        }
    }

    /// The voter that is furthest, to lead after this node.
    pub(crate) fn heir(&self) -> Option<NodeId> {
        let status = self.status();
        let voters = status.followers.iter().filter(|follower| status.voters.contains(&follower.id));
        voters.max_by_key(|follower| follower.matched).map(|follower| follower.id)
    }
}

type Written<T> = Result<T, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>;

fn outcome<T>(written: Result<Written<T>, tokio::time::error::Elapsed>) -> Result<(), MembershipError> {
    match written {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
            Err(MembershipError::NotLeader(to.leader_id))
        }
        Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
            Err(MembershipError::Refused(error.to_string()))
        }
        Ok(Err(error)) => Err(MembershipError::Unknown(error.to_string())),
        Err(_) => Err(MembershipError::Unknown(format!("no quorum within {CHANGE_LIMIT:?}"))),
    }
}
