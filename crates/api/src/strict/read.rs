//! One pass over the bytes: the value, and the fields that occur twice. The last one of two counts, as in Go.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{COMPLAINTS_MAX, DecodeError};

/// Deepest nesting read. Upstream's parser stops at 10,000 levels; no API type comes near this bound, below which
/// every recursive walk of a value is safe.
const DEPTH_MAX: usize = 100;

/// Reads JSON; the second part is `duplicate field "x"` for each field that occurs again.
///
/// # Errors
/// No JSON, bytes after it, or nested too deep.
pub fn parse(bytes: &[u8]) -> Result<(Value, Vec<String>), DecodeError> {
    let notes = RefCell::new(Notes::default());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { notes: &notes }.deserialize(&mut reader).map_err(|error| syntax(&error))?;
    reader.end().map_err(|error| syntax(&error))?;
    Ok((value, notes.into_inner().duplicates))
}

fn syntax(error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    let deep = text.contains("recursion limit") || text.contains(TOO_DEEP);
    DecodeError::Syntax(if deep { TOO_DEEP.to_owned() } else { format!("error decoding JSON: {text}") })
}

const TOO_DEEP: &str = "exceeded max depth";

/// A path as complaints spell it: `spec.containers[0].foo`.
pub(super) fn spell(path: &[String]) -> String {
    let mut spelt = String::new();
    for step in path {
        if !spelt.is_empty() && !step.starts_with('[') {
            spelt.push('.');
        }
        spelt.push_str(step);
    }
    spelt
}

#[derive(Default)]
struct Notes {
    path: Vec<String>,
    duplicates: Vec<String>,
}

#[derive(Clone, Copy)]
struct Seed<'n> {
    notes: &'n RefCell<Notes>,
}

impl Seed<'_> {
    fn enter(self, step: String) -> bool {
        let path = &mut self.notes.borrow_mut().path;
        path.push(step);
        path.len() <= DEPTH_MAX
    }

    fn leave(self) {
        self.notes.borrow_mut().path.pop();
    }

    /// Called where the path ends in the field that is there already.
    fn duplicate(self) {
        let notes = &mut *self.notes.borrow_mut();
        let complaint = format!("duplicate field \"{}\"", spell(&notes.path));
        if notes.duplicates.len() < COMPLAINTS_MAX && !notes.duplicates.contains(&complaint) {
            notes.duplicates.push(complaint);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            if !self.enter(format!("[{}]", list.len())) {
                return Err(A::Error::custom(TOO_DEEP));
            }
            let item = items.next_element_seed(self)?;
            self.leave();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !self.enter(key.clone()) {
                return Err(A::Error::custom(TOO_DEEP));
            }
            if map.contains_key(&key) {
                self.duplicate();
            }
            map.insert(key, entries.next_value_seed(self)?);
            self.leave();
        }
        Ok(Value::Object(map))
    }
}
