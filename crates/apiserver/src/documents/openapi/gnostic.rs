//! OpenAPI v2 in protobuf, which kubectl before 1.30 reads instead of JSON.
//! Spec: the message types of `openapi.v2.Document` (<https://github.com/google/gnostic-models>).
//!
//! Only what those clients look at: version, title and definitions. Paths, descriptions of operations and defaults
//! are left out.

use serde_json::{Map, Value};

/// Media type the clients ask for.
pub(super) const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Media type they are answered with: the `@` above is not legal in one, and Go's parser refuses it.
pub(super) const MEDIA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Field numbers of the messages, by message.
mod number {
    pub(super) const DOCUMENT_SWAGGER: u32 = 1;
    pub(super) const DOCUMENT_INFO: u32 = 2;
    pub(super) const DOCUMENT_PATHS: u32 = 8;
    pub(super) const DOCUMENT_DEFINITIONS: u32 = 9;
    pub(super) const INFO_TITLE: u32 = 1;
    pub(super) const INFO_VERSION: u32 = 2;
    pub(super) const NAMED_NAME: u32 = 1;
    pub(super) const NAMED_VALUE: u32 = 2;
    pub(super) const ENTRIES: u32 = 1;
    pub(super) const ANY_YAML: u32 = 2;
    pub(super) const SCHEMA_REF: u32 = 1;
    pub(super) const SCHEMA_FORMAT: u32 = 2;
    pub(super) const SCHEMA_DESCRIPTION: u32 = 4;
    pub(super) const SCHEMA_REQUIRED: u32 = 19;
    pub(super) const SCHEMA_ADDITIONAL: u32 = 21;
    pub(super) const SCHEMA_TYPE: u32 = 22;
    pub(super) const SCHEMA_ITEMS: u32 = 23;
    pub(super) const SCHEMA_PROPERTIES: u32 = 25;
    pub(super) const SCHEMA_EXTENSION: u32 = 31;
}

/// Wire type of what has a length: strings and messages.
const LENGTH_DELIMITED: u32 = 2;

/// The document as a protobuf message.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, number::DOCUMENT_SWAGGER, &document["swagger"]);
    let mut info = Vec::new();
    text(&mut info, number::INFO_TITLE, &document["info"]["title"]);
    text(&mut info, number::INFO_VERSION, &document["info"]["version"]);
    bytes(&mut out, number::DOCUMENT_INFO, &info);
    bytes(&mut out, number::DOCUMENT_PATHS, &[]);
    if let Some(definitions) = document["definitions"].as_object() {
        bytes(&mut out, number::DOCUMENT_DEFINITIONS, &named(definitions));
    }
    out
}

/// Schemas by name.
fn named(schemas: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in schemas {
        let mut entry = Vec::new();
        bytes(&mut entry, number::NAMED_NAME, name.as_bytes());
        bytes(&mut entry, number::NAMED_VALUE, &schema(value));
        bytes(&mut out, number::ENTRIES, &entry);
    }
    out
}

/// One schema. Depth is that of our own documents: types refer to each other, they do not nest.
fn schema(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, number::SCHEMA_REF, &value["$ref"]);
    text(&mut out, number::SCHEMA_FORMAT, &value["format"]);
    text(&mut out, number::SCHEMA_DESCRIPTION, &value["description"]);
    for required in value["required"].as_array().into_iter().flatten() {
        text(&mut out, number::SCHEMA_REQUIRED, required);
    }
    if value["additionalProperties"].is_object() {
        let mut item = Vec::new();
        bytes(&mut item, number::ENTRIES, &schema(&value["additionalProperties"]));
        bytes(&mut out, number::SCHEMA_ADDITIONAL, &item);
    }
    if value["type"].is_string() {
        let mut item = Vec::new();
        text(&mut item, number::ENTRIES, &value["type"]);
        bytes(&mut out, number::SCHEMA_TYPE, &item);
    }
    if value["items"].is_object() {
        let mut item = Vec::new();
        bytes(&mut item, number::ENTRIES, &schema(&value["items"]));
        bytes(&mut out, number::SCHEMA_ITEMS, &item);
    }
    if let Some(properties) = value["properties"].as_object() {
        bytes(&mut out, number::SCHEMA_PROPERTIES, &named(properties));
    }
    for (name, extension) in value.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-")) {
        bytes(&mut out, number::SCHEMA_EXTENSION, &any(name, extension));
    }
    out
}

/// A named extension; JSON is YAML.
fn any(name: &str, value: &Value) -> Vec<u8> {
    let (mut entry, mut any) = (Vec::new(), Vec::new());
    bytes(&mut any, number::ANY_YAML, format!("{value}\n").as_bytes());
    bytes(&mut entry, number::NAMED_NAME, name.as_bytes());
    bytes(&mut entry, number::NAMED_VALUE, &any);
    entry
}

fn text(out: &mut Vec<u8>, number: u32, value: &Value) {
    if let Some(text) = value.as_str() {
        bytes(out, number, text.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    varint(out, u64::from(number << 3 | LENGTH_DELIMITED));
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_lengths_and_numbers_as_protobuf_has_them() {
        let document = json!({ "swagger": "2.0", "info": { "title": "t", "version": "v" },
            "definitions": { "A": { "type": "string" } } });
        let expect = [
            b"\x0a\x032.0".as_slice(),
            b"\x12\x06\x0a\x01t\x12\x01v",
            b"\x42\x00",
            b"\x4a\x12\x0a\x10\x0a\x01A\x12\x0b\xb2\x01\x08\x0a\x06string",
        ];
        assert_eq!(encode(&document), expect.concat());
    }
}
