//! What goes around messages: the envelope of an object, lists joined of items, frames of a watch. Main entry: [`encode`].
//!
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>: `k8s`, a zero byte, and a
//! `runtime.Unknown` of `typeMeta` 1, `raw` 2, `contentEncoding` 3 and `contentType` 4.

use super::{MAGIC, encode::message, wire};
use crate::{
    facts::{self, Type},
    meta,
};
use serde_json::Value;
use wire::Writer;

/// Ends every envelope: neither a content encoding nor a content type, both written as Go writes them.
pub const TAIL: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// Field of a list that holds an item.
const ITEMS: u32 = 2;

/// What `metadata` of objects and of lists is, field 1 of either.
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// An object in its envelope; `None` for one that is of no built-in kind, by its `apiVersion` and `kind`.
#[must_use]
pub fn encode(object: &Value) -> Option<Vec<u8>> {
    let (api_version, kind) = (meta::api_version(object), meta::kind(object));
    let raw = match (api_version, kind) {
        ("meta.k8s.io/v1", "PartialObjectMetadata") => partial(object),
        _ => message(ty(api_version, kind)?, object),
    };
    Some([&envelope(api_version, kind, raw.len()), &*raw, TAIL].concat())
}

/// The type of a kind. The oldest documents (`APIVersions`) do not say their version.
fn ty(api_version: &str, kind: &str) -> Option<&'static Type> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    facts::of_kind(group, if version.is_empty() { "v1" } else { version }, kind)
}

/// The message of an object's `PartialObjectMetadata`, which is `metadata` alone.
#[must_use]
pub fn partial(object: &Value) -> Vec<u8> {
    metadata(OBJECT_META, &object["metadata"])
}

/// Field 1 with what type `name` makes of the value.
fn metadata(name: &str, value: &Value) -> Vec<u8> {
    let mut out = Writer::default();
    if let Some(ty) = facts::ty(name) {
        out.bytes(1, &message(ty, value));
    }
    out.into_bytes()
}

/// An envelope up to its message, whose `length` bytes come next, and then [`TAIL`].
#[must_use]
pub fn envelope(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut out = Writer::after(MAGIC.to_vec());
    let meta = out.open(1);
    out.bytes(1, api_version.as_bytes());
    out.bytes(2, kind.as_bytes());
    out.close(meta);
    out.head(2, length);
    out.into_bytes()
}

/// A list up to its items: those come next, each by [`push_item`], and then [`TAIL`]. `lengths`: of the items' messages.
#[must_use]
pub fn list(api_version: &str, kind: &str, list_meta: &Value, lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    let metadata = metadata(LIST_META, list_meta);
    let items: usize = lengths.map(|length| 1 + wire::varint_len(length) + length).sum();
    [envelope(api_version, kind, metadata.len() + items), metadata].concat()
}

/// Puts the message of one item behind a list.
pub fn push_item(list: &mut Vec<u8>, item: &[u8]) {
    let mut out = Writer::after(std::mem::take(list));
    out.bytes(ITEMS, item);
    *list = out.into_bytes();
}

/// A frame of a watch: its length in four bytes, the highest first, and a `WatchEvent` of `type` 1 and `object` 2, in whose field 1
/// lies an object with its envelope, given in `parts`.
///
/// # Panics
/// For an object of 4 GiB, a thousand times what one may be.
#[must_use]
pub fn frame(event: &str, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Writer::after(vec![0; FRAME_HEAD]);
    out.bytes(1, event.as_bytes());
    out.head(2, 1 + wire::varint_len(length) + length);
    out.head(1, length);
    let mut bytes = out.into_bytes();
    bytes.reserve_exact(length);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let framed = u32::try_from(bytes.len() - FRAME_HEAD).expect("objects are bounded far below 4 GiB");
    bytes[..FRAME_HEAD].copy_from_slice(&framed.to_be_bytes());
    bytes
}

/// Bytes of a frame's length.
const FRAME_HEAD: usize = 4;
