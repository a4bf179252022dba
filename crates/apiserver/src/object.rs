//! Objects and the records they are stored as: keys, the split body, what selectors and indexes see.

use std::sync::Arc;

use api::kinds::Kind;
use bytes::Bytes;
use serde_json::{Map, Value};
use store::{Body, Key, Op, Pairs, Record, Revision};

/// Key of an object, as [`api::key`] lays it out. Versions of a kind share it.
///
/// # Panics
/// If the kind is not stored: callers look at [`Kind::storage`] first.
#[must_use]
pub fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let prefix = kind.storage.as_ref().expect("only stored kinds have keys").prefix;
    let namespace = if kind.namespaced { namespace } else { "" };
    format!("{prefix}/{namespace}/{name}").into()
}

/// Prefix of the keys of a collection; ends with `/`.
///
/// # Panics
/// As [`key`].
#[must_use]
pub fn prefix(kind: &Kind, namespace: &str) -> Key {
    let prefix = kind.storage.as_ref().expect("only stored kinds have keys").prefix;
    match kind.namespaced && !namespace.is_empty() {
        true => format!("{prefix}/{namespace}/").into(),
        false => format!("{prefix}/").into(),
    }
}

/// Name in a key: its last segment.
#[must_use]
pub fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Canonical JSON in two parts around the revision's digits.
#[must_use]
pub fn encode(object: &Value) -> Body {
    let mut out = Vec::with_capacity(1024);
    let mut split = None;
    out.push(b'{');
    for (name, value) in object.as_object().into_iter().flatten() {
        separate(&mut out);
        write_name(&mut out, name);
        match (name.as_str(), value) {
            ("metadata", Value::Object(metadata)) => split = Some(write_metadata(&mut out, metadata)),
            _ => write(&mut out, value),
        }
    }
    out.push(b'}');
    let all = Bytes::from(out);
    let split = split.unwrap_or(all.len());
    Body { head: all.slice(..split), tail: all.slice(split..) }
}

/// Writes metadata with an empty `resourceVersion` in its place; returns where the digits go.
fn write_metadata(out: &mut Vec<u8>, metadata: &Map<String, Value>) -> usize {
    const NAME: &str = "resourceVersion";
    let mut split = None;
    out.push(b'{');
    for (name, value) in metadata.iter().filter(|(name, _)| *name != NAME) {
        if split.is_none() && name.as_str() > NAME {
            split = Some(write_version(out));
        }
        separate(out);
        write_name(out, name);
        write(out, value);
    }
    let split = split.unwrap_or_else(|| write_version(out));
    out.push(b'}');
    split
}

fn write_version(out: &mut Vec<u8>) -> usize {
    separate(out);
    out.extend_from_slice(b"\"resourceVersion\":\"");
    let split = out.len();
    out.push(b'"');
    split
}

fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    serde_json::to_writer(&mut *out, name).expect("a string is always JSON");
    out.push(b':');
}

fn write(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("a Value is always JSON");
}

/// The stored object of a record, its `resourceVersion` filled in.
///
/// # Panics
/// If the record is no JSON, which only this crate's writers could have caused.
#[must_use]
pub fn decode(record: &Record) -> Value {
    decode_at(record, record.modified)
}

/// As [`decode`], at another revision (that of a deletion).
///
/// # Panics
/// As [`decode`].
#[must_use]
pub fn decode_at(record: &Record, revision: Revision) -> Value {
    serde_json::from_slice(&record.body.render(revision)).expect("records are written as JSON")
}

/// The object of a record as this version of its kind serves it.
#[must_use]
pub fn served(kind: &Kind, record: &Record) -> Value {
    let mut object = decode(record);
    kind.from_storage(&mut object);
    object
}

/// The operation that stores an object (stored form).
#[must_use]
pub fn put(kind: &'static Kind, key: Key, object: &Value) -> Op {
    let kind = kind.stored();
    Op::Put {
        key,
        body: encode(object),
        labels: labels(object),
        fields: fields(kind, object),
        indexes: indexes(kind, object),
    }
}

/// The record a [`put`] makes at a revision.
#[must_use]
pub fn record(op: Op, created: Option<Revision>, modified: Revision) -> Option<Arc<Record>> {
    let Op::Put { key, body, labels, fields, indexes } = op else { return None };
    Some(Arc::new(Record { key, body, labels, fields, indexes, created: created.unwrap_or(modified), modified }))
}

fn labels(object: &Value) -> Pairs {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.as_str().into(), value.as_str()?.into()))).collect()
}

fn fields(kind: &Kind, object: &Value) -> Pairs {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut pairs: Pairs = vec![("metadata.name".into(), text("/metadata/name").into())];
    if kind.namespaced {
        pairs.push(("metadata.namespace".into(), text("/metadata/namespace").into()));
    }
    pairs.extend(kind.fields.iter().map(|field| (field.stored.into(), field.value(object).into())));
    pairs.sort();
    pairs.dedup_by(|a, b| a.0 == b.0);
    pairs
}

fn indexes(kind: &'static Kind, object: &Value) -> Pairs {
    let values = |index: &'static api::kinds::Index| {
        (index.values)(object).into_iter().map(move |value| (Arc::from(index.name), value.into()))
    };
    let mut pairs: Pairs = kind.indexes.iter().flat_map(values).collect();
    pairs.sort();
    pairs.dedup();
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(object: Value, expect: &str) {
        assert_eq!(encode(&object).render(Revision(7)), expect);
    }

    #[test]
    fn splits_around_the_revision_only() {
        check(
            json!({"metadata": {"name": "a", "uid": "u"}}),
            r#"{"metadata":{"name":"a","resourceVersion":"7","uid":"u"}}"#,
        );
        check(
            json!({"metadata": {"name": "a", "resourceVersion": "3"}}),
            r#"{"metadata":{"name":"a","resourceVersion":"7"}}"#,
        );
        check(json!({"metadata": {}}), r#"{"metadata":{"resourceVersion":"7"}}"#);
        check(
            json!({"data": {"resourceVersion": ""}, "metadata": {"labels": {"resourceVersion": "x"}}}),
            r#"{"data":{"resourceVersion":""},"metadata":{"labels":{"resourceVersion":"x"},"resourceVersion":"7"}}"#,
        );
    }
}
