//! The seam between the API pipeline and the replicated store: read, propose, watch.
//! Implemented by `consensus` (replicated) and by [`crate::memory`] (one process; tests).

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::{Command, Event, Key, Outcome, Revision, View};

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// At least everything acknowledged before the call (ReadIndex).
    Linearizable,
    /// At least this revision; waits for it.
    AtLeast(Revision),
    /// Whatever this node has.
    Any,
}

/// Which events a watch wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Keys that start with this, which ends at a segment's end (`/`) or is one whole key.
    pub prefix: Key,
    /// Only records that have, or had, this index pair.
    pub index: Option<(Arc<str>, Arc<str>)>,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No quorum confirmed the leader in time: answer 503 with Retry-After.
    #[error("no quorum within {0:?}")]
    NoQuorum(Duration),
    /// The asked revision did not arrive in time: 504.
    #[error("revision {} has not been reached, the newest is {}", wanted.0, newest.0)]
    Ahead {
        /// The asked revision.
        wanted: Revision,
        /// What is there.
        newest: Revision,
    },
}

/// Why a proposal has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Surely not applied: no leader, or it refused. Safe to send again.
    #[error("not accepted: {0}")]
    NotAccepted(String),
    /// May be applied later. Send again only under the same request id.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Surely not applied: the disk of a quorum is full or fails.
    #[error("storage is full: {0}")]
    Full(String),
}

/// Why a watch ended or could not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The revision is no longer in the window: 410 Gone, list again.
    #[error("too old resource version: {} ({})", wanted.0, oldest.0)]
    Compacted {
        /// The asked revision.
        wanted: Revision,
        /// The oldest from which a watch can start.
        oldest: Revision,
    },
    /// The reader fell behind its buffer and the window; list again.
    #[error("the watcher fell behind")]
    Lagged,
    /// This node has had no leader for too long, or stops: reconnect elsewhere.
    #[error("this node lost the cluster")]
    Disconnected,
}

/// Events after a revision, in order, one batch per transaction, none missed and none twice.
/// An item that is an error is the last.
pub type Watch = BoxStream<'static, Result<Arc<[Arc<Event>]>, WatchError>>;

/// A replicated store as the API pipeline sees it.
///
/// Events reach the [`Watch`]es before a [`View`] with their revision can be read: so a reader that saw revision R
/// and then finds its watch empty has missed nothing up to R (what a bookmark promises).
pub trait Storage: Send + Sync + 'static {
    /// A snapshot at one revision; cheap to hold and to clone.
    fn read(&self, freshness: Freshness) -> BoxFuture<'_, Result<View, ReadError>>;

    /// The records as they were at a revision that this node has reached; claims, counters and flags are the newest.
    /// `None` where the window no longer reaches back to it.
    fn as_of(&self, revision: Revision) -> Option<View>;

    /// Proposes a change; resolves once this node's own state has applied it (read your writes).
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Outcome, WriteError>>;

    /// Events after `after` within `scope`.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] where the window no longer reaches back to `after`.
    fn watch(&self, scope: Scope, after: Revision) -> Result<Watch, WatchError>;

    /// Time since this node last heard from a leader; `None` while it has one. Told in `Warning: 299`.
    fn behind(&self) -> Option<Duration>;
}
