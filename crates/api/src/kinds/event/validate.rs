//! Rules of Events: lenient for old ones, strict for those that have an `eventTime`.

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    kinds::read::text,
    meta, names,
};

/// Bytes of `reason`, `action` and `reportingInstance`.
const WORD_MAX: usize = 128;

/// Bytes of the message of a new-style event.
const NOTE_MAX: usize = 1024;

const OBJECT: Path<'static> = Path::new("involvedObject");

pub(super) fn core(event: &Value, errors: &mut Errors) {
    let about = text(event, "/involvedObject/namespace");
    common(event, about, "reportingComponent", "message", errors);
}

pub(super) fn events(event: &Value, errors: &mut Errors) {
    if text(event, "/eventTime").is_empty() {
        errors.required(&Path::new("eventTime"), "");
    }
    let kind = text(event, "/type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid(&Path::new("type"), "", format!("has invalid value: {kind}"));
    }
    common(event, text(event, "/regarding/namespace"), "reportingController", "note", errors);
}

fn common(event: &Value, about: &str, reporter: &str, note: &str, errors: &mut Errors) {
    let namespace = meta::namespace(event);
    let agrees = match (text(event, "/eventTime").is_empty(), about) {
        (true, "") => matches!(namespace, "" | "default"),
        (true, about) => about == namespace,
        (false, "") => matches!(namespace, "default" | "kube-system"),
        (false, _) => true,
    };
    if !agrees {
        errors.invalid(&OBJECT.child("namespace"), about, "does not match event.namespace");
    }
    if !text(event, "/eventTime").is_empty() {
        new_style(event, reporter, note, errors);
    }
    for message in names::dns1123_subdomain(namespace) {
        errors.invalid(&Path::new("namespace"), namespace, message);
    }
}

fn new_style(event: &Value, reporter: &str, note: &str, errors: &mut Errors) {
    let field = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    match field(reporter) {
        "" => errors.required(&Path::new(reporter), ""),
        name => {
            for message in names::qualified_name(name) {
                errors.invalid(&Path::new(reporter), name, message);
            }
        }
    }
    for name in ["reportingInstance", "action", "reason"] {
        match field(name).len() {
            0 => errors.required(&Path::new(name), ""),
            1..=WORD_MAX => {}
            _ => errors.invalid(&Path::new(name), "", format!("can have at most {WORD_MAX} characters")),
        }
    }
    if field(note).len() > NOTE_MAX {
        errors.invalid(&Path::new(note), "", format!("can have at most {NOTE_MAX} characters"));
    }
}
