//! Writes messages: the mirror of the decoder, on the same facts. Main entry: [`message`].
//!
//! What JSON has is written, an empty value too, and nothing else. Go also writes the empty values of fields that are no
//! pointers; whoever reads finds the same object either way, for absent means empty there. Lists and maps without an item are
//! nothing in protobuf. Leaves out what is not of its field's shape, which no object that was accepted has.

use super::wire::Writer;
use crate::{
    facts::{self, Field, Shape, Type},
    meta,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// The message of an object of this type.
#[must_use]
pub fn message(ty: &'static Type, object: &Value) -> Vec<u8> {
    let mut out = Writer::default();
    if let Value::Object(object) = object {
        write(&mut out, ty, object);
    }
    out.into_bytes()
}

/// Messages that are open around a field, as JSON has none of them: their numbers and where they begin.
#[derive(Default)]
struct Embedded(Vec<(u32, usize)>);

impl Embedded {
    /// Opens and closes until just those of `via` are open.
    fn enter(&mut self, out: &mut Writer, via: &[u32]) {
        let same = self.0.iter().zip(via).take_while(|((open, _), wanted)| open == *wanted).count();
        self.0.drain(same..).rev().for_each(|(_, start)| out.close(start));
        self.0.extend(via[same..].iter().map(|number| (*number, out.open(*number))));
    }
}

fn write(out: &mut Writer, ty: &'static Type, object: &Map<String, Value>) {
    let mut embedded = Embedded::default();
    for field in ty.in_wire_order() {
        if let Some((value, number)) = object.get(field.name).filter(|value| !value.is_null()).zip(field.number) {
            embedded.enter(out, &field.via);
            content(out, field, number, value);
        }
    }
    embedded.enter(out, &[]);
}

fn content(out: &mut Writer, field: &Field, number: u32, value: &Value) {
    match (field.shape, value) {
        (Shape::List(element), Value::Array(items)) if field.wrapped => list_message(out, number, *element, items),
        (Shape::List(element), Value::Array(items)) => list(out, number, *element, items),
        (Shape::Map(element), Value::Object(entries)) => {
            for (key, value) in entries {
                let entry = out.open(number);
                out.bytes(1, key.as_bytes());
                match (element, value) {
                    (Shape::List(inner), Value::Array(items)) if field.wrapped => list_message(out, 2, **inner, items),
                    (element, value) => single(out, *element, 2, value),
                }
                out.close(entry);
            }
        }
        (shape, value) => single(out, shape, number, value),
    }
}

fn list(out: &mut Writer, number: u32, element: Shape, items: &[Value]) {
    items.iter().for_each(|item| single(out, element, number, item));
}

/// A list that is a message of its own.
fn list_message(out: &mut Writer, number: u32, element: Shape, items: &[Value]) {
    let start = out.open(number);
    list(out, 1, element, items);
    out.close(start);
}

fn single(out: &mut Writer, shape: Shape, number: u32, value: &Value) {
    match (shape, value) {
        (Shape::String, Value::String(text)) => out.bytes(number, text.as_bytes()),
        (Shape::Bytes, Value::String(text)) => STANDARD.decode(text).iter().for_each(|bytes| out.bytes(number, bytes)),
        (Shape::Int32 | Shape::Int64, Value::Number(value)) => {
            value.as_i64().into_iter().for_each(|value| out.number(number, value));
        }
        (Shape::Bool, Value::Bool(value)) => out.number(number, i64::from(*value)),
        (Shape::Double, Value::Number(value)) => value.as_f64().into_iter().for_each(|value| out.double(number, value)),
        (Shape::Ref(id), Value::Object(object)) => {
            let start = out.open(number);
            write(out, id.get(), object);
            out.close(start);
        }
        (Shape::Time | Shape::MicroTime, Value::String(text)) => time(out, shape, number, text),
        (Shape::Quantity, Value::String(text)) => text_message(out, number, text),
        (Shape::Quantity, Value::Number(value)) => text_message(out, number, &value.to_string()),
        (Shape::IntOrString, value) => int_or_string(out, number, value),
        (Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings, value) => {
            schema_or(out, shape, number, value);
        }
        (Shape::RawExtension | Shape::FieldsV1 | Shape::Json | Shape::Any, value) => {
            text_message(out, number, &value.to_string());
        }
        _ => {}
    }
}

/// A message whose field 1 is all: `string` of a quantity, `raw` of what is JSON.
fn text_message(out: &mut Writer, number: u32, text: &str) {
    let start = out.open(number);
    out.bytes(1, text.as_bytes());
    out.close(start);
}

/// `seconds` 1, `nanos` 2, as precise as the type is in JSON.
fn time(out: &mut Writer, shape: Shape, number: u32, text: &str) {
    let Some(time) = meta::parse_time(text) else { return };
    let nanos = if shape == Shape::MicroTime { time.subsec_nanosecond() / 1000 * 1000 } else { 0 };
    let start = out.open(number);
    out.number(1, time.as_second());
    out.number(2, i64::from(nanos));
    out.close(start);
}

/// `type` 1 (0 integer, 1 string), `intVal` 2, `strVal` 3.
fn int_or_string(out: &mut Writer, number: u32, value: &Value) {
    let text = value.as_str();
    let start = out.open(number);
    out.number(1, i64::from(text.is_some()));
    out.number(2, value.as_i64().unwrap_or_default());
    out.bytes(3, text.unwrap_or_default().as_bytes());
    out.close(start);
}

/// `schema` 1 and a list 2, but `allows` 1 and `schema` 2 in the case of a bool, where a schema allows, too.
fn schema_or(out: &mut Writer, shape: Shape, number: u32, value: &Value) {
    let Some(ty) = facts::ty(super::SCHEMA) else { return };
    let start = out.open(number);
    match (shape, value) {
        (Shape::SchemaOrBool, Value::Bool(allows)) => out.number(1, i64::from(*allows)),
        (Shape::SchemaOrBool, schema) => {
            out.number(1, 1);
            out.bytes(2, &message(ty, schema));
        }
        (_, Value::Array(items)) => {
            for item in items {
                match item {
                    Value::String(text) => out.bytes(2, text.as_bytes()),
                    schema => out.bytes(2, &message(ty, schema)),
                }
            }
        }
        (_, schema) => out.bytes(1, &message(ty, schema)),
    }
    out.close(start);
}
