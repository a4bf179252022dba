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
