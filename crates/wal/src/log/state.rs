//! The log as it is in memory: where each record is, the newest records themselves, and the metadata.
//!
//! Main type: [`State`]. Pure: no disk, no lock, no cipher. Appending, replaying and recovery go through the same
//! three changes, so that what a restart finds is what the running log had.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Record;

/// Where a record is; ordered as written. Segment 0 says that its file was dropped, see [`State::assume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Location {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

/// What is kept besides the records; opaque to the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) vote: Option<Bytes>,
    pub(crate) committed: Option<Bytes>,
    /// The last purged index and what the caller wants to know of it.
    pub(crate) purged: Option<(u64, Bytes)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) meta: Meta,
    /// Index of `locations[0]`.
    first: u64,
    locations: VecDeque<Location>,
    /// Payloads of the newest records, oldest first.
    cache: VecDeque<Bytes>,
    cached_bytes: usize,
    /// Live records of each segment that exists.
    live: BTreeMap<u64, u64>,
}

impl State {
    /// Index of the first record, or of the next one where there is none.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// One past the last record.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.locations.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.locations.is_empty()
    }

    /// Whether a record of this index may come next: an empty log may start anywhere past what was purged.
    pub(crate) fn accepts(&self, index: u64) -> bool {
        if self.is_empty() { index >= self.first } else { index == self.next() }
    }

    /// Starts a replay in which the records up to `next` were in segments since dropped.
    pub(crate) fn assume(&mut self, meta: Meta, first: u64, next: u64) {
        self.first = first;
        self.meta = meta;
        let dropped = Location { segment: 0, offset: 0, length: 0 };
        self.locations = (first..next).map(|_| dropped).collect();
    }

    /// The lowest live record whose segment is gone.
    pub(crate) fn missing(&self) -> Option<u64> {
        self.locations.front().filter(|location| location.segment == 0).map(|_| self.first)
    }

    pub(crate) fn add_segment(&mut self, number: u64) {
        self.live.entry(number).or_insert(0);
    }

    pub(crate) fn push(&mut self, record: Record, location: Location) {
        if self.is_empty() {
            self.first = record.index;
        }
        self.locations.push_back(location);
        *self.live.entry(location.segment).or_insert(0) += 1;
        self.cached_bytes += record.payload.len();
        self.cache.push_back(record.payload);
    }

    /// Drops all records from `from` on.
    pub(crate) fn truncate(&mut self, from: u64) {
        while self.next() > from
            && let Some(location) = self.locations.pop_back()
        {
            self.forget(location);
            self.cached_bytes -= self.cache.pop_back().map_or(0, |payload| payload.len());
        }
        if self.is_empty() {
            self.first = self.meta.purged.as_ref().map_or(0, |(index, _)| index + 1);
        }
    }

    /// Drops all records up to `index`; where there are none so far, the log goes on after `index`.
    pub(crate) fn purge(&mut self, index: u64, mark: Bytes) {
        while self.first <= index
            && let Some(location) = self.locations.pop_front()
        {
            self.forget(location);
            self.first += 1;
            if self.cache.len() > self.locations.len() {
                self.cached_bytes -= self.cache.pop_front().map_or(0, |payload| payload.len());
            }
        }
        if self.is_empty() {
            self.first = self.first.max(index + 1);
        }
        self.meta.purged = Some((index, mark));
    }

    /// Lets go of the oldest payloads over `limit` bytes, of those that are on disk: before `written`.
    pub(crate) fn evict(&mut self, limit: usize, written: (u64, u64)) {
        while self.cached_bytes > limit
            && let Some(location) = self.locations.get(self.locations.len() - self.cache.len())
            && (location.segment, location.offset) < written
            && let Some(payload) = self.cache.pop_front()
        {
            self.cached_bytes -= payload.len();
        }
    }

    /// Where the record is, with its payload if that is in memory.
    pub(crate) fn find(&self, index: u64) -> Option<(Location, Option<Bytes>)> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        let location = *self.locations.get(at)?;
        let cached = at.checked_sub(self.locations.len() - self.cache.len()).map(|at| self.cache[at].clone());
        Some((location, cached))
    }

    /// Segments before `active` at the log's start in which no record lives.
    pub(crate) fn dead_segments(&self, active: u64) -> Vec<u64> {
        self.live.iter().take_while(|(number, live)| **number < active && **live == 0).map(|(n, _)| *n).collect()
    }

    pub(crate) fn remove_segment(&mut self, number: u64) {
        self.live.remove(&number);
    }

    fn forget(&mut self, location: Location) {
        if let Some(live) = self.live.get_mut(&location.segment) {
            *live -= 1;
        }
    }
}
