//! Who wants which event: watchers by key prefix, and by index pair below it. Main type: [`Topics`].

use std::collections::BTreeMap;
use std::{sync::Arc, task::Waker};

use super::seat::Seat;
use crate::{Batch, Event, Record, Scope};

/// Watchers of one scope, in the order of their registration (which keeps a simulated cluster repeatable).
type Seats = BTreeMap<u64, Arc<Seat>>;

/// All watchers, found by what they watch.
#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<Arc<str>, Prefix>);

/// Watchers below one prefix.
#[derive(Debug, Default)]
struct Prefix {
    plain: Seats,
    /// By index name, then value.
    indexed: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Seats>>,
}

/// The seats of each hit topic, with the places of its events in the batch; keyed by a seat, which is of one topic.
type Hits<'a> = BTreeMap<u64, (&'a Seats, Vec<usize>)>;

impl Topics {
    pub(super) fn insert(&mut self, seat: Arc<Seat>) {
        let Scope { prefix, index } = seat.scope().clone();
        let prefix = self.0.entry(prefix).or_default();
        let seats = match index {
            None => &mut prefix.plain,
            Some((name, value)) => prefix.indexed.entry(name).or_default().entry(value).or_default(),
        };
        seats.insert(seat.id(), seat);
    }

    pub(super) fn remove(&mut self, seat: &Seat) {
        let Scope { prefix: key, index } = seat.scope();
        let Some(prefix) = self.0.get_mut(key) else { return };
        match index {
            None => drop(prefix.plain.remove(&seat.id())),
            Some((name, value)) => prefix.remove_indexed(name, value, seat.id()),
        }
        if prefix.plain.is_empty() && prefix.indexed.is_empty() {
            self.0.remove(key);
        }
    }

    pub(super) fn seats(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.0.values().flat_map(|prefix| {
            let indexed = prefix.indexed.values().flat_map(BTreeMap::values);
            indexed.chain([&prefix.plain]).flat_map(BTreeMap::values)
        })
    }

    /// Hands a batch to everybody it concerns; returns whom to wake.
    pub(super) fn dispatch(&self, batch: &Batch) -> Vec<Waker> {
        let mut hits = Hits::new();
        for (place, event) in batch.iter().enumerate() {
            self.hit(place, event, &mut hits);
        }
        let mut wakers = Vec::new();
        for (seats, places) in hits.into_values() {
            let part = part(batch, &places);
            wakers.extend(seats.values().filter_map(|seat| seat.deliver(&part)));
        }
        wakers
    }

    fn hit<'a>(&'a self, place: usize, event: &Event, hits: &mut Hits<'a>) {
        for prefix in prefixes(&event.subject().key).filter_map(|prefix| self.0.get(prefix)) {
            note(place, &prefix.plain, hits);
            if prefix.indexed.is_empty() {
                continue;
            }
            for (name, value) in pairs(event) {
                if let Some(seats) = prefix.indexed.get(name).and_then(|values| values.get(value)) {
                    note(place, seats, hits);
                }
            }
        }
    }
}

impl Prefix {
    fn remove_indexed(&mut self, name: &str, value: &str, id: u64) {
        let Some(values) = self.indexed.get_mut(name) else { return };
        if let Some(seats) = values.get_mut(value) {
            seats.remove(&id);
            if seats.is_empty() {
                values.remove(value);
            }
        }
        if values.is_empty() {
            self.indexed.remove(name);
        }
    }
}

/// An event hits a topic once, though its old and its new record may both carry the pair.
fn note<'a>(place: usize, seats: &'a Seats, hits: &mut Hits<'a>) {
    let Some(id) = seats.keys().next() else { return };
    let (_, places) = hits.entry(*id).or_insert_with(|| (seats, Vec::new()));
    if places.last() != Some(&place) {
        places.push(place);
    }
}

/// What a scope's prefix may be for a watch that sees this key: empty, up to each `/`, and the whole.
fn prefixes(key: &str) -> impl Iterator<Item = &str> {
    let inner = key.match_indices('/').map(|(at, _)| &key[..=at]);
    [""].into_iter().chain(inner).chain(Some(key).filter(|key| !key.is_empty() && !key.ends_with('/')))
}

fn pairs(event: &Event) -> impl Iterator<Item = (&str, &str)> {
    let records = event.old.iter().chain(&event.new);
    records.flat_map(|record| &record.indexes).map(|(name, value)| (&**name, &**value))
}

/// The part of a batch within a scope, shared where it is the whole; `None` where it is nothing.
pub(super) fn within(scope: &Scope, batch: &Batch) -> Option<Batch> {
    let places: Vec<_> = (0..batch.len()).filter(|place| sees(scope, &batch[*place])).collect();
    (!places.is_empty()).then(|| part(batch, &places))
}

fn part(batch: &Batch, places: &[usize]) -> Batch {
    match places.len() == batch.len() {
        true => batch.clone(),
        false => places.iter().map(|place| batch[*place].clone()).collect(),
    }
}

fn sees(scope: &Scope, event: &Event) -> bool {
    let key = &event.subject().key;
    let open = scope.prefix.is_empty() || scope.prefix.ends_with('/');
    let inside = if open { key.starts_with(&*scope.prefix) } else { *key == scope.prefix };
    let carries = |record: &Arc<Record>, pair| record.indexes.contains(pair);
    inside && scope.index.as_ref().is_none_or(|pair| event.old.iter().chain(&event.new).any(|r| carries(r, pair)))
}
