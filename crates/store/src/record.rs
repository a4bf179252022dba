//! Records and events: what is stored, and what a change tells its watchers.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A point in the store's history; rises by one with each transaction that changes something. 0 is "before all".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// Name of a record: segments joined by `/`, ordered bytewise, so that a prefix is a range.
pub type Key = Arc<str>;

/// Small sorted set of name and value, as labels are.
pub type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// A document in two parts, between which a reader splices the revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Bytes up to the revision's digits.
    pub head: Bytes,
    /// Bytes after them.
    pub tail: Bytes,
}

/// One stored document, at one revision. Shared, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where it is stored.
    pub key: Key,
    /// The document.
    pub body: Body,
    /// Pairs that label selectors see.
    pub labels: Pairs,
    /// Pairs that field selectors see.
    pub fields: Pairs,
    /// Pairs under which [`crate::State`] finds it, and by which watches are dispatched.
    pub indexes: Pairs,
    /// Revision that created it.
    pub created: Revision,
    /// Revision of this content: the object's `resourceVersion`.
    pub modified: Revision,
}

/// One change of one key. `old` and `new` differ; at least one is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The transaction's revision, which all its events share.
    pub revision: Revision,
    /// What it was.
    pub old: Option<Arc<Record>>,
    /// What it is now; `None` says deleted.
    pub new: Option<Arc<Record>>,
}

/// Digits of the largest revision.
const REVISION_DIGITS: usize = 20;

impl Body {
    /// The document with the revision spliced in.
    #[must_use]
    pub fn render(&self, revision: Revision) -> Bytes {
        let mut out = Vec::with_capacity(self.rendered_bound());
        self.render_into(revision, &mut out);
        out.into()
    }

    /// Appends the document with the revision spliced in.
    pub fn render_into(&self, revision: Revision, out: &mut Vec<u8>) {
        let mut digits = [0; REVISION_DIGITS];
        out.reserve(self.rendered_bound());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(decimal(revision.0, &mut digits));
        out.extend_from_slice(&self.tail);
    }

    /// Most bytes that rendering can give; what a LIST reserves.
    #[must_use]
    pub fn rendered_bound(&self) -> usize {
        self.head.len() + REVISION_DIGITS + self.tail.len()
    }
}

/// Writes a number's decimal digits at the buffer's end.
fn decimal(mut number: u64, buffer: &mut [u8; REVISION_DIGITS]) -> &[u8] {
    let mut start = REVISION_DIGITS;
    loop {
        start -= 1;
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[start..];
        }
    }
}

impl Record {
    /// The document at its own revision.
    #[must_use]
    pub fn render(&self) -> Bytes {
        self.body.render(self.modified)
    }

    /// Whether both say the same, at whatever revisions.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self.body == other.body
            && self.labels == other.labels
            && self.fields == other.fields
            && self.indexes == other.indexes
    }
}

impl Event {
    /// The record that a watcher is shown: the new one, or the last one of a deleted key.
    #[must_use]
    pub fn subject(&self) -> &Arc<Record> {
        self.new.as_ref().or(self.old.as_ref()).expect("an event has an old or a new record")
    }

    /// The subject at the event's revision: a deleted object's `resourceVersion` is that of its deletion.
    #[must_use]
    pub fn render(&self) -> Bytes {
        self.subject().body.render(self.revision)
    }
}
