//! What of a claim may change: its size and its class of attributes once it has a volume, who its volume is, its class where it had
//! none. Main functions: [`whole`], [`status`]. Spec:
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims>; paths and words are upstream's.

use serde_json::{Map, Value};

use super::super::{
    persistent_volume::fit::CLASS_ANNOTATION,
    pod::update::difference,
    read::{entries, text},
};
use crate::{
    field::{Errors, Path},
    meta, names,
    quantity::{Format, Quantity},
};

const SPEC: Path<'static> = Path::new("spec");
const STATUS: Path<'static> = Path::new("status");

const IMMUTABLE: &str = "field is immutable";

/// How far a larger volume is.
const RESIZES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// `(new, old)`: a change of the claim itself.
pub(super) fn whole(new: &Value, old: &Value, errors: &mut Errors) {
    let (mut after, before) = (spec(new), spec(old));
    class(new, old, &mut after, errors);
    volume(&mut after, &before);
    if text(new, "/status/phase") == "Bound" {
        resizable(&mut after, &before);
    }
    let (after, before) = (Value::Object(after), Value::Object(before));
    if after != before {
        let told = difference(&before, &after);
        let why = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{told}"
        );
        errors.forbidden(&SPEC, why);
    }
    size(new, old, errors);
    let mode = |claim: &Value| claim.pointer("/spec/volumeMode").cloned().unwrap_or_default();
    if mode(new) != mode(old) {
        errors.invalid(&Path::new("volumeMode"), mode(new), IMMUTABLE);
    }
    attributes(new, old, errors);
}

/// A spec to compare: amounts are alike however they are written, and what is empty is not there.
fn spec(claim: &Value) -> Map<String, Value> {
    let mut spec = claim.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(resources) = spec.get_mut("resources").and_then(Value::as_object_mut) {
        for amounts in resources.values_mut().filter_map(Value::as_object_mut) {
            for amount in amounts.values_mut() {
                if let Ok(read) = Quantity::from_json(amount) {
                    *amount = Quantity::from_nanos(read.nanos(), Format::BinarySi).to_string().into();
                }
            }
        }
    }
    without_empty(&mut spec);
    spec
}

/// Depth is bounded by the parser.
fn without_empty(fields: &mut Map<String, Value>) {
    fields.values_mut().filter_map(Value::as_object_mut).for_each(without_empty);
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    fields.retain(|name, value| !empty(value) || name == "selector");
}

/// A class may be given to a claim that has none; one in an annotation may move into the field, and stays the same.
fn class(new: &Value, old: &Value, after: &mut Map<String, Value>, errors: &mut Errors) {
    const FIELD: &str = "storageClassName";
    let field =
        |claim| -> Option<String> { Some(Value::pointer(claim, "/spec/storageClassName")?.as_str()?.to_owned()) };
    let (was, is) = (meta::annotation(old, CLASS_ANNOTATION), meta::annotation(new, CLASS_ANNOTATION));
    let (None, Some(given)) = (field(old), field(new)) else { return annotation_stays(was, is, errors) };
    if was == Some(&given) && is.is_none_or(|is| is == given) {
        after.remove(FIELD);
        return;
    }
    annotation_stays(was, is, errors);
    if was.is_none_or(|was| was == given) {
        after.remove(FIELD);
    }
}

fn annotation_stays(was: Option<&str>, is: Option<&str>, errors: &mut Errors) {
    if is.unwrap_or_default() != was.unwrap_or_default() {
        let metadata = Path::new("metadata");
        let path = metadata.child("annotations");
        errors.invalid(&path.child(CLASS_ANNOTATION), is.unwrap_or_default(), IMMUTABLE);
    }
}

/// Its volume may be named once.
fn volume(after: &mut Map<String, Value>, before: &Map<String, Value>) {
    let named = |spec: &Map<String, Value>| spec.get("volumeName").is_some_and(|name| name != "");
    if !named(before) {
        match before.get("volumeName") {
            Some(empty) => _ = after.insert("volumeName".to_owned(), empty.clone()),
            None => _ = after.remove("volumeName"),
        }
    }
}

/// What may change of a claim that has its volume: makes it what it was.
fn resizable(after: &mut Map<String, Value>, before: &Map<String, Value>) {
    let size = before.get("resources").and_then(|resources| resources.pointer("/requests/storage"));
    let requests = after.get_mut("resources").and_then(|resources| resources.get_mut("requests"));
    if let (Some(size), Some(requests)) = (size, requests.and_then(Value::as_object_mut)) {
        requests.insert("storage".to_owned(), size.clone());
    }
    if after.contains_key("volumeAttributesClassName") {
        match before.get("volumeAttributesClassName") {
            Some(class) => _ = after.insert("volumeAttributesClassName".to_owned(), class.clone()),
            None => _ = after.remove("volumeAttributesClassName"),
        }
    }
}

/// Whoever asked for more than there is may ask for less again, but not for less than he has.
fn size(new: &Value, old: &Value, errors: &mut Errors) {
    let amount = |claim: &Value, pointer: &str| {
        let read = claim.pointer(pointer).and_then(|amount| Quantity::from_json(amount).ok());
        read.map_or(0, |amount| amount.nanos())
    };
    let asked = |claim| amount(claim, "/spec/resources/requests/storage");
    if asked(new) < asked(old) && asked(new) <= amount(old, "/status/capacity/storage") {
        let resources = SPEC.child("resources");
        let path = resources.child("requests");
        errors.forbidden(&path.child("storage"), "field can not be less than status.capacity");
    }
}

fn attributes(new: &Value, old: &Value, errors: &mut Errors) {
    let class = |claim| -> Option<&str> { Value::pointer(claim, "/spec/volumeAttributesClassName")?.as_str() };
    let why = match (class(old), class(new)) {
        (Some(_), None) => "update from non-nil value to nil is forbidden",
        (Some(was), Some("")) if !was.is_empty() => "update from non-nil value to an empty string is forbidden",
        _ => return,
    };
    errors.forbidden(&SPEC.child("volumeAttributesClassName"), why);
}

/// `(part, new, old)`: what came through the status.
pub(super) fn status(_: &str, new: &Value, _: &Value, errors: &mut Errors) {
    let path = STATUS.child("capacity");
    entries(new, "/status/capacity").for_each(|(name, amount)| sound(amount, &path.key(name), errors));
    let path = STATUS.child("allocatedResourceStatus");
    for (name, resize) in entries(new, "/status/allocatedResourceStatuses") {
        resource(name, &path, errors);
        if !resize.as_str().is_some_and(|resize| RESIZES.contains(&resize)) {
            errors.not_supported(&path, name, RESIZES);
        }
    }
    let path = STATUS.child("allocatedResources");
    for (name, amount) in entries(new, "/status/allocatedResources") {
        if resource(name, &path, errors) {
            sound(amount, &path.key(name), errors);
        }
    }
}

fn sound(amount: &Value, path: &Path<'_>, errors: &mut Errors) {
    let negative = Quantity::from_json(amount).ok().filter(|amount| amount.value() < 0);
    if let Some(amount) = negative {
        errors.invalid(path, amount.value(), "must be a valid resource quantity");
    }
}

/// Whether a volume can be measured in it.
fn resource(name: &str, path: &Path<'_>, errors: &mut Errors) -> bool {
    let before = errors.0.len();
    names::qualified_name(name).into_iter().for_each(|why| errors.invalid(path, name, why));
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    if errors.0.len() == before && native && name != "storage" {
        errors.not_supported(path, name, &["storage"]);
    }
    errors.0.len() == before
}
