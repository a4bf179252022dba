//! Takes protobuf answers apart, with a reader of its own, so that the program's is not judged by itself. Main types: [`opened`],
//! [`listed`], [`Frames`].

use api::protobuf;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::MAPS;
use crate::wire::{Connection, ask};

/// Fields of a message that are strings or messages.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        match tag & 7 {
            0 => _ = varint(&mut bytes),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (content, rest) = bytes.split_at(length);
                found.push((tag >> 3, content));
                bytes = rest;
            }
            other => panic!("no type {other} is expected"),
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// `apiVersion`, `kind` and message of an answer.
pub(crate) fn opened(body: &[u8]) -> (String, String, &[u8]) {
    let envelope = fields(body.strip_prefix(b"k8s\0").unwrap());
    let [(1, meta), (2, raw), (3, b""), (4, b"")] = envelope.as_slice() else { panic!("{envelope:?}") };
    let text = |wanted| fields(meta).iter().find(|(number, _)| *number == wanted).map_or(&b""[..], |(_, text)| text);
    let text = |wanted| String::from_utf8(text(wanted).to_vec()).unwrap();
    (text(1), text(2), raw)
}

/// A message as the object of this kind that it is.
pub(crate) fn object(api_version: &str, kind: &str, message: &[u8]) -> Value {
    let head = protobuf::envelope(api_version, kind, message.len());
    protobuf::decode(&[&head, message, protobuf::TAIL].concat()).unwrap()
}

/// The objects of a list that are of `kind`, and its `metadata`.
pub(crate) fn listed(body: &[u8], kind: &str) -> (Vec<Value>, Value) {
    let (api_version, list_kind, raw) = opened(body);
    assert_eq!(list_kind, format!("{kind}List"));
    let parts = fields(raw);
    let items = parts.iter().filter(|(number, _)| *number == 2).map(|(_, item)| object(&api_version, kind, item));
    // `metadata` of a Status is that of a list.
    let status = [b"\x0a", &[parts[0].1.len() as u8][..], parts[0].1].concat();
    (items.collect(), object("v1", "Status", &status)["metadata"].take())
}

/// Reads frames of a watch.
pub(crate) struct Frames {
    body: Incoming,
    read: BytesMut,
}

impl Frames {
    pub(crate) async fn open(connection: &mut Connection, parameters: &str, accept: &str) -> Self {
        let request = ask(&format!("GET {MAPS}?watch=true&{parameters}")).with("accept", accept);
        let response = connection.begin(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
        Self { body: response.into_body(), read: BytesMut::new() }
    }

    async fn fill(&mut self, wanted: usize) -> Option<Bytes> {
        while self.read.len() < wanted {
            let Some(frame) = self.body.frame().await else {
                assert!(self.read.is_empty(), "the last frame is whole");
                return None;
            };
            self.read.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        Some(self.read.split_to(wanted).freeze())
    }

    /// The next event, as its type and the object in its envelope; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Bytes)> {
        let length: [u8; 4] = self.fill(4).await?.as_ref().try_into().unwrap();
        let frame = self.fill(u32::from_be_bytes(length) as usize).await.unwrap();
        let parts = fields(&frame);
        let [(1, kind), (2, extension)] = parts.as_slice() else { panic!("{parts:?}") };
        let [(1, raw)] = fields(extension)[..] else { panic!("an extension has one field") };
        Some((String::from_utf8(kind.to_vec()).unwrap(), frame.slice_ref(raw)))
    }

    pub(crate) async fn event(&mut self) -> (String, Value) {
        let (kind, object) = self.next().await.unwrap();
        (kind, protobuf::decode(&object).unwrap())
    }
}
