//! The v2 document in protobuf, which is the only form kubectl up to 1.28 asks for (`apply`, `explain` and validation fail
//! without it).
//!
//! Main entry: [`encode`]. The messages are those of
//! [gnostic's OpenAPIv2.proto](https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto), as tables of the fields
//! our documents have: what a table does not name is left out.

use serde_json::{Map, Value};

/// A protobuf message for a JSON object.
struct Message {
    /// JSON name, field number, form.
    fields: &'static [(&'static str, u32, Form)],
    /// Where members beginning with `x-` go, as (name, value) pairs.
    extensions: Option<u32>,
}

/// How a JSON value becomes a field.
enum Form {
    Text,
    Texts,
    Bool,
    /// Any JSON, as YAML text in a message of its own.
    Any,
    /// A message, inside of others that hold nothing but this field.
    Message(&'static [u32], &'static Message),
    /// A text inside of such a message.
    TextWithin(u32),
    /// A map: (name, value) pairs in this field of a message of their own, each value inside of others as above.
    Named(u32, &'static [u32], &'static Message),
    /// A list of parameters: what each is depends on its place.
    Parameters,
}

use Form::{Any, Bool, Named, Parameters, Text, TextWithin, Texts};

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, Form::Message(&[], &INFO)),
        ("paths", 8, Named(2, &[], &PATH_ITEM)),
        ("definitions", 9, Named(1, &[], &SCHEMA)),
    ],
    extensions: None,
};

static INFO: Message = Message { fields: &[("title", 1, Text), ("version", 2, Text)], extensions: None };

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Form::Message(&[], &OPERATION)),
        ("put", 3, Form::Message(&[], &OPERATION)),
        ("post", 4, Form::Message(&[], &OPERATION)),
        ("delete", 5, Form::Message(&[], &OPERATION)),
        ("patch", 8, Form::Message(&[], &OPERATION)),
        ("parameters", 9, Parameters),
    ],
    extensions: Some(10),
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Parameters),
        ("responses", 9, Named(1, &[1], &RESPONSE)),
    ],
    extensions: Some(13),
};

static RESPONSE: Message =
    Message { fields: &[("description", 1, Text), ("schema", 2, Form::Message(&[1], &SCHEMA))], extensions: None };

static BODY_PARAMETER: Message = Message {
    fields: &[("name", 2, Text), ("in", 3, Text), ("required", 4, Bool), ("schema", 5, Form::Message(&[], &SCHEMA))],
    extensions: None,
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("uniqueItems", 20, Bool),
    ],
    extensions: None,
};

static PATH_PARAMETER: Message = Message {
    fields: &[("required", 1, Bool), ("in", 2, Text), ("description", 3, Text), ("name", 4, Text), ("type", 5, Text)],
    extensions: None,
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("required", 19, Texts),
        ("additionalProperties", 21, Form::Message(&[1], &SCHEMA)),
        ("type", 22, TextWithin(1)),
        ("items", 23, Form::Message(&[1], &SCHEMA)),
        ("properties", 25, Named(1, &[], &SCHEMA)),
    ],
    extensions: Some(31),
};

/// Places of parameters: value of `in`, the fields from a list element to the message, the message.
static PARAMETERS: &[(&str, &[u32], &Message)] = &[
    ("body", &[1, 1], &BODY_PARAMETER),
    ("query", &[1, 2, 3], &QUERY_PARAMETER),
    ("path", &[1, 2, 4], &PATH_PARAMETER),
];

/// Encodes a document made by [`super::v2`].
pub(super) fn encode(document: &Value) -> Vec<u8> {
    document.as_object().map(|object| message(&DOCUMENT, object)).unwrap_or_default()
}

fn message(table: &Message, object: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, number, form) in table.fields {
        if let Some(value) = object.get(*name) {
            field(&mut out, *number, form, value);
        }
    }
    if let Some(number) = table.extensions {
        for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
            bytes(&mut out, number, &pair(name, &any(value)));
        }
    }
    out
}

fn field(out: &mut Vec<u8>, number: u32, form: &Form, value: &Value) {
    match form {
        Text => bytes(out, number, text(value)),
        Texts => value.as_array().into_iter().flatten().for_each(|one| bytes(out, number, text(one))),
        Bool => {
            varint(out, u64::from(number) << 3);
            out.push(u8::from(value.as_bool() == Some(true)));
        }
        Any => bytes(out, number, &any(value)),
        Form::Message(within, table) => bytes(out, number, &wrapped(within, object(table, value))),
        TextWithin(inner) => bytes(out, number, &wrapped(&[*inner], text(value).to_vec())),
        Named(inner, within, table) => {
            let mut pairs = Vec::new();
            for (name, value) in value.as_object().into_iter().flatten() {
                bytes(&mut pairs, *inner, &pair(name, &wrapped(within, object(table, value))));
            }
            bytes(out, number, &pairs);
        }
        Parameters => {
            for one in value.as_array().into_iter().flatten() {
                let known = PARAMETERS.iter().find(|(place, ..)| one["in"] == *place);
                if let Some((_, within, table)) = known {
                    bytes(out, number, &wrapped(within, object(table, one)));
                }
            }
        }
    }
}

fn object(table: &Message, value: &Value) -> Vec<u8> {
    value.as_object().map(|object| message(table, object)).unwrap_or_default()
}

/// Puts a message into others, the last number innermost.
fn wrapped(within: &[u32], inner: Vec<u8>) -> Vec<u8> {
    within.iter().rev().fold(inner, |inner, number| {
        let mut outer = Vec::with_capacity(inner.len() + 8);
        bytes(&mut outer, *number, &inner);
        outer
    })
}

fn pair(name: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + value.len() + 8);
    bytes(&mut out, 1, name.as_bytes());
    bytes(&mut out, 2, value);
    out
}

/// JSON is YAML.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 2, value.to_string().as_bytes());
    out
}

fn text(value: &Value) -> &[u8] {
    value.as_str().unwrap_or_default().as_bytes()
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(document: Value, expect: &[&[u8]]) {
        assert_eq!(encode(&document), expect.concat(), "{document}");
    }

    #[test]
    fn documents_become_gnostic_messages() {
        check(json!({ "swagger": "2.0", "unknown": 1 }), &[b"\x0a\x032.0"]);
        let a = |schema: Value| json!({ "definitions": { "A": schema } });
        check(a(json!({ "type": "string" })), &[b"\x4a\x12\x0a\x10\x0a\x01A\x12\x0b\xb2\x01\x08\x0a\x06string"]);
        check(
            a(json!({ "x-b": true })),
            &[b"\x4a\x17\x0a\x15\x0a\x01A\x12\x10\xfa\x01\x0d\x0a\x03x-b\x12\x06\x12\x04true"],
        );
        let parameters = json!([{ "in": "query", "name": "q", "uniqueItems": true }]);
        check(
            json!({ "paths": { "/a": { "parameters": parameters } } }),
            &[b"\x42\x1d\x12\x1b\x0a\x02/a\x12\x15\x4a\x13\x0a\x11\x12\x0f\x1a\x0d\x12\x05query\x22\x01q\xa0\x01\x01"],
        );
    }
}
