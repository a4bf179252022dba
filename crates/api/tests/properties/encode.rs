//! Writes objects in protobuf, by the type facts. Main items: [`message`], [`body`].
//! Spec: <https://protobuf.dev/programming-guides/encoding/>.

use api::facts::{Field, Shape, Type};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

/// An object as clients send it.
pub(crate) fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
    [&b"k8s\0"[..], &bytes(1, &meta), &bytes(2, raw)].concat()
}

/// The fields of an object.
pub(crate) fn message(ty: &Type, object: &Value) -> Vec<u8> {
    let said = |field: &Field| {
        let (value, number) = (object.get(field.name)?, field.number?);
        let within = content(field, number, value);
        // From the inside out.
        Some(field.via.iter().rev().fold(within, |inner, number| bytes(*number, &inner)))
    };
    ty.fields.iter().filter_map(said).flatten().collect()
}

fn content(field: &Field, number: u32, value: &Value) -> Vec<u8> {
    match field.shape {
        Shape::List(element) if field.wrapped => bytes(number, &list(*element, 1, value)),
        Shape::List(element) => list(*element, number, value),
        Shape::Map(element) => {
            let entry = |(key, value): (&String, &Value)| {
                let value = match element {
                    Shape::List(inner) if field.wrapped => bytes(2, &list(**inner, 1, value)),
                    element => single(*element, 2, value),
                };
                bytes(number, &[bytes(1, key.as_bytes()), value].concat())
            };
            value.as_object().into_iter().flatten().flat_map(entry).collect()
        }
        shape => single(shape, number, value),
    }
}

fn list(element: Shape, number: u32, value: &Value) -> Vec<u8> {
    value.as_array().into_iter().flatten().flat_map(|item| single(element, number, item)).collect()
}

fn single(shape: Shape, number: u32, value: &Value) -> Vec<u8> {
    let text = || value.as_str().expect("a string");
    match shape {
        Shape::String => bytes(number, text().as_bytes()),
        Shape::Int32 | Shape::Int64 => varint(number, value.as_i64().expect("an integer")),
        Shape::Bool => varint(number, i64::from(value.as_bool().expect("a bool"))),
        Shape::Double => [tag(number, 1), value.as_f64().expect("a number").to_le_bytes().to_vec()].concat(),
        Shape::Bytes => bytes(number, &STANDARD.decode(text()).expect("base64")),
        Shape::Time | Shape::MicroTime => {
            let time: Timestamp = text().parse().expect("a time");
            let nanos = i64::from(time.subsec_nanosecond());
            bytes(number, &[varint(1, time.as_second()), varint(2, nanos)].concat())
        }
        Shape::Quantity => bytes(number, &bytes(1, text().as_bytes())),
        Shape::IntOrString => bytes(
            number,
            &match value.as_i64() {
                Some(integer) => [varint(1, 0), varint(2, integer)].concat(),
                None => [varint(1, 1), bytes(3, text().as_bytes())].concat(),
            },
        ),
        Shape::Ref(id) => bytes(number, &message(id.get(), value)),
        other => panic!("{other:?} is not drawn"),
    }
}

fn bytes(number: u32, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u64;
    [tag(number, 2), seven_bits(length), content.to_vec()].concat()
}

fn varint(number: u32, value: i64) -> Vec<u8> {
    [tag(number, 0), seven_bits(value.cast_unsigned())].concat()
}

fn tag(number: u32, kind: u64) -> Vec<u8> {
    seven_bits(u64::from(number) << 3 | kind)
}

/// Seven bits a byte, the lowest first.
fn seven_bits(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
