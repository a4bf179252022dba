//! Field sets of values: of one value, of the change between two, and a value without a set of fields.
//!
//! Main functions: [`fields_of`], [`compare`], [`remove`]. Depth is bounded by the parser that read the values.
//! Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Set;
use crate::{
    facts::Shape,
    schema::{Kind, Node},
};

/// Which fields a change touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// There after, not before.
    pub added: Set,
    /// There before and after, with another value.
    pub modified: Set,
    /// There before, not after.
    pub removed: Set,
}

impl Changes {
    /// Without what lies under these top-level fields.
    #[must_use]
    pub fn without_fields(self, fields: &[&str]) -> Self {
        let without = |set: Set| set.without_fields(fields);
        Self { added: without(self.added), modified: without(self.modified), removed: without(self.removed) }
    }
}

/// Every field that a configuration names.
#[must_use]
pub fn fields_of(value: &Value, node: Node) -> Set {
    let mut set = Set::new();
    collect(value, node, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, node: Node, path: &mut Vec<String>, set: &mut Set) {
    match (node.kind, value) {
        (Kind::Leaf(_), _) => set.insert(path),
        (Kind::Object(_) | Kind::Map(_), Value::Object(map)) => {
            for (name, value) in map {
                path.push(format!("f:{name}"));
                collect(value, node.child(name), path, set);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if empty || !node.declares(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Kind::Set(_) | Kind::Keyed(..), Value::Array(items)) => {
            for (element, items) in &group(items, node) {
                path.push(element.clone());
                set.insert(path);
                if let [item] = items.as_slice() {
                    collect(item, node.item(), path, set);
                }
                path.pop();
            }
        }
        _ => set.insert(path),
    }
}

/// What became of each field; `None` stands for nothing at all.
#[must_use]
pub fn compare(old: Option<&Value>, new: Option<&Value>, node: Node) -> Changes {
    let mut changes = Changes::default();
    compare_at(old, new, node, &mut Vec::new(), &mut changes);
    changes
}

fn compare_at<'a>(
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    node: Node,
    path: &mut Vec<String>,
    changes: &mut Changes,
) {
    if old == new {
        return;
    }
    let both_empty = is_empty(old) && is_empty(new);
    match node.kind {
        Kind::Object(_) | Kind::Map(_) if !both_empty && maps(old) && maps(new) => {
            let fields = |value: Option<&'a Value>| value.and_then(Value::as_object);
            let (before, after) = (fields(old), fields(new));
            let names: BTreeSet<&String> = before.into_iter().chain(after).flat_map(Map::keys).collect();
            for name in names {
                let side = |map: Option<&'a Map<String, Value>>| map.and_then(|map| map.get(name));
                path.push(format!("f:{name}"));
                compare_at(side(before), side(after), node.child(name), path, changes);
                path.pop();
            }
            container(old, new, path, changes);
        }
        Kind::Set(_) | Kind::Keyed(..) if !both_empty && lists(old) && lists(new) => {
            compare_lists(old, new, node, path, changes);
            container(old, new, path, changes);
        }
        _ => leaf(old, new, path, changes),
    }
}

fn compare_lists(old: Option<&Value>, new: Option<&Value>, node: Node, path: &mut Vec<String>, changes: &mut Changes) {
    let (before, after) = (group(items(old), node), group(items(new), node));
    let added = after.keys().filter(|element| !before.contains_key(*element));
    for element in before.keys().chain(added) {
        let none = Vec::new();
        let (old, new) = (before.get(element).unwrap_or(&none), after.get(element).unwrap_or(&none));
        path.push(element.clone());
        if old.len() <= 1 && new.len() <= 1 {
            compare_at(old.first().copied(), new.first().copied(), node.item(), path, changes);
        } else if old.is_empty() {
            changes.added.insert(path);
        } else if new.is_empty() {
            changes.removed.insert(path);
        } else if old != new {
            changes.modified.insert(path);
        }
        path.pop();
    }
}

/// An object or list that came or went as such, beside what is in it.
fn container(old: Option<&Value>, new: Option<&Value>, path: &[String], changes: &mut Changes) {
    match (old, new) {
        (None, Some(_)) => changes.added.insert(path),
        (Some(_), None) => changes.removed.insert(path),
        _ => {}
    }
}

fn leaf(old: Option<&Value>, new: Option<&Value>, path: &[String], changes: &mut Changes) {
    if old.is_some() && new.is_some() && old != new {
        changes.modified.insert(path);
    }
    container(old, new, path, changes);
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn maps(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_object() || value.is_null())
}

fn lists(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_array() || value.is_null())
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// The value without these fields; `None` where nothing is left of an object or list.
#[must_use]
pub(crate) fn remove(value: &Value, gone: &Set, node: Node) -> Option<Value> {
    match (node.kind, value) {
        (Kind::Object(_) | Kind::Map(_), Value::Object(map)) => {
            let kept: Map<String, Value> = map
                .iter()
                .filter_map(|(name, value)| {
                    let element = format!("f:{name}");
                    Some((name.clone(), keep(value, gone, &element, node.child(name))?))
                })
                .collect();
            (map.is_empty() || !kept.is_empty()).then_some(Value::Object(kept))
        }
        (Kind::Set(_) | Kind::Keyed(..), Value::Array(items)) => {
            let kept: Vec<Value> = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| keep(item, gone, &element(item, index, node), node.item()))
                .collect();
            (items.is_empty() || !kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => Some(value.clone()),
    }
}

fn keep(value: &Value, gone: &Set, element: &str, node: Node) -> Option<Value> {
    match (gone.has(element), gone.below(element)) {
        (true, _) => None,
        (false, Some(below)) => remove(value, below, node),
        (false, None) => Some(value.clone()),
    }
}

/// Items by path element, in the elements' order; duplicates stand together.
pub(crate) fn group(items: &[Value], node: Node) -> BTreeMap<String, Vec<&Value>> {
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        groups.entry(element(item, index, node)).or_default().push(item);
    }
    groups
}

/// The path element of a list item. An item without any of its keys goes by its place.
pub(crate) fn element(item: &Value, index: usize, node: Node) -> String {
    match node.kind {
        Kind::Set(_) => format!("v:{item}"),
        Kind::Keyed(shape, names) => {
            let keys: Map<String, Value> =
                names.iter().filter_map(|name| Some(((*name).to_owned(), key(item, name, shape)?))).collect();
            if keys.is_empty() { format!("i:{index}") } else { format!("k:{}", Value::Object(keys)) }
        }
        _ => format!("i:{index}"),
    }
}

fn key(item: &Value, name: &str, shape: Shape) -> Option<Value> {
    let given = item.get(name).filter(|value| !value.is_null()).cloned();
    given.or_else(|| shape.object()?.field(name)?.default_value())
}
