//! What of a Job may change. Main function: [`check`]. Spec:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#mutable-scheduling-directives>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#elastic-indexed-jobs>.

use serde_json::{Map, Value};

use super::super::{
    read::{is_true, text},
    workload::{SPEC, count},
};
use super::{is, is_indexed, validate};
use crate::field::Errors;

/// Fields that stay, in the order of their checks; the template is among them, in its own way.
const STAYING: &[&str] = &["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];

/// Fields of pods that say where they go, which may change while there are none.
const DIRECTIVES: &[&str] = &["nodeSelector", "tolerations", "schedulingGates"];

const IMMUTABLE: &str = "field is immutable";

/// `(new, old)`. The spec is checked once more, as upstream does, which tells its faults twice.
pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    validate::whole_spec(new, errors);
    completions(new, old, errors);
    stays(new, old, "selector", errors);
    template(new, old, errors);
    STAYING.iter().for_each(|name| stays(new, old, name, errors));
}

fn field(job: &Value, name: &str) -> Value {
    job.pointer(&format!("/spec/{name}")).cloned().unwrap_or_default()
}

fn stays(new: &Value, old: &Value, name: &str, errors: &mut Errors) {
    let (now, before) = (field(new, name), field(old, name));
    if now != before {
        errors.invalid(&SPEC.child(name), now, IMMUTABLE);
    }
}

/// Those of an Indexed Job may change together with its parallelism.
fn completions(new: &Value, old: &Value, errors: &mut Errors) {
    if !is_indexed(new) {
        return stays(new, old, "completions", errors);
    }
    let wanted = field(new, "completions");
    if wanted != field(old, "completions") && !wanted.is_null() && wanted != field(new, "parallelism") {
        errors.invalid(&SPEC.child("completions"), wanted, "can only be modified in tandem with spec.parallelism");
    }
}

/// The template stays, but for where pods go and what they need, while a suspended Job has none.
fn template(new: &Value, old: &Value, errors: &mut Errors) {
    let (now, mut before) = (field(new, "template"), field(old, "template"));
    let at_rest = text(old, "/status/startTime").is_empty() || is(old, "Suspended");
    if is_true(old, "/spec/suspend") && at_rest && count(old, "/status/active") == 0 {
        let_change(&mut before, &now);
    }
    if now != before {
        errors.invalid(&SPEC.child("template"), now, IMMUTABLE);
    }
}

/// Takes over what may change.
fn let_change(before: &mut Value, now: &Value) {
    let part =
        |template: &Value, name: &str| template.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let (mut metadata, mut spec) = (part(before, "metadata"), part(before, "spec"));
    let (new_metadata, new_spec) = (part(now, "metadata"), part(now, "spec"));
    ["labels", "annotations"].iter().for_each(|name| take(&mut metadata, &new_metadata, name));
    DIRECTIVES.iter().for_each(|name| take(&mut spec, &new_spec, name));
    affinity(&mut spec, &new_spec);
    for list in ["containers", "initContainers"] {
        resources(&mut spec, &new_spec, list);
    }
    if now.get("metadata").is_some() || !metadata.is_empty() {
        before["metadata"] = metadata.into();
    }
    before["spec"] = spec.into();
}

fn take(old: &mut Map<String, Value>, new: &Map<String, Value>, name: &str) {
    match new.get(name) {
        Some(value) => _ = old.insert(name.to_owned(), value.clone()),
        None => _ = old.remove(name),
    }
}

/// Of affinities, that to nodes.
fn affinity(old: &mut Map<String, Value>, new: &Map<String, Value>) {
    let of = |spec: &Map<String, Value>| spec.get("affinity").and_then(Value::as_object).cloned();
    let (given, wanted) = (of(old), of(new));
    let mut merged = given.unwrap_or_default();
    take(&mut merged, wanted.as_ref().unwrap_or(&Map::new()), "nodeAffinity");
    if merged.is_empty() && wanted.is_none() {
        old.remove("affinity");
    } else {
        old.insert("affinity".to_owned(), merged.into());
    }
}

fn resources(old: &mut Map<String, Value>, new: &Map<String, Value>, list: &str) {
    let wanted = new.get(list).and_then(Value::as_array);
    let given = old.get_mut(list).and_then(Value::as_array_mut);
    for (given, wanted) in given.into_iter().flatten().zip(wanted.into_iter().flatten()) {
        if let (Some(given), Some(wanted)) = (given.as_object_mut(), wanted.as_object()) {
            take(given, wanted, "resources");
        }
    }
}
