//! The newest transactions, from which watches start and catch up. Main type: [`Window`].
//!
//! It is bounded by count and by bytes, and the same on every machine; past it a watch is told `410 Gone`.

use imbl::Vector;

use crate::{Batch, Event, Record, Revision};

/// Events kept. Bounds what a watcher that catches up may have to scan, and the window's share of a snapshot.
pub const WINDOW_EVENTS: usize = 32_768;

/// Bytes of past content kept: a fifth of the memory a whole node may take. About 10,000 changes of a pod.
pub const WINDOW_BYTES: usize = 16 << 20;

/// What an event costs beside the content it keeps alive.
const EVENT_OVERHEAD_BYTES: usize = 128;

/// What a record costs beside its bytes and pairs.
const RECORD_OVERHEAD_BYTES: usize = 256;

/// What a pair costs beside its bytes.
const PAIR_OVERHEAD_BYTES: usize = 64;

/// The newest transactions that changed records, oldest first. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    batches: Vector<Batch>,
    events: usize,
    bytes: usize,
}

impl Window {
    /// Adds a transaction; returns the newest revision that had to make room.
    pub(crate) fn push(&mut self, batch: Batch) -> Option<Revision> {
        if batch.is_empty() {
            return None;
        }
        self.events += batch.len();
        self.bytes += weight(&batch);
        self.batches.push_back(batch);
        let mut evicted = None;
        while (self.events > WINDOW_EVENTS || self.bytes > WINDOW_BYTES)
            && let Some(oldest) = self.batches.pop_front()
        {
            self.events -= oldest.len();
            self.bytes -= weight(&oldest);
            evicted = revision(&oldest);
        }
        evicted
    }

    /// Transactions past a revision, oldest first.
    pub fn after(&self, revision: Revision) -> impl Iterator<Item = &Batch> {
        let start = self.batches.binary_search_by(|batch| {
            // Never equal: gives the place of the first batch past the revision.
            if batch[0].revision > revision { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less }
        });
        // Not `skip`, which would walk there.
        self.batches.focus().narrow(start.unwrap_or_else(|place| place)..).into_iter()
    }

    /// All transactions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter()
    }

    /// Events kept.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// Estimated bytes that only the window keeps alive.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn revision(batch: &Batch) -> Option<Revision> {
    batch.first().map(|event| event.revision)
}

/// What dropping a batch would free: old content. The new content is in the state, or is a later event's old one.
fn weight(batch: &Batch) -> usize {
    let old = |event: &Event| event.old.as_deref().map_or(0, Record::weight);
    batch.iter().map(|event| EVENT_OVERHEAD_BYTES + old(event)).sum()
}

impl Record {
    /// Estimated bytes in memory, and bound of those on disk.
    pub(crate) fn weight(&self) -> usize {
        let pairs = self.labels.iter().chain(&self.fields).chain(&self.indexes);
        let pairs: usize = pairs.map(|(name, value)| PAIR_OVERHEAD_BYTES + name.len() + value.len()).sum();
        RECORD_OVERHEAD_BYTES + self.key.len() + self.body.head.len() + self.body.tail.len() + pairs
    }
}
