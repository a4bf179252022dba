//! The replicated log as openraft uses it, over [`wal::Log`]. Main type: [`LogStore`].
//!
//! An appended entry can be read at once; that it is durable is told after the sync that it shares with whatever
//! came meanwhile. A vote is durable before anybody hears of it. A full disk delays both, and new proposals are
//! refused until there is room. What is on disk is [`wire`]'s, not openraft's.

use std::{fmt::Debug, io, ops::Bound, ops::RangeBounds, sync::Arc, time::Duration};

use futures::Stream;
use openraft::{
    OptionalSend, RaftLogReader,
    storage::{IOFlushed, LogState, RaftLogStorage},
};
use parking_lot::Mutex;
use wal::{AppendError, Log, Position, ReadError, Record};

use crate::{
    codec,
    config::APPEND_BYTES,
    convert,
    media::Syncing,
    sync::Syncer,
    types::{Entry, LogId, TypeConfig, Vote},
    wire,
};

/// Pause before a change is tried again that found too much waiting for the disk.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// Shared by openraft's core, its replication tasks and the applier.
#[derive(Clone)]
pub(crate) struct LogStore {
    log: Arc<Log>,
    syncer: Arc<Syncer>,
    appended: Arc<Mutex<Appended>>,
}

/// What would else be read from the log again and again.
#[derive(Debug, Default)]
struct Appended {
    last: Option<LogId>,
    bytes: u64,
}

impl LogStore {
    pub(crate) fn new(log: Arc<Log>, syncing: Syncing) -> io::Result<Self> {
        let syncer = Arc::new(Syncer::start(log.clone(), syncing)?);
        let store = Self { log, syncer, appended: Arc::default() };
        store.find_last()?;
        Ok(store)
    }

    /// Bytes of entries appended since the start.
    pub(crate) fn bytes_appended(&self) -> u64 {
        self.appended.lock().bytes
    }

    /// Whether the disk has no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.log.is_full()
    }

    fn purged(&self) -> io::Result<Option<LogId>> {
        let Some((_, mark)) = self.log.purged() else { return Ok(None) };
        let id: wire::LogId = codec::decode(&mark).map_err(io::Error::other)?;
        Ok(Some(id.into()))
    }

    /// Looks up the last entry, after the log has lost its end.
    fn find_last(&self) -> io::Result<()> {
        let range = self.log.range();
        let last = match range.end.checked_sub(1).filter(|_| !range.is_empty()) {
            Some(last) => self.read(last..last + 1, 0)?.pop().map(|entry| entry.log_id),
            None => self.purged()?,
        };
        self.appended.lock().last = last;
        Ok(())
    }

    /// Entries of the range, from its start or where the log starts; at least one if it is there.
    fn read(&self, range: std::ops::Range<u64>, bytes: usize) -> io::Result<Vec<Entry>> {
        let mut range = range;
        let records = loop {
            match self.log.read(range.clone(), bytes) {
                Ok(records) => break records,
                // What is purged need not be returned.
                Err(ReadError::Purged { first, .. }) if first > range.start => range.start = first.min(range.end),
                Err(error) => return Err(io::Error::other(error)),
            }
        };
        records.iter().map(decode).collect()
    }

    fn read_all(&self, mut range: std::ops::Range<u64>) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            let some = self.read(range.clone(), APPEND_BYTES)?;
            let Some(last) = some.last() else { return Ok(entries) };
            range.start = last.log_id.index + 1;
            entries.extend(some);
        }
    }

    /// Makes a change, waiting where the disk does not keep up.
    async fn change(&self, change: impl Fn(&Log) -> Result<Position, AppendError>) -> io::Result<Position> {
        loop {
            match change(&self.log) {
                Ok(position) => return Ok(position),
                Err(AppendError::Full { .. } | AppendError::Backlog { .. }) => {
                    tokio::time::sleep(BACKLOG_PAUSE).await; // only a sync helps, and one is under way
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

fn decode(record: &Record) -> io::Result<Entry> {
    let entry: wire::Entry = codec::decode(&record.payload).map_err(io::Error::other)?;
    convert::entry_from_wire(entry).map_err(io::Error::other)
}

fn bounds(range: &impl RangeBounds<u64>) -> std::ops::Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end.max(start)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        self.read_all(bounds(&range))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, APPEND_BYTES)
    }

    /// For the applier: holds a bounded part of a long range at a time.
    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let state = (self.clone(), bounds(&range), Vec::new().into_iter());
        let next = |(store, mut range, mut ready): (Self, std::ops::Range<u64>, std::vec::IntoIter<Entry>)| async move {
            if ready.len() == 0 {
                ready = match store.read(range.clone(), APPEND_BYTES) {
                    Ok(entries) => entries.into_iter(),
                    Err(error) => return Some((Err(error), (store, range.end..range.end, ready))),
                };
            }
            let entry = ready.next()?;
            range.start = entry.log_id.index + 1;
            Some((Ok(entry), (store, range, ready)))
        };
        Box::pin(futures::stream::unfold(state, next))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        let Some(bytes) = self.log.vote() else { return Ok(None) };
        let vote: wire::Vote = codec::decode(&bytes).map_err(io::Error::other)?;
        Ok(Some(vote.into()))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        Ok(LogState { last_purged_log_id: self.purged()?, last_log_id: self.appended.lock().last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let bytes = codec::encode(&wire::Vote::from(*vote));
        let position = self.change(|log| log.set_vote(bytes.clone())).await?;
        self.syncer.vote_durable(position).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed else { return Ok(()) };
        let bytes = codec::encode(&wire::LogId::from(committed));
        self.change(|log| log.set_committed(bytes.clone())).await?; // goes with the next sync
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let Some(bytes) = self.log.committed() else { return Ok(None) };
        let id: wire::LogId = codec::decode(&bytes).map_err(io::Error::other)?;
        Ok(Some(id.into()))
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut last = None;
        let records: Vec<Record> = entries
            .into_iter()
            .map(|entry| {
                last = Some(entry.log_id);
                Record { index: entry.log_id.index, payload: codec::encode(&convert::entry_to_wire(entry)) }
            })
            .collect();
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        let position = self.change(|log| log.append(records.clone())).await?;
        {
            let mut appended = self.appended.lock();
            appended.last = last.or(appended.last);
            appended.bytes += bytes as u64;
        }
        self.syncer.when_durable(position, Box::new(move |result| flushed.io_completed(result)));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.change(|log| log.truncate_after(last.map(|id| id.index))).await?;
        self.find_last()
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mark = codec::encode(&wire::LogId::from(upto));
        self.change(|log| log.purge_to(upto.index, mark.clone())).await?;
        if self.log.range().is_empty() {
            self.find_last()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
