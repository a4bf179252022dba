//! Between [`crate::wire`] and openraft's types.

use openraft::{
    EntryPayload,
    raft::{AppendEntriesRequest, StreamAppendError, TransferLeaderRequest},
    vote::RaftLeaderId,
};

use net::NodeId;

use crate::{
    types::{Entry, LogId, Membership, Proposal, SnapshotMeta, StoredMembership, TypeConfig, Vote},
    wire,
};

type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;
type AppendResult = openraft::raft::StreamAppendResult<TypeConfig>;

impl From<LogId> for wire::LogId {
    fn from(id: LogId) -> Self {
        Self { term: *id.leader_id, index: id.index }
    }
}

impl From<wire::LogId> for LogId {
    fn from(id: wire::LogId) -> Self {
        // A committed leader of a standard term is its term alone.
        LogId { leader_id: LeaderId::new(id.term, NodeId::default()).to_committed(), index: id.index }
    }
}

impl From<Vote> for wire::Vote {
    fn from(vote: Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.voted_for.0, committed: vote.committed }
    }
}

impl From<wire::Vote> for Vote {
    fn from(vote: wire::Vote) -> Self {
        Vote { leader_id: LeaderId::new(vote.term, NodeId(vote.node)), committed: vote.committed }
    }
}

pub(crate) fn membership_to_wire(membership: &Membership) -> wire::Membership {
    wire::Membership {
        voters: membership.get_joint_config().iter().map(|set| set.iter().map(|id| id.0).collect()).collect(),
        nodes: membership.nodes().map(|(id, ())| id.0).collect(),
    }
}

pub(crate) fn membership_from_wire(membership: wire::Membership) -> Result<Membership, String> {
    let voters = membership.voters.into_iter().map(|set| set.into_iter().map(NodeId).collect()).collect();
    let nodes = membership.nodes.into_iter().map(|id| (NodeId(id), ())).collect::<std::collections::BTreeMap<_, _>>();
    Membership::new(voters, nodes).map_err(|error| error.to_string())
}

pub(crate) fn entry_to_wire(entry: Entry) -> wire::Entry {
    let payload = match entry.payload {
        EntryPayload::Blank => wire::Payload::Blank,
        EntryPayload::Normal(proposal) => wire::Payload::Command(proposal.0),
        EntryPayload::Membership(membership) => wire::Payload::Membership(membership_to_wire(&membership)),
    };
    wire::Entry { id: entry.log_id.into(), payload }
}

pub(crate) fn entry_from_wire(entry: wire::Entry) -> Result<Entry, String> {
    let payload = match entry.payload {
        wire::Payload::Blank => EntryPayload::Blank,
        wire::Payload::Command(command) => EntryPayload::Normal(Proposal(command)),
        wire::Payload::Membership(membership) => EntryPayload::Membership(membership_from_wire(membership)?),
    };
    Ok(Entry { log_id: entry.id.into(), payload })
}

pub(crate) fn append_to_wire(request: AppendEntriesRequest<TypeConfig>) -> wire::AppendRequest {
    wire::AppendRequest {
        vote: request.vote.into(),
        previous: request.prev_log_id.map(Into::into),
        committed: request.leader_commit.map(Into::into),
        entries: request.entries.into_iter().map(entry_to_wire).collect(),
    }
}

pub(crate) fn append_from_wire(request: wire::AppendRequest) -> Result<AppendEntriesRequest<TypeConfig>, String> {
    Ok(AppendEntriesRequest {
        vote: request.vote.into(),
        prev_log_id: request.previous.map(Into::into),
        leader_commit: request.committed.map(Into::into),
        entries: request.entries.into_iter().map(entry_from_wire).collect::<Result<_, _>>()?,
    })
}

impl From<AppendResult> for wire::AppendResponse {
    fn from(result: AppendResult) -> Self {
        match result {
            Ok(stored) => Self::Stored(stored.map(Into::into)),
            Err(StreamAppendError::Conflict(id)) => Self::Conflict(id.into()),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<wire::AppendResponse> for AppendResult {
    fn from(response: wire::AppendResponse) -> Self {
        match response {
            wire::AppendResponse::Stored(stored) => Ok(stored.map(Into::into)),
            wire::AppendResponse::Conflict(id) => Err(StreamAppendError::Conflict(id.into())),
            wire::AppendResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        }
    }
}

type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
type VoteResponse = openraft::raft::VoteResponse<TypeConfig>;

impl From<VoteRequest> for wire::VoteRequest {
    fn from(request: VoteRequest) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<wire::VoteRequest> for VoteRequest {
    fn from(request: wire::VoteRequest) -> Self {
        let mut translated = Self::new(request.vote.into(), request.last.map(Into::into));
        translated.leadership_transfer = request.transfer;
        translated
    }
}

impl From<VoteResponse> for wire::VoteResponse {
    fn from(response: VoteResponse) -> Self {
        Self { vote: response.vote.into(), granted: response.vote_granted, last: response.last_log_id.map(Into::into) }
    }
}

impl From<wire::VoteResponse> for VoteResponse {
    fn from(response: wire::VoteResponse) -> Self {
        Self::new(Vote::from(response.vote), response.last.map(Into::into), response.granted)
    }
}

impl From<TransferLeaderRequest<TypeConfig>> for wire::TransferRequest {
    fn from(request: TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: request.to_node_id().0,
            last: request.last_log_id().copied().map(Into::into),
        }
    }
}

impl From<wire::TransferRequest> for TransferLeaderRequest<TypeConfig> {
    fn from(request: wire::TransferRequest) -> Self {
        Self::new(request.from.into(), NodeId(request.to), request.last.map(Into::into))
    }
}

pub(crate) fn meta_to_wire(meta: &SnapshotMeta) -> wire::SnapshotMeta {
    wire::SnapshotMeta {
        last: meta.last_log_id.map(Into::into),
        membership_at: meta.last_membership.log_id().map(Into::into),
        membership: meta.last_membership.log_id().map(|_| membership_to_wire(meta.last_membership.membership())),
    }
}

pub(crate) fn meta_from_wire(meta: wire::SnapshotMeta) -> Result<SnapshotMeta, String> {
    let last_membership = match meta.membership {
        Some(membership) => {
            StoredMembership::new(meta.membership_at.map(Into::into), membership_from_wire(membership)?)
        }
        None => StoredMembership::default(),
    };
    Ok(SnapshotMeta { last_log_id: meta.last.map(Into::into), last_membership })
}
