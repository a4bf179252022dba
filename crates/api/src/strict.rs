//! Decoding: bytes to an object of a built-in type, as a Go server would take them in.
//!
//! Refuses wrong types, drops (and names) unknown and duplicate fields, and leaves out what a Go round trip leaves
//! out: nulls, and empty strings, lists and maps that nobody requires, and some zeros (as [`crate::protobuf`] does). Who
//! writes an object back by a Go client thus changes nothing. Main function: [`decode`]. Spec:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>.
//! Leaves out: defaults ([`crate::default`]), what values mean, zeros of most kinds (facts do not say which fields are
//! pointers in Go).

use serde_json::{Map, Value};

use crate::{
    facts::{Field, Shape, Type},
    meta, protobuf,
    quantity::Quantity,
    status::Status,
};

mod read;

pub use read::parse;

/// Complaints of one object that are kept; upstream's bound.
pub const COMPLAINTS_MAX: usize = 100;

/// What to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuse.
    Strict,
    /// Drop, and warn. The default.
    #[default]
    Warn,
    /// Drop.
    Ignore,
}

impl Mode {
    /// The mode of `?fieldValidation=`; `None` for an unknown word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "" | "Warn" => Some(Self::Warn),
            "Strict" => Some(Self::Strict),
            "Ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// Why bytes are no object. The words are upstream's where clients could depend on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are no JSON.
    #[error("{0}")]
    Syntax(String),
    /// A value has the wrong type.
    #[error("{0}")]
    Type(String),
    /// Unknown or duplicate fields, in strict mode.
    #[error("strict decoding error: {}", .0.join(", "))]
    Strict(Vec<String>),
}

impl DecodeError {
    /// The 400 for a body meant to be a `kind` of `version`.
    #[must_use]
    pub fn status(&self, version: &str, kind: &str) -> Status {
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {self}"))
    }
}

/// Reads an object of this type (`None`: any JSON object). Returns it and the warnings to send.
///
/// # Errors
/// No JSON, nested too deep, a wrong type; in strict mode unknown and duplicate fields.
pub fn decode(bytes: &[u8], ty: Option<&'static Type>, mode: Mode) -> Result<(Value, Vec<String>), DecodeError> {
    let (mut value, mut complaints) = parse(bytes)?;
    complaints.extend(conform(&mut value, ty)?);
    complaints.truncate(COMPLAINTS_MAX);
    match mode {
        Mode::Strict if !complaints.is_empty() => Err(DecodeError::Strict(complaints)),
        Mode::Strict | Mode::Ignore => Ok((value, Vec::new())),
        Mode::Warn => Ok((value, complaints)),
    }
}

/// Makes a value what a Go round trip makes of it. Returns `unknown field "x"` for each field dropped.
///
/// # Errors
/// A wrong type.
pub fn conform(value: &mut Value, ty: Option<&'static Type>) -> Result<Vec<String>, DecodeError> {
    let mut walk = Walk { path: Vec::new(), owner: String::new(), complaints: Vec::new() };
    match (ty, &mut *value) {
        (Some(ty), Value::Object(map)) => walk.object(map, ty)?,
        (None, Value::Object(_)) => {}
        (ty, other) => {
            let target = ty.map_or_else(|| "map[string]interface {}".to_owned(), go_name);
            let message = format!("json: cannot unmarshal {} into Go value of type {target}", json_kind(other));
            return Err(DecodeError::Type(message));
        }
    }
    Ok(walk.complaints)
}

/// Where the walk is. `path` has list places as `[0]`; `owner` is the struct around.
struct Walk {
    path: Vec<String>,
    owner: String,
    complaints: Vec<String>,
}

impl Walk {
    fn object(&mut self, map: &mut Map<String, Value>, ty: &'static Type) -> Result<(), DecodeError> {
        let outer = std::mem::replace(&mut self.owner, short_name(ty).to_owned());
        let names: Vec<String> = map.keys().cloned().collect();
        for name in names {
            self.path.push(name);
            let name = self.path.last().map_or("", String::as_str);
            match ty.field(name) {
                None => {
                    map.remove(name);
                    self.complain();
                }
                Some(field) => self.field(map, ty, field)?,
            }
            self.path.pop();
        }
        self.owner = outer;
        Ok(())
    }

