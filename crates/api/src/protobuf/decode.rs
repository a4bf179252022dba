//! Reads objects as clients send them. Main entry: [`decode`].

use super::{
    MAGIC, SCHEMA, is_absent,
    wire::{self, Reader},
};
use crate::{
    facts::{self, Field, Shape, Type},
    meta,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// How deep messages nest. Built-in types reach 20; only CRD schemas recurse, and JSON bodies have a bound like this.
const DEPTH: usize = 100;

/// Found in every group, so its name and not its group tells the type.
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// Why a body cannot be decoded. All are the client's mistake.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Does not begin as the encoding does.
    #[error("provided data does not appear to be a protobuf message, expected prefix {:?}", MAGIC)]
    NotProtobuf,
    /// Ends early, or has a field of a type it cannot have.
    #[error("the body is no well-formed protobuf message")]
    Malformed,
    /// Nested deeper than any object is.
    #[error("the body nests deeper than {DEPTH} messages")]
    TooDeep,
    /// Not a kind whose message we know.
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\" in protobuf")]
    UnknownKind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
}

/// The object in a request body, as if it had been sent as JSON.
///
/// # Errors
/// When it is not the encoding of one object of a built-in kind.
pub fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(DecodeError::NotProtobuf)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Reader::new(envelope) {
        match field? {
            (1, value) => (api_version, kind) = type_meta(value.bytes()?)?,
            (2, value) => raw = value.bytes()?,
            _ => {}
        }
    }
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let ty = match kind.as_str() {
        "DeleteOptions" => facts::ty(DELETE_OPTIONS),
        kind => facts::of_kind(group, version, kind),
    };
    let Some(ty) = ty else { return Err(DecodeError::UnknownKind { api_version, kind }) };
    let mut object = read(ty, raw, DEPTH)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(object.into())
}

