//! Which endpoint is in which slice: as few changes as possible, every endpoint stays where it is. Main function: [`place`].

use std::collections::BTreeMap;

use api::{
    kinds::read::{items, text},
    meta,
};
use serde_json::{Map, Value, json};

use crate::view::Object;

/// Endpoints that are put into one slice; upstream's default. The API allows 1000.
const MAX_ENDPOINTS: usize = 100;

/// Endpoints by the UID of their pod, by their ports as JSON.
pub(super) type Wanted = BTreeMap<String, BTreeMap<String, Value>>;

/// What is to be done to the slices of one family.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// New ones.
    pub(super) creates: Vec<Content>,
    /// Existing ones as they should be.
    pub(super) updates: Vec<Value>,
    /// Existing ones that are empty.
    pub(super) deletes: Vec<Object>,
}

/// What a slice says.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    endpoints: Vec<Value>,
    /// As JSON; nothing where no pod tells them.
    ports: Option<String>,
}

impl Content {
    /// Puts it into a slice.
    pub(super) fn write(self, slice: &mut Value) {
        slice["endpoints"] = self.endpoints.into();
        slice["ports"] = self.ports.and_then(|ports| serde_json::from_str(&ports).ok()).unwrap_or(Value::Null);
    }
}

/// Family of a slice's addresses.
pub(super) fn address_type(slice: &Value) -> &str {
    text(slice, "/addressType")
}

/// Places the wanted endpoints of one family into its slices, new and old.
pub(super) fn place(wanted: Wanted, slices: Vec<Object>, labels: &Map<String, Value>) -> Placed {
    let mut placed = Placed::default();
    let mut by_ports: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for slice in slices {
        let ports = slice.get("ports").filter(|ports| !ports.is_null()).cloned().unwrap_or_else(|| json!([]));
        by_ports.entry(ports.to_string()).or_default().push(slice);
    }
    let mut kept = 0;
    for (ports, group) in wanted {
        let own = by_ports.remove(&ports).unwrap_or_default();
        kept += own.len();
        place_group(&ports, group, own, labels, &mut placed);
    }
    kept -= placed.deletes.len();
    placed.deletes.extend(by_ports.into_values().flatten());
    if kept == 0 && placed.creates.is_empty() {
        // A Service without endpoints has one empty slice.
        placed.creates.push(Content { endpoints: Vec::new(), ports: None });
    }
    reuse(&mut placed, labels);
    placed
}

/// A slice of the group with the endpoints it keeps.
struct Kept {
    slice: Object,
    endpoints: Vec<Value>,
    changed: bool,
}

fn place_group(
    ports: &str,
    mut wanted: BTreeMap<String, Value>,
    slices: Vec<Object>,
    labels: &Map<String, Value>,
    placed: &mut Placed,
) {
    let mut kept: Vec<Kept> = slices.into_iter().map(|slice| keep(slice, &mut wanted, labels)).collect();
    let mut rest: Vec<Value> = wanted.into_values().collect();
    for slice in kept.iter_mut().filter(|slice| slice.changed && !slice.endpoints.is_empty()) {
        fill(slice, &mut rest);
    }
    if !rest.is_empty() {
        let room = |slice: &Kept| MAX_ENDPOINTS.saturating_sub(slice.endpoints.len());
        let fitting = kept.iter_mut().filter(|slice| room(slice) >= rest.len());
        if let Some(slice) = fitting.min_by_key(|slice| room(slice)) {
            fill(slice, &mut rest);
        }
    }
    while !rest.is_empty() {
        let endpoints = rest.drain(..rest.len().min(MAX_ENDPOINTS)).collect();
        placed.creates.push(Content { endpoints, ports: Some(ports.to_owned()) });
    }
    for Kept { slice, endpoints, changed } in kept {
        match (endpoints.is_empty(), changed) {
            (true, _) => placed.deletes.push(slice),
            (false, true) => placed.updates.push(updated(&slice, endpoints, labels)),
            (false, false) => {}
        }
    }
}

/// Takes from the wanted endpoints those that are in this slice already.
fn keep(slice: Object, wanted: &mut BTreeMap<String, Value>, labels: &Map<String, Value>) -> Kept {
    let own = items(&slice, "/endpoints");
    let endpoints: Vec<Value> = own.iter().filter_map(|one| wanted.remove(text(one, "/targetRef/uid"))).collect();
    let changed = endpoints != own || !has_labels(&slice, labels);
    Kept { endpoints, changed, slice }
}

fn fill(slice: &mut Kept, rest: &mut Vec<Value>) {
    let room = MAX_ENDPOINTS.saturating_sub(slice.endpoints.len()).min(rest.len());
    slice.endpoints.extend(rest.drain(..room));
    slice.changed |= room > 0;
}

fn has_labels(slice: &Value, labels: &Map<String, Value>) -> bool {
    slice.pointer("/metadata/labels").and_then(Value::as_object) == Some(labels)
}

fn updated(slice: &Value, endpoints: Vec<Value>, labels: &Map<String, Value>) -> Value {
    let mut slice = slice.clone();
    meta::set(&mut slice, "labels", Some(labels.clone().into()));
    slice["endpoints"] = endpoints.into();
    slice
}

/// A slice that would go is written anew instead, where one is to be made.
fn reuse(placed: &mut Placed, labels: &Map<String, Value>) {
    while let (true, Some(slice)) = (!placed.creates.is_empty(), placed.deletes.pop()) {
        let Some(content) = placed.creates.pop() else { return };
        let mut object = updated(&slice, Vec::new(), labels);
        content.write(&mut object);
        let same = |field: &str| {
            let value = |object: &Value| object.get(field).filter(|value| !is_nothing(value)).cloned();
            value(&object) == value(&slice)
        };
        if !(same("endpoints") && same("ports") && has_labels(&slice, labels)) {
            placed.updates.push(object);
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}
