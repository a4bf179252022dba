//! Encodings made once and shared: what a watch event, a Table row or a metadata view looks like on the wire.
//! First in, first out, bounded by bytes: an encoding is wanted by all watchers at once and hardly ever again.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;
use store::{Key, Revision};

use crate::http::accept::Format;

/// What an entry costs beside its bytes: two keys and two table slots.
const ENTRY_OVERHEAD: usize = 256;

/// Entries larger than this are made anew each time: few of them would push out everything else.
const MAX_ENTRY_BYTES: usize = 1 << 20;

/// What is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A watch event of this type.
    Event(&'static str),
    /// The rows of a Table; the parameter says what comes along with the cells.
    Row(u8),
    /// An object by itself.
    Object,
}

/// Names one encoding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The record.
    pub key: Key,
    /// Its revision, or that of its deletion.
    pub revision: Revision,
    /// Served version: a group and version.
    pub version: (&'static str, &'static str),
    /// What is encoded.
    pub form: Form,
    /// How.
    pub format: Format,
}

/// Encodings by what they encode.
#[derive(Debug)]
pub struct Cache {
    inner: Mutex<Inner>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<CacheKey, Bytes>,
    order: VecDeque<CacheKey>,
    bytes: usize,
}

impl Cache {
    /// Holds at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), max_bytes }
    }

    /// The encoding, made if it is not there.
    pub fn get(&self, key: CacheKey, make: impl FnOnce() -> Bytes) -> Bytes {
        if let Some(bytes) = self.inner.lock().entries.get(&key) {
            return bytes.clone();
        }
        let bytes = make();
        if bytes.len() <= MAX_ENTRY_BYTES {
            self.put(key, bytes.clone());
        }
        bytes
    }

    fn put(&self, key: CacheKey, bytes: Bytes) {
        let mut inner = self.inner.lock();
        let cost = bytes.len() + ENTRY_OVERHEAD;
        if inner.entries.insert(key.clone(), bytes).is_some() {
            return;
        }
        inner.order.push_back(key);
        inner.bytes += cost;
        while inner.bytes > self.max_bytes {
            let Some(oldest) = inner.order.pop_front() else { return };
            let freed = inner.entries.remove(&oldest).map_or(0, |b| b.len() + ENTRY_OVERHEAD);
            inner.bytes -= freed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(revision: u64) -> CacheKey {
        let format = Format::default();
        CacheKey { key: "a".into(), revision: Revision(revision), version: ("", "v1"), form: Form::Object, format }
    }

    #[test]
    fn forgets_the_oldest_past_its_bytes() {
        let cache = Cache::new(2 * (ENTRY_OVERHEAD + 10));
        for revision in 0..3 {
            cache.get(key(revision), || Bytes::from(vec![0; 10]));
        }
        let mut made = Vec::new();
        for revision in [2, 1, 0] {
            cache.get(key(revision), || {
                made.push(revision);
                Bytes::from(vec![0; 10])
            });
        }
        assert_eq!(made, [0]);
    }
}
