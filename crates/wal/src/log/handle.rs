//! The log in use: changes are sealed into memory at once, and written and synced in groups.
//!
//! Main type: [`Log`]. Two locks: `inner` is held for memory only, `writer` while the disk works, so that readers
//! and appenders never wait for a sync. Order: `writer` before `inner`.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::pending::{Chunk, Inner};
use super::recover::{self, Recovery};
use super::state::Location;
use super::wire::kind;
use super::witness::{self, Mark};
use super::{AppendError, Config, Position, ReadError, Record, SyncError};
use crate::damage::{Damage, OpenError};
use crate::disk::{Disk, DiskError};
use crate::envelope::{FRAME_OVERHEAD, FileKey};
use crate::keys::{KeyRing, Salts};
use crate::names;

/// Records that one [`Log::read`] returns at most, whatever their size. Bounds the work under the lock.
const MAX_READ: usize = 4096;
/// A log in one directory. Shared between threads; see [`super`].
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    config: Config,
    writer: Mutex<Writer>,
    inner: Mutex<Inner>,
}

/// What only the one that writes needs.
#[derive(Debug)]
struct Writer {
    /// Counts the marks written.
    generation: u64,
    witness_ready: bool,
}

impl Log {
    /// Opens the log in this directory, or begins one where there is none.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed then.
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: KeyRing,
        salts: Salts,
        config: Config,
    ) -> Result<(Arc<Self>, Recovery), OpenError> {
        let found = recover::run(disk.as_ref(), &keys, config.cache_bytes)?;
        let (generation, report) = (found.generation, found.report.clone());
        let inner = Inner::new(found, keys, salts);
        let writer = Writer { generation, witness_ready: false };
        let log = Self { disk, config, writer: Mutex::new(writer), inner: Mutex::new(inner) };
        Ok((Arc::new(log), report))
    }

    /// Adds records that follow the last one; an empty log may start anywhere past what was purged. All or none.
    /// They are readable on return and durable once [`Self::durable`] reaches the returned position.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was added then.
    pub fn append(&self, records: Vec<Record>) -> Result<Position, AppendError> {
        let mut inner = self.inner.lock();
        inner.append(records, self.config)?;
        Ok(inner.advance())
    }

    /// Drops all records after `last`, or all. Durable and ordered like a record.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was dropped then.
    pub fn truncate_after(&self, last: Option<u64>) -> Result<Position, AppendError> {
        let mut inner = self.inner.lock();
        let from = last.map_or(0, |last| last.saturating_add(1));
        if from >= inner.state.next() {
            return Ok(inner.position);
        }
        inner.note(self.config, kind::TRUNCATE, from, &[])?;
        inner.state.truncate(from);
        Ok(inner.advance())
    }

    /// Drops all records up to `index`, and remembers `mark` with it (the id of that record, say). Where `index` is
    /// past the last record, the log goes on after `index`. Files go at the next sync. An index already purged
    /// changes nothing.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was dropped then.
    pub fn purge_to(&self, index: u64, mark: Bytes) -> Result<Position, AppendError> {
        let mut inner = self.inner.lock();
        if inner.state.meta.purged.as_ref().is_some_and(|(purged, _)| *purged >= index) {
            return Ok(inner.position);
        }
        inner.note(self.config, kind::PURGE, index, &mark)?;
        inner.state.purge(index, mark);
        Ok(inner.advance())
    }

    /// Sets the vote. Counts only once durable: sync, or wait for the position, before answering anybody.
    ///
    /// # Errors
    /// [`AppendError`]; the vote is as before then.
    pub fn set_vote(&self, vote: Bytes) -> Result<Position, AppendError> {
        let mut inner = self.inner.lock();
        inner.note(self.config, kind::VOTE, 0, &vote)?;
        inner.state.meta.vote = Some(vote);
        Ok(inner.advance())
    }

    /// Sets the committed mark; nobody need wait for it, it goes with the next sync.
    ///
    /// # Errors
    /// [`AppendError`]; the mark is as before then.
    pub fn set_committed(&self, committed: Bytes) -> Result<Position, AppendError> {
        let mut inner = self.inner.lock();
        inner.note(self.config, kind::COMMITTED, 0, &committed)?;
        inner.state.meta.committed = Some(committed);
        Ok(inner.advance())
    }

    /// The vote last set.
    #[must_use]
    pub fn vote(&self) -> Option<Bytes> {
        self.inner.lock().state.meta.vote.clone()
    }

    /// The committed mark last set.
    #[must_use]
    pub fn committed(&self) -> Option<Bytes> {
        self.inner.lock().state.meta.committed.clone()
    }

    /// The last purged index and its mark.
    #[must_use]
    pub fn purged(&self) -> Option<(u64, Bytes)> {
        self.inner.lock().state.meta.purged.clone()
    }

    /// Indexes of the records there are; empty at the index that comes next.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let inner = self.inner.lock();
        inner.state.first()..inner.state.next()
    }

    /// What is durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.inner.lock().durable
    }

    /// Whether the last sync found no room: refuse new work until this is false again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.lock().full
    }

    /// Records of the range in order, from its start: as many as there are and fit `max_bytes`, at least one if it
    /// is there, at most 4,096. Ends early at the log's end.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        self.plan(range, max_bytes)?.into_iter().map(|wanted| self.fetch(wanted)).collect()
    }

    /// Writes and syncs all that waits; returns what is durable now. Call it from one thread at a time, else the
    /// later caller waits for the first.
    ///
    /// # Errors
    /// [`SyncError`]
    pub fn sync(&self) -> Result<Position, SyncError> {
        let mut writer = self.writer.lock();
        let (chunks, position, dead) = {
            let mut inner = self.inner.lock();
            if let Some(failed) = &inner.failed {
                return Err(SyncError::Failed(failed.clone()));
            }
            if inner.chunks.is_empty() {
                return Ok(inner.durable);
            }
            let active = inner.end.number;
            (std::mem::take(&mut inner.chunks), inner.position, inner.state.dead_segments(active))
        };
        match self.write(&chunks) {
            Ok(()) => self.settle(&mut writer, chunks, position, &dead),
            Err(error) => Err(self.inner.lock().set_back(chunks, &error)),
        }
    }

    /// Writes the chunks in order; a segment is durable before the next one's file appears. Safe to repeat.
    fn write(&self, chunks: &VecDeque<Chunk>) -> Result<(), DiskError> {
        for (at, chunk) in chunks.iter().enumerate() {
            let file = names::segment(chunk.segment);
            if chunk.offset == 0 {
                create_whole(self.disk.as_ref(), &file, &chunk.bytes)?;
                continue;
            }
            self.disk.write_at(&file, chunk.offset, &chunk.bytes)?;
            if chunks.get(at + 1).is_none_or(|next| next.segment != chunk.segment) {
                self.disk.sync(&file)?;
            }
        }
        Ok(())
    }

    fn settle(
        &self,
        writer: &mut Writer,
        mut chunks: VecDeque<Chunk>,
        position: Position,
        dead: &[u64],
    ) -> Result<Position, SyncError> {
        let (mark, idle) = {
            let mut inner = self.inner.lock();
            let mark = inner.mark_durable(&chunks, position, self.config.cache_bytes);
            if let Some(last) = chunks.pop_back() {
                inner.keep_buffer(last.bytes);
            }
            (mark, inner.chunks.is_empty())
        };
        if idle {
            writer.mark(self.disk.as_ref(), mark);
        }
        for number in dead {
            if self.drop_segment(*number).is_err() {
                break; // the next sync tries again
            }
        }
        Ok(position)
    }

    /// Each removal is durable before the next, so that never a middle one is missing.
    fn drop_segment(&self, number: u64) -> Result<(), DiskError> {
        names::remove_if_there(self.disk.as_ref(), &names::segment(number))?;
        self.disk.sync_directory()?;
        let mut inner = self.inner.lock();
        inner.state.remove_segment(number);
        inner.file_keys.remove(&number);
        Ok(())
    }

    fn plan(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Wanted>, ReadError> {
        let inner = self.inner.lock();
        let first = inner.state.first();
        if range.start < first && range.start < range.end {
            return Err(ReadError::Purged { index: range.start, first });
        }
        let mut bytes = 0;
        let mut plan = Vec::new();
        for index in range.take(MAX_READ) {
            let Some((location, cached)) = inner.state.find(index) else { break };
            bytes += location.length as usize;
            if bytes > max_bytes && !plan.is_empty() {
                break;
            }
            let key = inner.file_keys.get(&location.segment).cloned();
            plan.push(Wanted { index, location, cached, key });
        }
        Ok(plan)
    }

    fn fetch(&self, wanted: Wanted) -> Result<Record, ReadError> {
        let index = wanted.index;
        if let Some(payload) = wanted.cached {
            return Ok(Record { index, payload });
        }
        let Location { segment, offset, length } = wanted.location;
        let file = names::segment(segment);
        let damage = |what| Damage { file: file.clone(), offset, index: Some(index), what };
        let mut bytes = vec![0; length as usize + FRAME_OVERHEAD];
        match self.disk.read_at(&file, offset, &mut bytes) {
            Ok(_) => {}
            Err(error) => {
                let first = self.inner.lock().state.first();
                return Err(if index < first { ReadError::Purged { index, first } } else { error.into() });
            }
        }
        let key = wanted.key.ok_or_else(|| damage("its segment is gone"))?;
        match key.open(offset, &mut bytes) {
            Ok((frame, payload)) if frame.kind == kind::APPEND && frame.index == index => {
                Ok(Record { index, payload: Bytes::copy_from_slice(payload) })
            }
            _ => Err(damage("the record no longer passes its checks").into()),
        }
    }
}

/// One record to be read.
struct Wanted {
    index: u64,
    location: Location,
    cached: Option<Bytes>,
    key: Option<Arc<FileKey>>,
}

impl Writer {
    /// Writes down what is durable. A failure costs only this help in telling rot from a torn tail.
    fn mark(&mut self, disk: &dyn Disk, mark: Mark) {
        self.witness_ready = self.witness_ready || witness::prepare(disk).is_ok();
        if self.witness_ready {
            self.generation += 1;
            let _ = witness::write(disk, self.generation, mark);
        }
    }
}

/// Makes a file appear whole or not at all, and durable.
fn create_whole(disk: &dyn Disk, file: &str, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = names::temporary(file);
    names::remove_if_there(disk, &temporary)?;
    disk.create(&temporary)?;
    disk.write_at(&temporary, 0, bytes)?;
    disk.sync(&temporary)?;
    disk.rename(&temporary, file)?;
    disk.sync_directory()
}
