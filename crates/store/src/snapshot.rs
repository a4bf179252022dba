//! The whole state as a stream of bounded chunks, and back. Main types: [`Snapshot`], [`Restore`].
//!
//! A snapshot holds an immutable picture, so `apply` goes on while it is written. Equal states give equal bytes.
//! Storing, checking and encrypting the chunks is `wal`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::state::State;
use crate::view::Tree;
use crate::wire::{self, CHUNK_BYTES, Chunk, CodecError, Past, PastEvent, Start, Totals};
use crate::{Entry, Event, Incarnation, Key, Outcome, Record, Refusal, Revision};

/// Estimated bytes of an item's fixed parts in a chunk.
const ITEM_OVERHEAD_BYTES: usize = 32;

/// An immutable picture of a [`State`]; cheap to hold and to clone.
#[derive(Clone, Debug)]
pub struct Snapshot(State);

impl Snapshot {
    pub(crate) fn of(state: State) -> Self {
        Self(state)
    }

    /// The newest entry that it contains.
    #[must_use]
    pub fn applied(&self) -> Entry {
        self.0.applied
    }

    /// The revision that it shows.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision()
    }

    /// Which history of the cluster it is of.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation()
    }

    /// Encoded chunks, to be given to [`Restore::push`] in this order; each at most
    /// [`wire::CHUNK_LIMIT_BYTES`], usually about [`CHUNK_BYTES`].
    ///
    /// # Errors
    /// An item is [`CodecError::TooLarge`], which no command within [`wire::COMMAND_BYTES`] can have made.
    pub fn chunks(&self) -> impl Iterator<Item = Result<Vec<u8>, CodecError>> {
        let Tree { records, claims, counters, flags, .. } = &*self.0.tree;
        let start = [Chunk::Start(self.start())].into_iter();
        let records = chunked(records.values().cloned(), |record| record.weight(), Chunk::Records);
        let claims = chunked(claims.iter().cloned_pairs(), |(name, owner)| name.len() + owner.len(), Chunk::Claims);
        let counters = chunked(counters.iter().cloned_pairs(), |(name, _)| name.len(), Chunk::Counters);
        let flags = chunked(flags.iter().cloned_pairs(), |(name, value)| name.len() + value.len(), Chunk::Flags);
        let requests = chunked(self.0.requests.iter(), |(_, outcome)| outcome_weight(outcome), Chunk::Requests);
        let window = chunked(self.past_events(), past_weight, Chunk::Window);
        let end = [Chunk::End(totals(&self.0))].into_iter();
        let chunks = start.chain(records).chain(claims).chain(counters).chain(flags).chain(requests).chain(window);
        chunks.chain(end).map(|chunk| wire::encode_chunk(&chunk))
    }

    fn start(&self) -> Start {
        let Tree { revision, compacted, incarnation, .. } = *self.0.tree;
        Start { applied: self.0.applied, revision, compacted, incarnation }
    }

    fn past_events(&self) -> impl Iterator<Item = PastEvent> {
        let mut known: BTreeMap<Key, Revision> = BTreeMap::new();
        self.0.window.iter().flat_map(|batch| batch.iter()).map(move |event| {
            let key = event.subject().key.clone();
            let current = self.0.tree.records.get(&key).map(|record| record.modified);
            let old = past(event.old.as_ref(), known.get(&key).copied());
            let new = past(event.new.as_ref(), current);
            match &event.new {
                Some(new) => known.insert(key.clone(), new.modified),
                None => known.remove(&key),
            };
            PastEvent { revision: event.revision, key, old, new }
        })
    }
}

fn past(record: Option<&Arc<Record>>, known: Option<Revision>) -> Past {
    match record {
        None => Past::Nothing,
        Some(record) if known == Some(record.modified) => Past::Known,
        Some(record) => Past::Inline(record.clone()),
    }
}

trait ClonedPairs<K, V> {
    fn cloned_pairs(self) -> impl Iterator<Item = (K, V)>;
}

impl<'a, K: Clone + 'a, V: Clone + 'a, I: Iterator<Item = (&'a K, &'a V)>> ClonedPairs<K, V> for I {
    fn cloned_pairs(self) -> impl Iterator<Item = (K, V)> {
        self.map(|(key, value)| (key.clone(), value.clone()))
    }
}

/// Groups items until a chunk has reached its size.
fn chunked<T>(
    items: impl Iterator<Item = T>,
    weight: impl Fn(&T) -> usize,
    make: impl Fn(Vec<T>) -> Chunk,
) -> impl Iterator<Item = Chunk> {
    let mut items = items;
    std::iter::from_fn(move || {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while bytes < CHUNK_BYTES
            && let Some(item) = items.next()
        {
            bytes += ITEM_OVERHEAD_BYTES + weight(&item);
            chunk.push(item);
        }
        (!chunk.is_empty()).then(|| make(chunk))
    })
}

fn outcome_weight(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Refused(Refusal::Claimed { name, holder }) => name.len() + holder.len(),
        Outcome::Refused(Refusal::Ceiling { name, .. }) => name.len(),
        Outcome::Refused(Refusal::Guard(_)) | Outcome::Applied { .. } => 0,
    }
}

