//! Writes watch events, one JSON document a line, or one frame in protobuf; each is encoded once for all its watchers.

use bytes::Bytes;
use serde_json::{Value, json};
use store::{Record, Revision};

use super::{Renderer, encode, table};
use crate::{
    cache::Form,
    http::accept::{Encoding, Shape},
    object,
    verbs::watch::Change,
};

/// Ends the initial state of a streaming list.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// Writes changes for one watcher.
#[derive(Debug)]
pub struct EventWriter {
    renderer: Renderer,
    headed: bool,
}

impl EventWriter {
    /// A Table's columns go with the first event only.
    #[must_use]
    pub fn new(renderer: Renderer) -> Self {
        Self { renderer, headed: false }
    }

    /// One chunk with all the changes.
    #[must_use]
    pub fn write(&mut self, changes: &[Change]) -> Bytes {
        match changes {
            [one] => self.one(one),
            many => many.iter().map(|c| self.one(c)).collect::<Vec<_>>().concat().into(),
        }
    }

    fn one(&mut self, change: &Change) -> Bytes {
        match change {
            Change::Added(record) => self.event("ADDED", record, record.modified),
            Change::Modified(record) => self.event("MODIFIED", record, record.modified),
            Change::Deleted(record, revision) => self.event("DELETED", record, *revision),
            Change::Bookmark { revision, initial } => self.made("BOOKMARK", &self.bookmark(*revision, *initial)),
            Change::Failed(error) => self.made("ERROR", &error.to_json()),
        }
    }

    /// An event whose object is no record.
    fn made(&self, kind: &str, object: &Value) -> Bytes {
        match self.renderer.format.encoding {
            Encoding::Protobuf => api::protobuf::frame(kind, &[&encode(Encoding::Protobuf, object)]).into(),
            Encoding::Json | Encoding::Yaml => line(kind, object),
        }
    }

    fn event(&mut self, kind: &'static str, record: &std::sync::Arc<Record>, revision: Revision) -> Bytes {
        if self.renderer.format.shape == Shape::Table {
            self.renderer.now = clock::now();
            let renderer = &self.renderer;
            let mut value = object::decode_at(record, revision);
            renderer.kind.from_storage(&mut value);
            let mut table = table::of_one(renderer, &value);
            if std::mem::replace(&mut self.headed, true) {
                table["columnDefinitions"] = Value::Null;
            }
            return line(kind, &table);
        }
        let renderer = &self.renderer;
        renderer.cache.get(renderer.key(record, revision, Form::Event(kind)), || {
            if renderer.format.encoding == Encoding::Protobuf {
                return renderer.frame(kind, record, revision);
            }
            let mut out = Vec::with_capacity(record.body.rendered_bound() + 64);
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(b"\",\"object\":");
            renderer.item_uncached(record, revision, &mut out);
            out.extend_from_slice(b"}\n");
            out.into()
        })
    }

    fn bookmark(&self, revision: Revision, initial: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": revision.0.to_string() });
        if self.renderer.format.shape == Shape::Table {
            return json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": null, "rows": [] });
        }
        metadata["creationTimestamp"] = Value::Null;
        if initial {
            metadata["annotations"] = json!({ INITIAL_END: "true" });
        }
        let (version, kind) = match self.renderer.format.shape {
            Shape::Partial => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata"),
            _ => (self.renderer.kind.api_version(), self.renderer.kind.kind),
        };
        json!({ "kind": kind, "apiVersion": version, "metadata": metadata })
    }
}

impl Renderer {
    fn item_uncached(&self, record: &Record, revision: Revision, out: &mut Vec<u8>) {
        if self.verbatim() {
            return record.body.render_into(revision, out);
        }
        let mut value = object::decode_at(record, revision);
        self.kind.from_storage(&mut value);
        let value = if self.format.shape == Shape::Partial { super::partial(&value) } else { value };
        out.extend_from_slice(&encode(Encoding::Json, &value));
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    let mut out = serde_json::to_vec(&json!({ "type": kind, "object": object })).expect("a Value is always JSON");
    out.push(b'\n');
    out.into()
}