    fn field(
        &mut self,
        map: &mut Map<String, Value>,
        ty: &'static Type,
        field: &'static Field,
    ) -> Result<(), DecodeError> {
        let Some(mut value) = map.remove(field.name) else { return Ok(()) };
        if !value.is_null() {
            self.value(&mut value, field.shape)?;
        }
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty() && !field.required,
            Value::Object(map) => map.is_empty() && !field.required && matches!(field.shape, Shape::Map(_)),
            other => protobuf::is_absent(ty, field, other),
        };
        if !empty {
            map.insert(field.name.to_owned(), value);
        }
        Ok(())
    }

    fn value(&mut self, value: &mut Value, shape: Shape) -> Result<(), DecodeError> {
        match (shape, &mut *value) {
            (Shape::Ref(id), Value::Object(map)) => return self.object(map, id.get()),
            (Shape::Map(element), Value::Object(map)) => return self.map(map, *element),
            (Shape::List(element), Value::Array(items)) => return self.list(items, *element),
            (Shape::Time | Shape::MicroTime, Value::String(text)) => *text = time(text, shape)?,
            (Shape::Quantity, Value::String(_) | Value::Number(_)) => {
                let quantity = Quantity::from_json(value).map_err(|error| DecodeError::Type(error.to_string()))?;
                *value = Value::String(quantity.to_string());
            }
            (Shape::Bytes, Value::String(text)) => check_base64(text)?,
            (_, value) if fits(shape, value) => {}
            (_, value) => return Err(self.mismatch(value, shape)),
        }
        Ok(())
    }

    fn map(&mut self, map: &mut Map<String, Value>, element: Shape) -> Result<(), DecodeError> {
        for (key, value) in map.iter_mut() {
            self.path.push(key.clone());
            self.element(value, element)?;
            self.path.pop();
        }
        Ok(())
    }

    fn list(&mut self, items: &mut [Value], element: Shape) -> Result<(), DecodeError> {
        for (index, item) in items.iter_mut().enumerate() {
            self.path.push(format!("[{index}]"));
            self.element(item, element)?;
            self.path.pop();
        }
        Ok(())
    }

    /// A null in a list or map is the zero value.
    fn element(&mut self, value: &mut Value, shape: Shape) -> Result<(), DecodeError> {
        if value.is_null() {
            *value = zero(shape);
            return Ok(());
        }
        self.value(value, shape)
    }

    fn complain(&mut self) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(format!("unknown field \"{}\"", read::spell(&self.path)));
        }
    }

    fn mismatch(&self, value: &Value, shape: Shape) -> DecodeError {
        let fields: Vec<&str> = self.path.iter().filter(|step| !step.starts_with('[')).map(String::as_str).collect();
        let found = match value {
            Value::Number(number) if matches!(shape, Shape::Int32 | Shape::Int64) => format!("number {number}"),
            other => json_kind(other).to_owned(),
        };
        let (owner, fields, target) = (&self.owner, fields.join("."), go_type(shape));
        DecodeError::Type(format!(
            "json: cannot unmarshal {found} into Go struct field {owner}.{fields} of type {target}"
        ))
    }
}

fn fits(shape: Shape, value: &Value) -> bool {
    let int32 = |value: &Value| value.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
    match shape {
        Shape::String => value.is_string(),
        Shape::Bool => value.is_boolean(),
        Shape::Int32 => int32(value),
        Shape::Int64 => value.as_i64().is_some(),
        Shape::Double => value.is_number(),
        Shape::IntOrString => value.is_string() || int32(value),
        Shape::Any | Shape::RawExtension | Shape::FieldsV1 => value.is_object(),
        Shape::Json => true,
        Shape::SchemaOrArray => value.is_object() || value.is_array(),
        Shape::SchemaOrBool => value.is_object() || value.is_boolean(),
        Shape::SchemaOrStrings => value.is_object() || value.is_array(),
        Shape::Bytes | Shape::Time | Shape::MicroTime | Shape::Quantity => false,
        Shape::Ref(_) | Shape::List(_) | Shape::Map(_) => false,
    }
}

fn zero(shape: Shape) -> Value {
    match shape {
        Shape::String => "".into(),
        Shape::Bool => false.into(),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Ref(_) => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

/// Times are kept in UTC, at the precision of their kind.
fn time(text: &str, shape: Shape) -> Result<String, DecodeError> {
    const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
    match meta::parse_time(text) {
        Some(at) if shape == Shape::MicroTime => Ok(meta::micro_time(at)),
        Some(at) => Ok(meta::time(at)),
        None => {
            let text = crate::gotext::quote(text);
            Err(DecodeError::Type(format!("parsing time {text} as \"{LAYOUT}\": cannot parse {text} as \"2006\"")))
        }
    }
}

fn check_base64(text: &str) -> Result<(), DecodeError> {
    use base64::{DecodeError as Base64Error, Engine as _, engine::general_purpose::STANDARD};
    let at = match STANDARD.decode(text) {
        Ok(_) => return Ok(()),
        Err(Base64Error::InvalidByte(at, _) | Base64Error::InvalidLastSymbol(at, _)) => at,
        Err(Base64Error::InvalidLength(_) | Base64Error::InvalidPadding) => text.len() / 4 * 4,
    };
    Err(DecodeError::Type(format!("illegal base64 data at input byte {at}")))
}

const fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn short_name(ty: &Type) -> &'static str {
    ty.name.rsplit('.').next().unwrap_or(ty.name)
}

/// `v1.Pod`.
fn go_name(ty: &'static Type) -> String {
    let mut words = ty.name.rsplit('.');
    let (name, package) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    format!("{package}.{name}")
}

fn go_type(shape: Shape) -> String {
    match shape {
        Shape::String => "string".to_owned(),
        Shape::Int32 | Shape::IntOrString => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Double => "float64".to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Time | Shape::MicroTime => "string".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::Any | Shape::RawExtension | Shape::FieldsV1 | Shape::Json => "map[string]interface {}".to_owned(),
        Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings => "v1.JSONSchemaProps".to_owned(),
        Shape::Ref(id) => go_name(id.get()),
        Shape::List(element) => format!("[]{}", go_type(*element)),
        Shape::Map(element) => format!("map[string]{}", go_type(*element)),
    }
}

#[cfg(test)]
mod tests;
