//! Small readers of JSON objects that hooks and columns share. An absent field reads as empty, as in Kubernetes.

use serde_json::{Map, Value};

use crate::field::{Errors, Path};

/// The string at a JSON pointer, or the empty one.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A scalar as a field selector sees it; the empty string for anything else.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => String::new(),
    }
}

/// The array at a JSON pointer, or an empty one.
#[must_use]
pub fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of the map at a JSON pointer.
pub fn entries<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    object.pointer(pointer).and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// Whether the pointer leads to `true`.
#[must_use]
pub fn is_true(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer) == Some(&Value::Bool(true))
}

/// The object under `key`, made if absent or null; `None` where something else is there.
pub fn child<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let entry = object.as_object_mut()?.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut()
}

/// Makes a top-level field of `new` what it is in `old`, also absent.
pub fn carry_over(new: &mut Value, old: &Value, key: &str) {
    let Some(fields) = new.as_object_mut() else { return };
    match old.get(key) {
        Some(value) => _ = fields.insert(key.to_owned(), value.clone()),
        None => _ = fields.remove(key),
    }
}

/// UIDs of an object's owners.
#[must_use]
pub fn owner_uids(object: &Value) -> Vec<String> {
    items(object, "/metadata/ownerReferences").iter().map(|owner| text(owner, "/uid").to_owned()).collect()
}

/// Bytes that a base64 text stands for.
#[must_use]
pub fn base64_length(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    (text.len() / 4 * 3).saturating_sub(text.bytes().rev().take_while(|byte| *byte == b'=').count())
}

/// Once `immutable` is true it stays so, and these top-level fields stay as they are.
pub fn immutable_fields(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    const WHY: &str = "field is immutable when `immutable` is set";
    if !is_true(old, "/immutable") {
        return;
    }
    if !is_true(new, "/immutable") {
        errors.forbidden(&Path::new("immutable"), WHY);
    }
    let content = |object: &Value, field: &str| {
        object.get(field).filter(|map| map.as_object().is_some_and(|map| !map.is_empty())).cloned()
    };
    for field in fields.iter().filter(|field| content(new, field) != content(old, field)) {
        errors.forbidden(&Path::new(field), WHY);
    }
}
