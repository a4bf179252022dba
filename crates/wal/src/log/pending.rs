//! What waits to be written: frames sealed into memory, in the order of the changes.
//!
//! Main type: [`Inner`], all of a log that is in memory. No disk here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::recover::Found;
use super::state::{Location, State};
use super::wire::{Checkpoint, kind};
use super::witness::Mark;
use super::{AppendError, Config, MAX_MARK, Position, Record, SyncError};
use crate::disk::DiskError;
use crate::envelope::{FRAME_OVERHEAD, FileHeader, FileKey, FileKind, MAX_PAYLOAD, Place};
use crate::keys::{KeyRing, Salts};

/// A written buffer up to this many bytes is used again; a larger one goes back to the allocator.
const KEPT_BUFFER: usize = 1 << 20;

/// Where a segment ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) frames: u64,
}

pub(super) struct Inner {
    pub(super) state: State,
    keys: KeyRing,
    salts: Salts,
    pub(super) file_keys: BTreeMap<u64, Arc<FileKey>>,
    /// The newest segment, with what waits to be written.
    pub(super) end: End,
    /// Whether `end` may be appended to: this process made it.
    ours: bool,
    /// Durable bytes of the newest segment.
    synced: u64,
    /// Written bytes: segment and offset.
    written: (u64, u64),
    pub(super) chunks: VecDeque<Chunk>,
    waiting: usize,
    spare: Vec<u8>,
    pub(super) position: Position,
    pub(super) durable: Position,
    pub(super) full: bool,
    pub(super) failed: Option<Arc<str>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let records = self.state.first()..self.state.next();
        formatter.debug_struct("Inner").field("records", &records).field("end", &self.end).finish_non_exhaustive()
    }
}

