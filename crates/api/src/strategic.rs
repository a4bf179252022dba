//! Strategic merge patch: a merge patch that knows which lists merge, by which key.
//!
//! Main function: [`merge`]. Spec: the
//! [contributors' description](https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md).
//! Leaves out: making patches (clients do), custom resources (upstream refuses them with 415).

use serde_json::{Map, Value};

use crate::{facts::Type, schema::Node};

type Object = Map<String, Value>;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Why a strategic merge patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// A directive is malformed: 400.
    #[error("{0}")]
    Directive(&'static str),
    /// A merged list holds a list: 422.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// Upstream answers 500 with this text.
    #[error("{0}")]
    Other(String),
}

const BAD_RETAIN: StrategicError = StrategicError::Directive("invalid patch format of retainKeys");
const BAD_DELETE: StrategicError = StrategicError::Directive("invalid patch format of primitive list");
const BAD_ORDER: StrategicError = StrategicError::Directive("invalid patch format of setElementOrder list");

/// The object with the patch merged in. Depth is bounded by the parser that read the patch.
///
/// # Errors
/// Malformed directives, and list items without their merge key.
pub fn merge(original: Object, patch: Object, ty: &'static Type) -> Result<Object, StrategicError> {
    merge_object(original, patch, Node::root(ty))
}

fn merge_object(mut original: Object, mut patch: Object, node: Node) -> Result<Object, StrategicError> {
    if let Some(directive) = patch.remove(PATCH) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(&directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    let orders: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
    for key in orders {
        let order = patch.remove(&key).unwrap_or_default();
        merge_ordered(&mut original, &mut patch, directed(&key, SET_ORDER, BAD_ORDER)?, order, node)?;
    }
    for (key, value) in patch {
        if key.starts_with(DELETE_FROM) {
            delete_from(&mut original, directed(&key, DELETE_FROM, BAD_DELETE)?, &value)?;
        } else {
            merge_field(&mut original, key, value, node)?;
        }
    }
    Ok(original)
}

/// The field that a directive such as `$setElementOrder/containers` is about.
fn directed<'a>(key: &'a str, prefix: &str, error: StrategicError) -> Result<&'a str, StrategicError> {
    key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).ok_or(error)
}

fn unknown_directive(directive: &Value, map: &Object) -> StrategicError {
    let directive = directive.as_str().map_or_else(|| directive.to_string(), ToOwned::to_owned);
    StrategicError::Other(format!("unknown patch type: {directive} in map: {}", print(map)))
}

fn merge_field(original: &mut Object, key: String, patch: Value, node: Node) -> Result<(), StrategicError> {
    let child = node.child(&key);
    let merged = match (original.remove(&key), patch) {
        (_, Value::Null) => return Ok(()),
        (Some(Value::Object(old)), Value::Object(new)) => match child.patch.strategy {
            Some("replace") => Some(Value::Object(new)),
            _ => Some(Value::Object(merge_object(old, new, child)?)),
        },
        (Some(Value::Array(old)), Value::Array(new)) if child.patch.merges() => {
            Some(Value::Array(merge_list(old, new, child)?))
        }
        (Some(Value::Array(_)), Value::Array(new)) => Some(Value::Array(new)),
        (_, new) => cleaned(new),
    };
    if let Some(merged) = merged {
        original.insert(key, merged);
    }
    Ok(())
}

/// Drops all fields that `$retainKeys` does not name.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), StrategicError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(keys) = keys else { return Err(BAD_RETAIN) };
    let kept = |key: &str| keys.iter().any(|one| one == key);
    let directive = |key: &str| key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
    if patch.iter().any(|(key, value)| !value.is_null() && !directive(key) && !kept(key)) {
        return Err(BAD_RETAIN);
    }
    original.retain(|key, _| kept(key));
    Ok(())
}

fn delete_from(original: &mut Object, field: &str, gone: &Value) -> Result<(), StrategicError> {
    match (original.get_mut(field), gone) {
        (None, _) | (_, Value::Null) => {}
        (Some(Value::Array(items)), Value::Array(gone)) => items.retain(|item| !gone.contains(item)),
        (Some(_), _) => return Err(BAD_DELETE),
    }
    Ok(())
}

/// Merges a list whose order the patch gives.
fn merge_ordered(
    original: &mut Object,
    patch: &mut Object,
    field: &str,
    order: Value,
    node: Node,
) -> Result<(), StrategicError> {
    let Value::Array(order) = order else { return Err(BAD_ORDER) };
    let child = node.child(field);
    let key = child.patch.merge_key;
    let (old, new) = (take_list(original, field)?, take_list(patch, field)?);
    if let Some(new) = &new {
        check_order(new, &order, key)?;
    }
    let live = old.clone().unwrap_or_default();
    let merged = match (old, new) {
        (None, None) => return Ok(()),
        (Some(old), None) => old,
        (None, Some(new)) => new.into_iter().filter_map(cleaned).collect(),
        (Some(old), Some(new)) if child.patch.merges() => merge_list(old, new, child)?,
        (Some(_), Some(new)) => new,
    };
    original.insert(field.to_owned(), Value::Array(arrange(merged, &order, &live, key)?));
    Ok(())
}

