//! What this crate writes to disks and peers. **Fixed early**: every version stays readable, see the samples below.
//!
//! Types of our own, not openraft's, whose layout is not promised. `convert.rs` translates. Numbers of
//! [`methods`] and places of enum variants never change their meaning; new ones go to the end.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Names of the calls; the caller table of `net` lists them too.
pub mod methods {
    use net::Method;

    /// Raft: append requests, each answered in order, for as long as the channel lives.
    pub const APPEND: Method = Method(1);
    /// Raft: a vote.
    pub const VOTE: Method = Method(2);
    /// Raft: would you vote for me?
    pub const PRE_VOTE: Method = Method(3);
    /// Raft: a whole snapshot in pieces.
    pub const SNAPSHOT: Method = Method(4);
    /// Raft: become the leader.
    pub const TRANSFER: Method = Method(5);
    /// Rpc: a command for the leader to propose.
    pub const PROPOSE: Method = Method(0x100);
    /// Rpc: the index up to which a linearizable read must wait.
    pub const READ_INDEX: Method = Method(0x101);
}

/// Place of an entry: term of its leader and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogId {
    /// The term in which it was proposed.
    pub term: u64,
    /// Its place in the log.
    pub index: u64,
}

/// For whom a node has voted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// The candidate.
    pub node: u64,
    /// Whether a quorum has elected it.
    pub committed: bool,
}

/// Who votes (one set, or two while it changes) and who else receives the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// A majority of each must agree.
    pub voters: Vec<Vec<u64>>,
    /// All who receive the log, voters included.
    pub nodes: Vec<u64>,
}

/// One entry of the log, on disk and between nodes alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where.
    pub id: LogId,
    /// What.
    pub payload: Payload,
}

/// What an entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a leader's first entry.
    Blank,
    /// An encoded [`store::Command`].
    Command(Bytes),
    /// New voters.
    Membership(Membership),
}

/// What a snapshot contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry in it.
    pub last: Option<LogId>,
    /// Where the membership in it was decided.
    pub membership_at: Option<LogId>,
    /// The membership in it.
    pub membership: Option<Membership>,
}

/// [`methods::APPEND`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendRequest {
    /// The leader.
    pub vote: Vote,
    /// The entry before the first.
    pub previous: Option<LogId>,
    /// Up to here the quorum has it.
    pub committed: Option<LogId>,
    /// What follows; none in a heartbeat.
    pub entries: Vec<Entry>,
}

/// Answer to an [`AppendRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppendResponse {
    /// On disk up to here.
    Stored(Option<LogId>),
    /// This entry is another here.
    Conflict(LogId),
    /// I know of a newer leader.
    HigherVote(Vote),
}

/// [`methods::VOTE`] and [`methods::PRE_VOTE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRequest {
    /// The candidate.
    pub vote: Vote,
    /// Its last entry.
    pub last: Option<LogId>,
    /// The leader asked for it: its lease is no obstacle.
    pub transfer: bool,
}

/// Answer to a [`VoteRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteResponse {
    /// For whom this node has voted.
    pub vote: Vote,
    /// Whether it is for the candidate.
    pub granted: bool,
    /// The last entry here.
    pub last: Option<LogId>,
}

/// First frame of [`methods::SNAPSHOT`]; the pieces follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// The leader.
    pub vote: Vote,
    /// What is sent.
    pub meta: SnapshotMeta,
    /// Bytes in all pieces together.
    pub length: u64,
}

/// [`methods::TRANSFER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferRequest {
    /// The leader that resigns.
    pub from: Vote,
    /// Its heir.
    pub to: u64,
    /// The last entry the heir must have.
    pub last: Option<LogId>,
}

/// Answer to [`methods::PROPOSE`], whose request is an encoded [`store::Command`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposeResponse {
    /// Applied at this index, with this outcome, encoded by `store::wire`.
    Applied(u64, Bytes),
    /// Surely not applied: ask this node, if any is known.
    NotLeader(Option<u64>),
    /// It may be applied yet.
    Unknown(String),
    /// Surely not applied, for this reason.
    Refused(String),
    /// Surely not applied: the leader's disk has no room.
    Full(String),
}

/// Answer to [`methods::READ_INDEX`], whose request is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadIndexResponse {
    /// A quorum has confirmed the leader: read after this index.
    Index(u64),
    /// Ask this node, if any is known.
    NotLeader(Option<u64>),
    /// No quorum has answered.
    NoQuorum,
}

/// Answer where the node itself has ended, so that nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply<T> {
    /// An answer.
    Ok(T),
    /// Why there is none.
    Failed(String),
}

#[cfg(test)]
mod tests;
