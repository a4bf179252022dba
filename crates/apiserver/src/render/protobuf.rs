//! Writes answers in protobuf: objects in their envelopes, lists joined of messages, frames of watches.
//! A record's message is made once and shared by all that list or watch it. Main entry: [`list`].

use std::sync::Arc;

use api::{facts, protobuf};
use bytes::Bytes;
use futures::{StreamExt, stream};
use store::{Record, Revision};

use super::{Renderer, list::CHUNK_BYTES, list_metadata};
use crate::{
    cache::Form,
    http::{accept::Shape, body::ReplyBody},
    object,
    pipeline::Items,
};

/// Bytes of messages made at a time, before others have their turn; a list that fits is sent with its length.
const TURN_BYTES: usize = 256 << 10;

impl Renderer {
    /// One stored object. It is not shared: what a dry run would have stored has the name and revision of what is stored.
    pub(super) fn envelope(&self, record: &Record) -> Bytes {
        let message = self.make_message(record, record.modified);
        [&*self.envelope_head(message.len()), &message, protobuf::TAIL].concat().into()
    }

    /// A frame of a watch with one event.
    pub(super) fn frame(&self, event: &str, record: &Record, revision: Revision) -> Bytes {
        let message = self.make_message(record, revision);
        protobuf::frame(event, &[&self.envelope_head(message.len()), &message, protobuf::TAIL]).into()
    }

    fn envelope_head(&self, length: usize) -> Vec<u8> {
        match self.format.shape {
            Shape::Partial => protobuf::envelope("meta.k8s.io/v1", "PartialObjectMetadata", length),
            _ => protobuf::envelope(&self.kind.api_version(), self.kind.kind, length),
        }
    }

    /// The message of a record of the store, as an item of a list.
    fn message(&self, record: &Arc<Record>) -> Bytes {
        let make = || self.make_message(record, record.modified).into();
        self.cache.get(self.key(record, record.modified, Form::Object), make)
    }

    fn make_message(&self, record: &Record, revision: Revision) -> Vec<u8> {
        let mut value = object::decode_at(record, revision);
        self.kind.from_storage(&mut value);
        match (self.format.shape, facts::ty(self.kind.type_name)) {
            (Shape::Partial, _) => protobuf::partial(&value),
            (_, Some(ty)) => protobuf::message(ty, &value),
            // Every kind has its facts, as a test of theirs holds.
            (_, None) => Vec::new(),
        }
    }
}

/// A list, whole or in chunks. Its length stands at its start, so all messages are made before the first byte is sent.
pub(super) fn list(renderer: Renderer, items: Items) -> ReplyBody {
    let mut list = List { messages: Vec::with_capacity(items.records.len()), renderer, items };
    if list.make() {
        return list.chunks().collect::<Vec<_>>().concat().into();
    }
    let chunks = async move {
        while !list.make() {
            tokio::task::yield_now().await;
        }
        stream::iter(list.chunks())
    };
    ReplyBody::Stream(stream::once(chunks).flatten().boxed())
}

/// A list on its way out.
struct List {
    renderer: Renderer,
    items: Items,
    messages: Vec<Bytes>,
}

impl List {
    /// Makes the messages of some more items; whether that were all.
    fn make(&mut self) -> bool {
        let mut made = 0;
        while let Some(record) = self.items.records.get(self.messages.len()) {
            if made >= TURN_BYTES {
                return false;
            }
            let message = self.renderer.message(record);
            made += message.len();
            self.messages.push(message);
        }
        true
    }

    fn chunks(self) -> impl Iterator<Item = Bytes> + Send {
        let (kind, version) = self.renderer.list_kind();
        let lengths = self.messages.iter().map(Bytes::len);
        let mut head = Some(protobuf::list(&version, kind, &list_metadata(&self.items), lengths));
        let mut messages = self.messages.into_iter();
        std::iter::from_fn(move || {
            if messages.as_slice().is_empty() && head.is_none() {
                return None;
            }
            let mut out = head.take().unwrap_or_default();
            out.reserve(CHUNK_BYTES);
            while out.len() < CHUNK_BYTES {
                let Some(message) = messages.next() else { break };
                protobuf::push_item(&mut out, &message);
            }
            if messages.as_slice().is_empty() {
                out.extend_from_slice(protobuf::TAIL);
            }
            Some(out.into())
        })
    }
}