fn past_weight(event: &PastEvent) -> usize {
    let side = |past: &Past| if let Past::Inline(record) = past { record.weight() } else { 0 };
    event.key.len() + side(&event.old) + side(&event.new)
}

fn totals(state: &State) -> Totals {
    Totals {
        records: state.tree.records.len() as u64,
        claims: state.tree.claims.len() as u64,
        counters: state.tree.counters.len() as u64,
        flags: state.tree.flags.len() as u64,
        requests: state.requests.len() as u64,
        events: state.window.events() as u64,
    }
}

/// Why chunks are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A chunk cannot be read.
    #[error("chunk {place} of the snapshot cannot be read")]
    Chunk {
        /// Its place in the stream.
        place: usize,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// The chunks do not fit together.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// The stream ended before the snapshot did.
    #[error("the snapshot is cut off after {0} chunks")]
    CutOff(usize),
}

/// Builds a state out of a snapshot's chunks.
#[derive(Debug, Default)]
pub struct Restore {
    state: State,
    place: usize,
    ended: bool,
    /// Newest record of each key in the window so far.
    known: BTreeMap<Key, Arc<Record>>,
    /// Events of the transaction that is being read.
    batch: Vec<Arc<Event>>,
}

impl Restore {
    /// Takes the next chunk.
    ///
    /// # Errors
    /// It cannot be read, or does not fit; the restore is of no use from then on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let place = self.place;
        let chunk = wire::decode_chunk(bytes).map_err(|source| RestoreError::Chunk { place, source })?;
        self.place += 1;
        match (self.ended, place, chunk) {
            (true, ..) => Err(RestoreError::Damaged("chunks after the end")),
            (_, 0, Chunk::Start(start)) => {
                self.start(start);
                Ok(())
            }
            (_, 0, _) | (_, _, Chunk::Start(_)) => Err(RestoreError::Damaged("a start elsewhere than first")),
            (.., chunk) => self.fill(chunk),
        }
    }

    /// The state, once all chunks were taken.
    ///
    /// # Errors
    /// [`RestoreError::CutOff`] before the last chunk.
    pub fn finish(self) -> Result<State, RestoreError> {
        if self.ended { Ok(self.state) } else { Err(RestoreError::CutOff(self.place)) }
    }

    fn start(&mut self, start: Start) {
        let Start { applied, revision, compacted, incarnation } = start;
        self.state.applied = applied;
        let tree = Arc::make_mut(&mut self.state.tree);
        (tree.revision, tree.compacted, tree.incarnation, tree.term) = (revision, compacted, incarnation, applied.term);
    }

    fn fill(&mut self, chunk: Chunk) -> Result<(), RestoreError> {
        let tree = Arc::make_mut(&mut self.state.tree);
        match chunk {
            Chunk::Start(_) => {}
            Chunk::Records(records) => {
                records.into_iter().for_each(|record| tree.set(&record.key.clone(), Some(record)));
            }
            Chunk::Claims(claims) => tree.claims.extend(claims),
            Chunk::Counters(counters) => tree.counters.extend(counters),
            Chunk::Flags(flags) => tree.flags.extend(flags),
            Chunk::Requests(requests) => {
                requests.iter().for_each(|(request, outcome)| self.state.requests.remember(*request, outcome));
            }
            Chunk::Window(events) => {
                return events.into_iter().try_for_each(|event| self.past_event(event));
            }
            Chunk::End(expected) => return self.end(expected),
        }
        Ok(())
    }

    fn past_event(&mut self, event: PastEvent) -> Result<(), RestoreError> {
        let PastEvent { revision, key, old, new } = event;
        let old = resolve(old, &key, self.known.get(&key))?;
        let new = resolve(new, &key, self.state.tree.records.get(&key))?;
        if old.is_none() && new.is_none() {
            return Err(RestoreError::Damaged("an event of nothing"));
        }
        let previous = self.batch.last().map(|event| event.revision);
        if previous.is_some_and(|previous| previous > revision) || revision > self.state.revision() {
            return Err(RestoreError::Damaged("an event out of order"));
        }
        if previous != Some(revision) {
            self.flush();
        }
        match &new {
            Some(new) => self.known.insert(key, new.clone()),
            None => self.known.remove(&key),
        };
        self.batch.push(Arc::new(Event { revision, old, new }));
        Ok(())
    }

    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if let Some(evicted) = self.state.window.push(batch.into()) {
            // A binary with a larger window made the snapshot.
            Arc::make_mut(&mut self.state.tree).compacted = evicted;
        }
    }

    fn end(&mut self, expected: Totals) -> Result<(), RestoreError> {
        self.flush();
        self.known = BTreeMap::new();
        self.ended = true;
        match totals(&self.state) == expected {
            true => Ok(()),
            false => Err(RestoreError::Damaged("parts are missing")),
        }
    }
}

fn resolve(past: Past, key: &Key, known: Option<&Arc<Record>>) -> Result<Option<Arc<Record>>, RestoreError> {
    match past {
        Past::Nothing => Ok(None),
        Past::Inline(record) if record.key == *key => Ok(Some(record)),
        Past::Inline(_) => Err(RestoreError::Damaged("an event of two keys")),
        Past::Known => Ok(Some(known.ok_or(RestoreError::Damaged("an event of an unknown record"))?.clone())),
    }
}