fn take_list(map: &mut Object, field: &str) -> Result<Option<Vec<Value>>, StrategicError> {
    match map.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(BAD_ORDER),
    }
}

/// The items that a patch keeps must stand in the order it gives.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let id = identity(item, key)?;
        if !order.is_empty() && !rest.any(|one| identity(one, key).ok() == Some(id)) {
            let (patch, order) = (print_list(patch), print_list(order));
            let message = format!("The order in patch list:\n{patch}\n doesn't match {SET_ORDER} list:\n{order}\n");
            return Err(StrategicError::Other(message));
        }
    }
    Ok(())
}

fn merge_list(original: Vec<Value>, patch: Vec<Value>, node: Node) -> Result<Vec<Value>, StrategicError> {
    if original.iter().chain(&patch).any(Value::is_array) {
        return Err(StrategicError::ListOfLists);
    }
    let objects = original.iter().chain(&patch).filter(|item| item.is_object()).count();
    if objects == 0 {
        return Ok(merge_scalars(original, patch));
    }
    if objects < original.len() + patch.len() {
        let lists = print_list(&[Value::Array(original), Value::Array(patch)]);
        return Err(StrategicError::Other(format!("list element types are not identical: {lists}")));
    }
    let Some(key) = node.patch.merge_key else {
        let name = node.item().ty().map_or("", |ty| ty.name);
        return Err(StrategicError::Other(format!("cannot merge lists without merge key for {name}")));
    };
    merge_keyed(original, patch, key, node.item())
}

fn merge_scalars(original: Vec<Value>, patch: Vec<Value>) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
    for item in original.iter().chain(&patch) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    arrange(merged, &patch, &original, None).unwrap_or_default()
}

fn merge_keyed(original: Vec<Value>, patch: Vec<Value>, key: &str, item: Node) -> Result<Vec<Value>, StrategicError> {
    let (mut merged, patch) = apply_directives(original, patch, key)?;
    let live = merged.clone();
    for change in &patch {
        let id = identity(change, Some(key))?;
        let found = merged.iter().position(|one| one.get(key) == Some(id));
        match (found, change) {
            (Some(at), Value::Object(change)) => {
                let old = merged[at].as_object().cloned().unwrap_or_default();
                merged[at] = Value::Object(merge_object(old, change.clone(), item)?);
            }
            _ => merged.extend(cleaned(change.clone())),
        }
    }
    arrange(merged, &patch, &live, Some(key))
}

/// Carries out `$patch: delete` and `$patch: replace` items; returns what is left of the list and of the patch.
fn apply_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), StrategicError> {
    let (mut rest, mut replace) = (Vec::with_capacity(patch.len()), false);
    for item in patch {
        let Some(directive) = item.get(PATCH) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let id = identity(&item, Some(key))?;
                original.retain(|one| one.get(key) != Some(id));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(StrategicError::Other("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => return Err(unknown_directive(directive, &item.as_object().cloned().unwrap_or_default())),
        }
    }
    Ok(if replace { (rest, Vec::new()) } else { (original, rest) })
}

/// Items that the order names stand in that order; the others keep their places among the live ones.
fn arrange(
    items: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, StrategicError> {
    let place = |list: &[Value], id: &Value| list.iter().position(|one| identity(one, key).ok() == Some(id));
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let id = identity(&item, key)?;
        let at_live = place(live, id);
        match place(order, id) {
            Some(at) => named.push((at, at_live, item)),
            None => others.push((at_live, item)),
        }
    }
    named.sort_by_key(|(at, ..)| *at);
    others.sort_by_key(|(at, _)| at.unwrap_or(usize::MAX));
    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, at_live, item) in named {
        while let Some((_, other)) =
            others.next_if(|(other, _)| at_live.is_some_and(|at| other.is_some_and(|o| o < at)))
        {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, item)| item));
    Ok(arranged)
}

/// What tells an item from its neighbours: itself, or its merge key.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> Result<&'a Value, StrategicError> {
    let Some(key) = key else { return Ok(item) };
    let Some(map) = item.as_object() else { return Ok(item) };
    map.get(key)
        .ok_or_else(|| StrategicError::Other(format!("map: {} does not contain declared merge key: {key}", print(map))))
}

/// A value from the patch that meets nothing in the object: without nulls and directives.
fn cleaned(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Some(Value::Object(kept.filter_map(|(key, value)| Some((key, cleaned(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(cleaned).collect())),
        other => Some(other),
    }
}

/// As Go prints a map.
fn print(map: &Object) -> String {
    let entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", print_value(value))).collect();
    format!("map[{}]", entries.join(" "))
}

fn print_list(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(print_value).collect();
    format!("[{}]", items.join(" "))
}

fn print_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => print_list(items),
        Value::Object(map) => print(map),
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests;
