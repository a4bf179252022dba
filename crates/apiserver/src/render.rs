//! Writes answers in the negotiated format. Plain JSON of a stored object is spliced, never parsed; other formats of
//! what is listed or watched are made once and shared.

use std::sync::Arc;

use api::kinds::Kind;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Record, Revision};

use crate::{
    cache::{Cache, CacheKey, Form},
    http::{
        accept::{Encoding, Format, Shape},
        query::Query,
    },
    object,
    pipeline::{Items, Object},
    status::ApiError,
};

pub mod event;
pub mod list;
mod protobuf;
pub mod table;

/// What a rendering depends on beside the object.
#[derive(Clone, Debug)]
pub struct Renderer {
    /// Encodings made before.
    pub cache: Arc<Cache>,
    /// The row of what is answered with.
    pub kind: &'static Kind,
    /// The negotiated format.
    pub format: Format,
    /// What rows of a Table carry beside their cells.
    pub include: table::Include,
    /// Ages in Tables are told as of then: the time of the request, or of a watch's event.
    pub now: Timestamp,
}

impl Renderer {
    /// For one request.
    ///
    /// # Errors
    /// 400 for an `includeObject` that is none.
    pub fn new(
        cache: &Arc<Cache>,
        kind: &'static Kind,
        format: Format,
        query: &Query,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let include = table::Include::parse(query.get("includeObject"))?;
        Ok(Self { cache: Arc::clone(cache), kind, format, include, now })
    }

    /// Is the stored form what the client gets, byte by byte?
    fn verbatim(&self) -> bool {
        let stored = self.kind.storage.as_ref().is_some_and(|s| s.other.is_none());
        stored && self.format == Format::default()
    }

    /// One object.
    #[must_use]
    pub fn object(&self, object: &Object) -> Bytes {
        match object {
            Object::Stored(record) if self.verbatim() => record.render(),
            Object::Stored(record) if self.format.encoding == Encoding::Protobuf => self.envelope(record),
            Object::Stored(record) => self.value(&object::served(self.kind, record)),
            Object::Made(value) => self.value(value),
        }
    }

    fn value(&self, object: &Value) -> Bytes {
        match self.format.shape {
            Shape::Table if is_kind(self.kind, object) => encode(self.format.encoding, &table::of_one(self, object)),
            Shape::Partial if is_kind(self.kind, object) => encode(self.format.encoding, &partial(object)),
            _ => encode(self.format.encoding, object),
        }
    }

    /// The bytes of a record at a revision, as an item of a list or event.
    fn item(&self, record: &Arc<Record>, revision: Revision, out: &mut Vec<u8>) {
        if self.verbatim() {
            return record.body.render_into(revision, out);
        }
        let make = || {
            let mut value = object::decode_at(record, revision);
            self.kind.from_storage(&mut value);
            let value = if self.format.shape == Shape::Partial { partial(&value) } else { value };
            encode(Encoding::Json, &value)
        };
        out.extend_from_slice(&self.cache.get(self.key(record, revision, Form::Object), make));
    }

    fn key(&self, record: &Record, revision: Revision, form: Form) -> CacheKey {
        let version = (self.kind.group, self.kind.version);
        CacheKey { key: Arc::clone(&record.key), revision, version, form, format: self.format }
    }
}

/// A Status stays a Status, whatever the kind asked for.
fn is_kind(kind: &Kind, object: &Value) -> bool {
    object["kind"] == kind.kind
}

/// `PartialObjectMetadata` of an object.
#[must_use]
pub fn partial(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}

/// Writes a value.
///
/// # Panics
/// In protobuf, for what is of no built-in kind, which nothing served is. Else never: a [`Value`] can be written both ways.
#[must_use]
pub fn encode(encoding: Encoding, value: &Value) -> Bytes {
    match encoding {
        Encoding::Json => serde_json::to_vec(value).expect("a Value is always JSON").into(),
        Encoding::Yaml => serde_saphyr::to_string(value).expect("a Value is always YAML").into(),
        Encoding::Protobuf => api::protobuf::encode(value).expect("what is served is of a built-in kind").into(),
    }
}

/// `metadata` of a list.
fn list_metadata(items: &Items) -> Value {
    let mut metadata = json!({ "resourceVersion": items.revision.0.to_string() });
    if !items.continue_token.is_empty() {
        metadata["continue"] = items.continue_token.as_str().into();
    }
    if let Some(remaining) = items.remaining.filter(|n| *n > 0) {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}
