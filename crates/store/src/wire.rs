//! What crosses a socket or a disk: commands, outcomes and the chunks of a snapshot, each with a version byte.
//!
//! Version 1 of commands and outcomes is the derived form of the types in [`crate::command`]; `tests/samples`
//! holds it. Variants may be added at the end. Any other change that alters a sample first freezes a copy of the
//! old types here, under their version, and makes a new one. Documents travel inside as bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::codec::CodecError;
use crate::{Command, Entry, Incarnation, Key, Outcome, Record, RequestId, Revision, codec};

/// Version of encoded commands and outcomes.
const COMMAND_VERSION: u8 = 1;

/// Version of encoded snapshots.
const SNAPSHOT_VERSION: u8 = 1;

/// Largest encoded command: several times the largest object an API server takes (3 MiB), and little enough for
/// one log record.
pub const COMMAND_BYTES: usize = 8 << 20;

/// Size that a snapshot's chunks aim at: large enough to write in one go, small enough to hold many.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Largest chunk: the aim, and past it one event with two records, each out of one command.
pub const CHUNK_LIMIT_BYTES: usize = CHUNK_BYTES + 2 * COMMAND_BYTES;

/// A command as the log stores it.
///
/// # Errors
/// [`CodecError::TooLarge`] past [`COMMAND_BYTES`].
pub fn encode_command(command: &Command) -> Result<Vec<u8>, CodecError> {
    codec::encode(COMMAND_VERSION, COMMAND_BYTES, command)
}

/// The command in the whole of `bytes`.
///
/// # Errors
/// On anything but one command of a known version.
pub fn decode_command(bytes: &[u8]) -> Result<Command, CodecError> {
    codec::decode(COMMAND_VERSION, COMMAND_BYTES, bytes)
}

/// An outcome as a forwarded proposal's answer carries it.
///
/// # Errors
/// [`CodecError::TooLarge`] past [`COMMAND_BYTES`], which only holds where its command was.
pub fn encode_outcome(outcome: &Outcome) -> Result<Vec<u8>, CodecError> {
    codec::encode(COMMAND_VERSION, COMMAND_BYTES, outcome)
}

/// The outcome in the whole of `bytes`.
///
/// # Errors
/// On anything but one outcome of a known version.
pub fn decode_outcome(bytes: &[u8]) -> Result<Outcome, CodecError> {
    codec::decode(COMMAND_VERSION, COMMAND_BYTES, bytes)
}

/// A part of a snapshot. A snapshot is a `Start`, then any number of the others in this order, then an `End`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Chunk {
    Start(Start),
    /// In key order.
    Records(Vec<Arc<Record>>),
    Claims(Vec<(Key, Arc<str>)>),
    Counters(Vec<(Key, i64)>),
    Flags(Vec<(Key, Arc<str>)>),
    /// Oldest first.
    Requests(Vec<(RequestId, Outcome)>),
    /// Oldest first; those of one revision are one transaction.
    Window(Vec<PastEvent>),
    End(Totals),
}

/// Where the state is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) applied: Entry,
    pub(crate) revision: Revision,
    pub(crate) compacted: Revision,
    pub(crate) incarnation: Incarnation,
}

/// How much came in between, so that a snapshot with a chunk missing is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) claims: u64,
    pub(crate) counters: u64,
    pub(crate) flags: u64,
    pub(crate) requests: u64,
    pub(crate) events: u64,
}

/// An event of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PastEvent {
    pub(crate) revision: Revision,
    pub(crate) key: Key,
    pub(crate) old: Past,
    pub(crate) new: Past,
}

/// One side of a past event; content that is elsewhere in the snapshot is not repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Past {
    /// No record.
    Nothing,
    /// Old: the new record of the key's event before. New: the record in the state.
    Known,
    /// Nowhere else.
    Inline(Arc<Record>),
}

pub(crate) fn encode_chunk(chunk: &Chunk) -> Result<Vec<u8>, CodecError> {
    codec::encode(SNAPSHOT_VERSION, CHUNK_LIMIT_BYTES, chunk)
}

pub(crate) fn decode_chunk(bytes: &[u8]) -> Result<Chunk, CodecError> {
    codec::decode(SNAPSHOT_VERSION, CHUNK_LIMIT_BYTES, bytes)
}
