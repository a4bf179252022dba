//! Stored records as deciders see them. Main types: [`Snapshot`] and [`Changed`].

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use api::kinds::{Kind, OWNER_INDEX};
use apiserver::object;
use controllers::{Change, Cluster, Object};
use parking_lot::Mutex;
use store::{Record, Revision, View};

use super::facts;
use crate::context::Context;

/// Stored bytes of the objects kept decoded; decoded they take some five times as much. Enough for those that a burst
/// is about; past it all are forgotten at once.
const DECODED_BYTES: usize = 1 << 20;

/// Objects decoded before, at their newest revision seen.
#[derive(Debug, Default)]
pub(super) struct Decoded(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    objects: HashMap<store::Key, (Revision, Object)>,
    /// Stored size of all that was put in since it was empty.
    bytes: usize,
}

impl Decoded {
    fn get(&self, record: &Record) -> Object {
        let kept = self.0.lock();
        let known = kept.objects.get(&record.key).filter(|(at, _)| *at == record.modified);
        if let Some((_, object)) = known {
            return object.clone();
        }
        drop(kept);
        self.decode(record)
    }

    fn decode(&self, record: &Record) -> Object {
        let object = Arc::new(object::decode(record));
        let mut kept = self.0.lock();
        kept.bytes += record.body.rendered_bound();
        if kept.bytes > DECODED_BYTES {
            *kept = Kept { bytes: record.body.rendered_bound(), ..Kept::default() };
        }
        kept.objects.insert(record.key.clone(), (record.modified, object.clone()));
        object
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        *self.0.lock() = Kept::default();
    }
}

/// One view of the store.
pub(super) struct Snapshot<'a> {
    view: View,
    context: &'a Context,
    objects: &'a Decoded,
    cluster: OnceCell<Cluster>,
    refused: Option<String>,
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(view: View, context: &'a Context, objects: &'a Decoded, refused: Option<String>) -> Self {
        Self { view, context, objects, cluster: OnceCell::new(), refused }
    }

    fn lazily<'s>(&'s self, records: Vec<Arc<Record>>) -> Box<dyn Iterator<Item = Object> + 's> {
        Box::new(records.into_iter().map(|record| self.objects.get(&record)))
    }
}

impl controllers::View for Snapshot<'_> {
    fn revision(&self) -> u64 {
        self.view.revision().0
    }

    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Object> {
        self.view.get(&object::key(kind, namespace, name)).map(|record| self.objects.get(record))
    }

    fn list<'a>(&'a self, kind: &'a Kind, namespace: &'a str) -> Box<dyn Iterator<Item = Object> + 'a> {
        self.lazily(self.view.range(&object::prefix(kind, namespace), None).cloned().collect())
    }

    fn labelled<'a>(&'a self, kind: &'a Kind, namespace: &'a str, labels: &'a [(&'a str, &'a str)]) -> Vec<Object> {
        let has = |record: &Record, (key, value): &(&str, &str)| {
            record.labels.iter().any(|(name, text)| **name == **key && **text == **value)
        };
        let prefix = object::prefix(kind, namespace);
        let found = self.view.range(&prefix, None).filter(|record| labels.iter().all(|label| has(record, label)));
        found.map(|record| self.objects.get(record)).collect()
    }

    fn by_owner<'a>(&'a self, uid: &'a str) -> Box<dyn Iterator<Item = Object> + 'a> {
        Box::new(self.view.by_index(OWNER_INDEX, uid).map(|record| self.objects.get(record)))
    }

    fn by_index<'a>(&'a self, kind: &'a Kind, index: &'a str, value: &'a str) -> Box<dyn Iterator<Item = Object> + 'a> {
        let prefix = object::prefix(kind, "");
        self.lazily(self.view.by_index_under(index, value, &prefix, None).cloned().collect())
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.get_or_init(|| facts::of(&self.view, self.context))
    }

    fn failure(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}

/// One event of the store, or one record of a resync.
pub(super) struct Changed<'a> {
    pub(super) kind: &'static Kind,
    pub(super) key: api::key::Parts<'a>,
    pub(super) old: Option<&'a Record>,
    pub(super) new: Option<&'a Record>,
    pub(super) objects: &'a Decoded,
    pub(super) former: OnceCell<Object>,
    /// Holds the change, and perhaps later ones.
    pub(super) view: &'a View,
}

impl Change for Changed<'_> {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn namespace(&self) -> &str {
        self.key.namespace
    }

    fn name(&self) -> &str {
        self.key.name
    }

    fn before(&self) -> Option<Object> {
        let old = self.old?;
        Some(self.former.get_or_init(|| Arc::new(object::decode(old))).clone())
    }

    fn after(&self) -> Option<Object> {
        self.new.map(|new| self.objects.get(new))
    }

    fn removed(&self) -> bool {
        self.new.is_none()
    }

    fn neighbours(&self, kind: &'static Kind) -> Vec<Object> {
        let prefix = object::prefix(kind, self.key.namespace);
        self.view.range(&prefix, None).map(|record| self.objects.get(record)).collect()
    }
}
