//! An append-only log of indexed records, with a vote and marks beside them, in sealed segment files.
//!
//! Main type: [`Log`]. Follows the persistent state of the Raft paper (section 5.1, figure 2) but knows no Raft:
//! votes, marks and payloads are bytes. Leaves out compaction (the caller purges) and threads ([`crate::Committer`]).
//!
//! **Everything is one sequence of frames.** Records, truncations, purges, votes and marks are appended to the same
//! file in the order of the calls, so one sync makes all of them durable and a crash leaves a prefix of them (also
//! the first records of a batch). No byte in use is written over or cut off. A segment opens with a checkpoint of all that is not a record, so earlier
//! segments without live records can go. A segment file appears whole, under its name, after the one before it is
//! durable; its checkpoint says where that one ends.
//!
//! **Damage.** What fails its checks is told apart so:
//! - In a segment with a successor: acknowledged, so the log refuses to open.
//! - In the last segment before the *durable mark*: refuses. The mark is the highest of `log.mark` (written after
//!   each sync that leaves nothing waiting) and the `synced` field of any sound frame of the segment, also of those
//!   after the damage (every frame says up to where the file was durable when it was sealed).
//! - In the last segment past the durable mark: a tail that was never acknowledged as far as can be known. It is
//!   cut, with all that follows it, and reported as [`CutTail`].
//!
//! So rot or loss of an acknowledged record is taken for a torn tail only if no later sync's frame is in the file
//! *and* `log.mark` is older than the record too: it was among the last synced before a power cut, the mark had not
//! reached the disk by itself, and the record rotted as well. A disk that lies about syncs is found out whenever
//! the mark or a later frame survives what was lost; not when all are lost alike.

mod handle;
mod pending;
mod recover;
mod state;
mod wire;
mod witness;

pub use handle::Log;
pub use recover::{CutTail, Recovery};

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::damage::Damage;
use crate::disk::DiskError;

/// Largest vote or mark, in bytes. They are ids of a few dozen bytes; every segment's checkpoint holds three.
pub const MAX_MARK: usize = 64 << 10;

/// One record.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number; each is one more than the one before.
    pub index: u64,
    /// Up to [`crate::MAX_PAYLOAD`] bytes.
    pub payload: Bytes,
}

impl fmt::Debug for Record {
    /// Shows the size only: payloads hold secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Record({}, {} bytes)", self.index, self.payload.len())
    }
}

/// A point in the order of changes to a log since it was opened; a change is durable once [`Log::durable`] is at or
/// past the position it returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// Bounds of a log.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// A segment past this many bytes is followed by a new one before the next batch, so a segment may be longer
    /// by one batch. Opening reads one segment at a time into memory. Purged records free whole segments.
    pub segment_bytes: u64,
    /// Payloads of the newest records kept in memory, so that replication does not read the disk.
    pub cache_bytes: usize,
    /// Bytes of changes that wait for a sync, not counting the last batch; more are refused.
    pub pending_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { segment_bytes: 32 << 20, cache_bytes: 16 << 20, pending_bytes: 64 << 20 }
    }
}

/// Why a change was refused; nothing of it is in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The record does not follow the last one.
    #[error("record {index} does not follow the log, which expects {expected}")]
    Gap {
        /// The refused record.
        index: u64,
        /// What may come next.
        expected: u64,
    },
    /// The record, vote or mark is over its bound.
    #[error("{bytes} bytes are more than the {limit} that the log takes at once")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The disk is full, and as many changes wait for room as may. Works again once there is room.
    #[error("no space is left on the disk, {waiting} bytes wait for it")]
    Full {
        /// Bytes waiting.
        waiting: usize,
    },
    /// Changes come faster than they are synced. Try again after a sync.
    #[error("{waiting} bytes wait to be synced already")]
    Backlog {
        /// Bytes waiting.
        waiting: usize,
    },
    /// There is no randomness for a new segment's salt.
    #[error("the system gives no randomness for a new log segment")]
    NoSalt,
    /// An earlier write failed; see [`SyncError::Failed`].
    #[error("the log has failed before: {0}")]
    Failed(Arc<str>),
}

/// Why changes are not durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// No room. The changes stay readable and wait; the next sync tries the same bytes at the same place again.
    #[error("no space is left on the disk")]
    Full,
    /// The device failed: what is on disk is unknown until the log is opened anew. Reads go on.
    #[error("the log cannot be written: {0}; replace the disk or restart to read what it holds")]
    Failed(Arc<str>),
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// They are gone: take a snapshot instead.
    #[error("record {index} was purged, the log begins at {first}")]
    Purged {
        /// The asked record.
        index: u64,
        /// The first there is.
        first: u64,
    },
    /// The file no longer holds what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk failed.
    #[error("the log cannot be read")]
    Disk(#[from] DiskError),
}
