//! What a reader sees: the whole state at one revision. Main type: [`View`].
//!
//! The maps are persistent trees that share structure: keeping a view costs only what changed since.
//! Holds no history; with that of [`crate::window`] it can be rolled back: [`View::as_of`].

use std::{ops::Bound, sync::Arc};

use equivalent::{Comparable, Equivalent};
use imbl::{OrdMap, OrdSet};

use crate::{Event, Incarnation, Key, Record, Revision, Window};

/// The maps that commands change, at one revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    pub(crate) records: OrdMap<Key, Arc<Record>>,
    pub(crate) index: OrdSet<IndexEntry>,
    pub(crate) claims: OrdMap<Key, Arc<str>>,
    pub(crate) counters: OrdMap<Key, i64>,
    pub(crate) flags: OrdMap<Key, Arc<str>>,
    pub(crate) revision: Revision,
    pub(crate) compacted: Revision,
    pub(crate) term: u64,
    pub(crate) incarnation: Incarnation,
}

/// That the record under `key` carries an index pair; ordered so that one pair is one range, in key order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexEntry {
    pub(crate) name: Arc<str>,
    pub(crate) value: Arc<str>,
    pub(crate) key: Key,
}

/// Borrowed [`IndexEntry`], to look one up without allocating.
struct IndexProbe<'a>(&'a str, &'a str, &'a str);

impl Equivalent<IndexEntry> for IndexProbe<'_> {
    fn equivalent(&self, entry: &IndexEntry) -> bool {
        self.compare(entry).is_eq()
    }
}

impl Comparable<IndexEntry> for IndexProbe<'_> {
    fn compare(&self, entry: &IndexEntry) -> std::cmp::Ordering {
        (self.0, self.1, self.2).cmp(&(&entry.name, &entry.value, &entry.key))
    }
}

impl Tree {
    /// Stores, replaces or removes one record and keeps the index equal to it.
    pub(crate) fn set(&mut self, key: &Key, record: Option<Arc<Record>>) {
        let old = match &record {
            Some(new) => self.records.insert(new.key.clone(), new.clone()),
            None => self.records.remove(key),
        };
        let (old, new) = (old.as_deref(), record.as_deref());
        if old.map(|old| &old.indexes) != new.map(|new| &new.indexes) {
            self.reindex(old, new);
        }
    }

    fn reindex(&mut self, old: Option<&Record>, new: Option<&Record>) {
        for entry in old.into_iter().flat_map(index_entries) {
            self.index.remove(&entry);
        }
        for entry in new.into_iter().flat_map(index_entries) {
            self.index.insert(entry);
        }
    }
}

fn index_entries(record: &Record) -> impl Iterator<Item = IndexEntry> {
    record.indexes.iter().map(|(name, value)| IndexEntry {
        name: name.clone(),
        value: value.clone(),
        key: record.key.clone(),
    })
}

/// A snapshot of the whole state at one revision; cheap to hold and to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View(pub(crate) Arc<Tree>);

impl View {
    /// The revision seen.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision
    }

    /// Every revision up to this one is gone from the watch window as of this view.
    #[must_use]
    pub fn compacted(&self) -> Revision {
        self.0.compacted
    }

    /// Leadership term of the newest applied log entry.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.0.term
    }

    /// Which history of the cluster this is; see [`Incarnation`].
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// The record under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Record>> {
        self.0.records.get(key)
    }

    /// Records whose key starts with `prefix`, in key order, past `after` where given; `take` bounds a page.
    pub fn range<'a>(&'a self, prefix: &'a str, after: Option<&str>) -> impl Iterator<Item = &'a Arc<Record>> {
        let start = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let records = self.0.records.range::<_, str>((start, Bound::Unbounded));
        records.take_while(move |(key, _)| key.starts_with(prefix)).map(|(_, record)| record)
    }

    /// How many records [`View::range`] gives from there on; walks them (about 10 ns each).
    #[must_use]
    pub fn count(&self, prefix: &str, after: Option<&str>) -> usize {
        self.range(prefix, after).count()
    }

    /// Records that carry an index pair, in key order.
    pub fn by_index<'a>(&'a self, name: &'a str, value: &'a str) -> impl Iterator<Item = &'a Arc<Record>> {
        self.by_index_under(name, value, "", None)
    }

    /// As [`View::by_index`], of the keys that start with `prefix` and come past `after` only.
    pub fn by_index_under<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Record>> {
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(IndexProbe(name, value, after)),
            None => Bound::Included(IndexProbe(name, value, prefix)),
        };
        let entries = self.0.index.range((start, Bound::Unbounded));
        entries
            .take_while(move |entry| &*entry.name == name && &*entry.value == value && entry.key.starts_with(prefix))
            .filter_map(|entry| self.0.records.get(&entry.key))
    }

    /// Who holds a claim.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Arc<str>> {
        self.0.claims.get(name)
    }

    /// Claims whose name starts with `prefix`, with their holders, in name order.
    pub fn claims<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Key, &'a Arc<str>)> {
        let claims = self.0.claims.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
        claims.take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// Value of a counter; 0 where it was never counted.
    #[must_use]
    pub fn counter(&self, name: &str) -> i64 {
        self.0.counters.get(name).copied().unwrap_or(0)
    }

    /// Value of a flag; empty where unset.
    #[must_use]
    pub fn flag(&self, name: &str) -> &str {
        self.0.flags.get(name).map_or("", |value| value)
    }

    /// The records as they were at an earlier revision, by undoing what a window tells has happened since; `None`
    /// where this view is older. The window has to reach back to there (see [`View::compacted`]), and may be newer
    /// than the view. Claims, counters and flags have no history: they stay as they are.
    ///
    /// Costs about 0.5 µs for each event undone.
    #[must_use]
    pub fn as_of(&self, revision: Revision, window: &Window) -> Option<Self> {
        if revision > self.revision() {
            return None;
        }
        let since = window.after(revision).take_while(|batch| batch[0].revision <= self.revision());
        let since: Vec<_> = since.collect();
        let mut tree = Tree::clone(&self.0);
        for event in since.into_iter().rev().flat_map(|batch| batch.iter()) {
            tree.set(&event.subject().key, event.old.clone());
        }
        tree.revision = revision;
        Some(Self(Arc::new(tree)))
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.records.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.records.is_empty()
    }
}

/// The events of one transaction, in the order in which it first touched their keys; never empty in a watch.
pub type Batch = Arc<[Arc<Event>]>;