/// Sealed bytes that wait to be written to one place.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Inner {
    /// What recovery found, with nothing waiting.
    pub(super) fn new(found: Found, keys: KeyRing, salts: Salts) -> Self {
        let end = found.end;
        Self {
            state: found.state,
            keys,
            salts,
            file_keys: found.file_keys,
            synced: end.offset,
            written: (end.number, end.offset),
            end,
            ours: false,
            chunks: VecDeque::new(),
            waiting: 0,
            spare: Vec::new(),
            position: Position(0),
            durable: Position(0),
            full: false,
            failed: None,
        }
    }

    /// Adds records, all or none.
    pub(super) fn append(&mut self, records: Vec<Record>, config: Config) -> Result<(), AppendError> {
        check_batch(&self.state, &records)?;
        self.admit(config.pending_bytes)?;
        if !records.is_empty() {
            self.rotate_if_due(config.segment_bytes)?;
        }
        for record in records {
            let location = self.seal(kind::APPEND, record.index, &record.payload);
            self.state.push(record, location);
        }
        self.evict(config.cache_bytes);
        Ok(())
    }

    pub(super) fn admit(&self, limit: usize) -> Result<(), AppendError> {
        if let Some(failed) = &self.failed {
            return Err(AppendError::Failed(failed.clone()));
        }
        let waiting = self.waiting;
        match (waiting >= limit, self.full) {
            (false, _) => Ok(()),
            (true, true) => Err(AppendError::Full { waiting }),
            (true, false) => Err(AppendError::Backlog { waiting }),
        }
    }

    /// Adds a frame that is no record.
    pub(super) fn note(&mut self, config: Config, kind: u8, index: u64, payload: &[u8]) -> Result<(), AppendError> {
        let bytes = payload.len();
        if bytes > MAX_MARK {
            return Err(AppendError::TooLarge { bytes, limit: MAX_MARK });
        }
        self.admit(config.pending_bytes)?;
        self.rotate_if_due(config.segment_bytes)?;
        self.seal(kind, index, payload);
        Ok(())
    }

    pub(super) fn rotate_if_due(&mut self, segment_bytes: u64) -> Result<(), AppendError> {
        if self.ours && self.end.offset < segment_bytes {
            return Ok(());
        }
        let salt = (self.salts)().ok_or(AppendError::NoSalt)?;
        let (id, key) = self.keys.active();
        let number = self.end.number + 1;
        let header = FileHeader { kind: FileKind::Log, key: id, number, salt };
        let key = Arc::new(FileKey::derive(key, &header));
        let checkpoint = Checkpoint {
            previous_end: self.end.offset,
            previous_frames: self.end.frames,
            first: self.state.first(),
            next: self.state.next(),
            meta: self.state.meta.clone(),
        };
        let bytes = header.encode().to_vec();
        self.end = End { number, offset: bytes.len() as u64, frames: 0 };
        self.synced = 0;
        self.ours = true;
        self.waiting += bytes.len();
        self.chunks.push_back(Chunk { segment: number, offset: 0, bytes });
        self.file_keys.insert(number, key);
        self.state.add_segment(number);
        self.seal(kind::CHECKPOINT, 0, &checkpoint.encode());
        Ok(())
    }

    /// Seals one frame onto the newest segment's waiting bytes.
    pub(super) fn seal(&mut self, kind: u8, index: u64, payload: &[u8]) -> Location {
        let End { number: segment, offset, frames } = self.end;
        if self.chunks.back().is_none_or(|chunk| chunk.segment != segment) {
            self.chunks.push_back(Chunk { segment, offset, bytes: std::mem::take(&mut self.spare) });
        }
        let chunk = self.chunks.back_mut().expect("there is one now");
        let place = Place { kind, sequence: frames, index, synced: self.synced, offset };
        self.file_keys[&segment].seal(place, payload, &mut chunk.bytes);
        let size = payload.len() + FRAME_OVERHEAD;
        self.waiting += size;
        self.end = End { number: segment, offset: offset + size as u64, frames: frames + 1 };
        Location { segment, offset, length: payload.len() as u32 }
    }

    pub(super) fn advance(&mut self) -> Position {
        self.position.0 += 1;
        self.position
    }

    pub(super) fn evict(&mut self, limit: usize) {
        self.state.evict(limit, self.written);
    }

    pub(super) fn mark_durable(&mut self, chunks: &VecDeque<Chunk>, position: Position, cache_bytes: usize) -> Mark {
        self.waiting -= chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
        self.durable = position;
        self.full = false;
        if let Some(last) = chunks.back() {
            self.written = (last.segment, last.offset + last.bytes.len() as u64);
            if last.segment == self.end.number {
                self.synced = self.written.1;
            }
        }
        self.evict(cache_bytes);
        Mark { segment: self.written.0, offset: self.written.1 }
    }

    pub(super) fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= KEPT_BUFFER {
            buffer.clear();
            self.spare = buffer;
        }
    }

    /// What could not be written waits again, before all that came since.
    pub(super) fn set_back(&mut self, mut chunks: VecDeque<Chunk>, error: &DiskError) -> SyncError {
        chunks.append(&mut self.chunks);
        self.chunks = chunks;
        if matches!(error, DiskError::Full { .. }) {
            self.full = true;
            return SyncError::Full;
        }
        let reason: Arc<str> = describe(error).into();
        self.failed = Some(reason.clone());
        SyncError::Failed(reason)
    }
}

/// The error and its sources in one line: it is told again to every later caller.
fn describe(error: &DiskError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn check_batch(state: &State, records: &[Record]) -> Result<(), AppendError> {
    for (at, record) in records.iter().enumerate() {
        let follows = match at.checked_sub(1) {
            None => state.accepts(record.index),
            Some(before) => record.index == records[before].index + 1,
        };
        if !follows {
            let expected = at.checked_sub(1).map_or(state.next(), |before| records[before].index + 1);
            return Err(AppendError::Gap { index: record.index, expected });
        }
        let bytes = record.payload.len();
        if bytes > MAX_PAYLOAD {
            return Err(AppendError::TooLarge { bytes, limit: MAX_PAYLOAD });
        }
    }
    Ok(())
}
