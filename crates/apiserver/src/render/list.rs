//! Writes lists: items are joined as bytes, in chunks, as fast as the client takes them.

use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::json;

use super::{Renderer, encode, list_metadata, table};
use crate::{
    http::{
        accept::{Encoding, Shape},
        body::ReplyBody,
    },
    pipeline::Items,
};

/// Bytes of an answer that is sent whole, with its length.
const WHOLE_BYTES: usize = 128 << 10;

/// Bytes made at a time of a larger one. The HTTP library keeps up to 16 pieces ready for a slow client, so that this bounds
/// what a list under way takes.
pub(super) const CHUNK_BYTES: usize = 8 << 10;

impl Renderer {
    /// A list, whole or in chunks.
    #[must_use]
    pub fn list(self, items: Items) -> ReplyBody {
        match (self.format.shape, self.format.encoding) {
            (Shape::Table, encoding) => ReplyBody::Full(encode(encoding, &table::of_list(&self, &items))),
            (_, Encoding::Yaml) => ReplyBody::Full(self.yaml(items)),
            (_, Encoding::Json) => self.joined(items),
            (_, Encoding::Protobuf) => super::protobuf::list(self, items),
        }
    }

    fn yaml(self, items: Items) -> Bytes {
        let mut json = self;
        json.format.encoding = Encoding::Json;
        let mut chunks = Chunks::new(json, items);
        let mut all = Vec::new();
        while let Some(chunk) = chunks.next() {
            all.extend_from_slice(&chunk);
        }
        let value = serde_json::from_slice(&all).unwrap_or_default();
        encode(Encoding::Yaml, &value)
    }

    fn joined(self, items: Items) -> ReplyBody {
        let mut chunks = Chunks::new(self, items);
        let first = chunks.next().unwrap_or_default();
        if chunks.done {
            return ReplyBody::Full(first);
        }
        let rest = stream::iter(std::iter::from_fn(move || chunks.next()));
        ReplyBody::Stream(stream::iter([first]).chain(rest).boxed())
    }

    /// Kind and `apiVersion` of a list.
    pub(super) fn list_kind(&self) -> (&'static str, String) {
        match self.format.shape {
            Shape::Partial => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
            _ => (self.kind.list_kind, self.kind.api_version()),
        }
    }

    fn list_head(&self, items: &Items) -> Vec<u8> {
        let (kind, version) = self.list_kind();
        let head = json!({ "apiVersion": version, "kind": kind, "metadata": list_metadata(items) });
        let mut out = serde_json::to_vec(&head).expect("a Value is always JSON");
        out.pop();
        out.extend_from_slice(b",\"items\":[");
        out
    }
}

/// A list on its way out.
struct Chunks {
    renderer: Renderer,
    items: Items,
    at: usize,
    head: Option<Vec<u8>>,
    done: bool,
}

impl Chunks {
    fn new(renderer: Renderer, items: Items) -> Self {
        let head = Some(renderer.list_head(&items));
        Self { renderer, items, at: 0, head, done: false }
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let bytes = if self.at == 0 { WHOLE_BYTES } else { CHUNK_BYTES };
        let mut out = self.head.take().unwrap_or_default();
        out.reserve(self.bound(bytes) + 1024);
        while out.len() < bytes {
            let Some(record) = self.items.records.get(self.at) else {
                out.extend_from_slice(b"]}\n");
                self.done = true;
                break;
            };
            if self.at > 0 {
                out.push(b',');
            }
            self.renderer.item(record, record.modified, &mut out);
            self.at += 1;
        }
        Some(out.into())
    }

    /// What the next records take at most, up to a number of bytes.
    fn bound(&self, bytes: usize) -> usize {
        let mut all = 0;
        for record in &self.items.records[self.at..] {
            if all >= bytes {
                break;
            }
            all += record.body.rendered_bound() + 1;
        }
        all.min(bytes)
    }
}