fn type_meta(bytes: &[u8]) -> Result<(String, String), DecodeError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in Reader::new(bytes) {
        match field? {
            (1, value) => api_version = value.text()?,
            (2, value) => kind = value.text()?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn read(ty: &'static Type, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, DecodeError> {
    let mut object = Map::new();
    fill(ty, &[], bytes, depth, &mut object)?;
    Ok(object)
}

/// Reads the fields of one message into `object`. `via`: the embedded messages that we are in, for JSON has none of them.
fn fill(
    ty: &'static Type,
    via: &[u32],
    bytes: &[u8],
    depth: usize,
    object: &mut Map<String, Value>,
) -> Result<(), DecodeError> {
    let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
    for part in Reader::new(bytes) {
        let (number, value) = part?;
        if let Some(field) = ty.fields.iter().find(|field| field.number == Some(number) && *field.via == *via) {
            take(ty, field, &value, depth, object)?;
            continue;
        }
        let inner = [via, &[number]].concat();
        if ty.fields.iter().any(|field| field.via.starts_with(&inner)) {
            fill(ty, &inner, value.bytes()?, depth, object)?;
        }
    }
    Ok(())
}

fn take(
    ty: &Type,
    field: &Field,
    value: &wire::Value<'_>,
    depth: usize,
    object: &mut Map<String, Value>,
) -> Result<(), DecodeError> {
    match field.shape {
        Shape::List(element) if field.wrapped => {
            object.insert(field.name.to_owned(), list_message(*element, value.bytes()?, depth)?);
        }
        Shape::List(element) => {
            let added = elements(*element, value, depth)?;
            if let Some(list) = object.entry(field.name).or_insert_with(|| json!([])).as_array_mut() {
                list.extend(added);
            }
        }
        Shape::Map(element) => {
            let (key, value) = map_entry(*element, field.wrapped, value.bytes()?, depth)?;
            object.entry(field.name).or_insert_with(|| json!({}))[key] = value;
        }
        shape => {
            let value = single(shape, value, depth)?;
            if !is_absent(ty, field, &value) {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// One occurrence of a repeated field: one element, or several packed numbers.
fn elements(element: Shape, value: &wire::Value<'_>, depth: usize) -> Result<Vec<Value>, DecodeError> {
    match (element, value) {
        (Shape::Int32 | Shape::Int64 | Shape::Bool, wire::Value::Bytes(packed)) => wire::packed(packed)?
            .into_iter()
            .map(|number| single(element, &wire::Value::Number(number), depth))
            .collect(),
        _ => Ok(vec![single(element, value, depth)?]),
    }
}

/// A list that is a message of its own.
fn list_message(element: Shape, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    let mut list = Vec::new();
    for part in Reader::new(bytes) {
        if let (1, value) = part? {
            list.extend(elements(element, &value, depth)?);
        }
    }
    Ok(list.into())
}

fn map_entry(element: Shape, wrapped: bool, bytes: &[u8], depth: usize) -> Result<(String, Value), DecodeError> {
    // What an entry leaves out is empty.
    let (mut key, mut content) = (String::new(), wire::Value::Bytes(&[]));
    for part in Reader::new(bytes) {
        match part? {
            (1, value) => key = value.text()?,
            (2, value) => content = value,
            _ => {}
        }
    }
    let value = match element {
        Shape::List(inner) if wrapped => list_message(*inner, content.bytes()?, depth)?,
        element => single(element, &content, depth)?,
    };
    Ok((key, value))
}

fn single(shape: Shape, value: &wire::Value<'_>, depth: usize) -> Result<Value, DecodeError> {
    Ok(match shape {
        Shape::String => value.text()?.into(),
        Shape::Int32 => (value.number()? as i32).into(),
        Shape::Int64 => (value.number()? as i64).into(),
        Shape::Bool => (value.number()? != 0).into(),
        Shape::Double => f64::from_bits(value.number()?).into(),
        Shape::Bytes => STANDARD.encode(value.bytes()?).into(),
        Shape::Time => time(value.bytes()?, false)?,
        Shape::MicroTime => time(value.bytes()?, true)?,
        Shape::Quantity => part(value, 1)?.map_or(Ok(Value::Null), |text| text.text().map(Value::from))?,
        Shape::IntOrString => int_or_string(value)?,
        Shape::RawExtension | Shape::FieldsV1 | Shape::Json | Shape::Any => raw_json(value)?,
        Shape::Ref(id) => read(id.get(), value.bytes()?, depth)?.into(),
        Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings => schema_or(shape, value, depth)?,
        Shape::List(_) | Shape::Map(_) => return Err(DecodeError::Malformed),
    })
}

/// The last field of this number in the message.
fn part<'a>(value: &wire::Value<'a>, wanted: u32) -> Result<Option<wire::Value<'a>>, DecodeError> {
    let mut found = None;
    for field in Reader::new(value.bytes()?) {
        let (number, value) = field?;
        if number == wanted {
            found = Some(value);
        }
    }
    Ok(found)
}

/// `seconds` 1, `nanos` 2. All zero is no time.
fn time(bytes: &[u8], micros: bool) -> Result<Value, DecodeError> {
    let value = wire::Value::Bytes(bytes);
    let number = |field| part(&value, field)?.map_or(Ok(0), |value| value.number());
    let (seconds, nanos) = (number(1)? as i64, number(2)? as i32);
    if (seconds, nanos) == (0, 0) {
        return Ok(Value::Null);
    }
    let time = Timestamp::new(seconds, if micros { nanos } else { 0 }).map_err(|_| DecodeError::Malformed)?;
    Ok(if micros { meta::micro_time(time).into() } else { meta::time(time).into() })
}

/// `type` 1 (0 integer, 1 string), `intVal` 2, `strVal` 3.
fn int_or_string(value: &wire::Value<'_>) -> Result<Value, DecodeError> {
    let kind = part(value, 1)?.map_or(Ok(0), |value| value.number())?;
    Ok(match kind {
        0 => (part(value, 2)?.map_or(Ok(0), |value| value.number())? as i32).into(),
        _ => part(value, 3)?.map_or(Ok(String::new()), |value| value.text())?.into(),
    })
}

/// `raw` 1: JSON text.
fn raw_json(value: &wire::Value<'_>) -> Result<Value, DecodeError> {
    let Some(raw) = part(value, 1)? else { return Ok(Value::Null) };
    serde_json::from_slice(raw.bytes()?).map_err(|_| DecodeError::Malformed)
}

/// `schema` and the other choice: `schema` 1 and a list 2, but `allows` 1 and `schema` 2 in the case of a bool.
fn schema_or(shape: Shape, value: &wire::Value<'_>, depth: usize) -> Result<Value, DecodeError> {
    let schema_number = if shape == Shape::SchemaOrBool { 2 } else { 1 };
    let ty = facts::ty(SCHEMA);
    if let Some((schema, ty)) = part(value, schema_number)?.zip(ty) {
        return Ok(read(ty, schema.bytes()?, depth)?.into());
    }
    if shape == Shape::SchemaOrBool {
        return Ok((part(value, 1)?.map_or(Ok(0), |value| value.number())? != 0).into());
    }
    let mut list: Vec<Value> = Vec::new();
    for field in Reader::new(value.bytes()?) {
        match (field?, ty) {
            ((2, one), _) if shape == Shape::SchemaOrStrings => list.push(one.text()?.into()),
            ((2, one), Some(ty)) => list.push(read(ty, one.bytes()?, depth)?.into()),
            _ => {}
        }
    }
    Ok(list.into())
}
