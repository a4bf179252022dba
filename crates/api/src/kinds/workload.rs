//! What the kinds that make pods from a template share: defaults, checks, columns, and the part `scale`.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/>.

use serde_json::{Value, json};

use crate::{
    field::{Errors, Path},
    meta, selector,
};

use super::{
    Column, Subresource,
    columns::NONE,
    pod::template,
    read::{carry_over, child, items, text},
};

pub mod percent;
pub mod scale;

pub(super) const SPEC: Path<'static> = Path::new("spec");

pub(super) const STATUS: Path<'static> = Path::new("status");

/// What a number must be that counts something.
pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// Names of the containers.
pub(super) const CONTAINERS: Column =
    Column::text("Containers", "Names of the containers.", 1, |object, _| containers(object, "/name").into());

/// Their images.
pub(super) const IMAGES: Column =
    Column::text("Images", "Images of the containers.", 1, |object, _| containers(object, "/image").into());

/// Which pods are meant.
pub(super) const SELECTOR: Column =
    Column::text("Selector", "Labels of the pods.", 1, |object, _| selector_text(object).into());

/// A column of a number at a JSON pointer.
pub(super) const fn number(
    name: &'static str,
    description: &'static str,
    cell: fn(&Value, jiff::Timestamp) -> Value,
) -> Column {
    Column { r#type: "integer", ..Column::text(name, description, 0, cell) }
}

/// The number at a JSON pointer; absent reads as 0.
#[must_use]
pub fn count(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The selector of a workload's pods, either labels that they must have or a selector object; one that cannot be read
/// selects nothing.
#[must_use]
pub fn selector(object: &Value) -> selector::Labels {
    let selector = object.pointer("/spec/selector").unwrap_or(&Value::Null);
    let labels = selector.as_object().filter(|labels| !labels.is_empty() && labels.values().all(Value::is_string));
    let read = match labels {
        Some(labels) => selector::Labels::from_object(&json!({ "matchLabels": labels })),
        None => selector::Labels::from_object(selector),
    };
    read.unwrap_or_else(|_| selector::Labels::nothing())
}

fn containers(object: &Value, field: &str) -> String {
    let names = items(object, "/spec/template/spec/containers").iter().map(|one| text(one, field));
    names.collect::<Vec<_>>().join(",")
}

fn selector_text(object: &Value) -> String {
    let selector = selector(object).to_string();
    if selector.is_empty() { NONE.to_owned() } else { selector }
}

/// The part `status` of a kind.
pub(super) const fn status(
    kind: &'static str,
    type_name: &'static str,
    prepare_update: fn(&mut Value, &Value),
) -> Subresource {
    Subresource { name: "status", group: "", version: "", kind, type_name, verbs: super::STATUS_VERBS, prepare_update }
}

/// Sets a field of `spec` that is absent.
pub(super) fn fill(object: &mut Value, field: &str, value: impl Into<Value>) {
    let Some(spec) = child(object, "spec") else { return };
    spec.entry(field).or_insert_with(|| value.into());
}

/// Defaults of the template, where there is one.
pub(super) fn default_template(object: &mut Value) {
    if let Some(template) = object.pointer_mut("/spec/template") {
        template::default(template);
    }
}

/// A new object counts its generations from 1; its status is for its controller to say.
pub(super) fn prepare_create(object: &mut Value, status: Value) {
    meta::set_generation(object, 1);
    object["status"] = status;
}

/// The status stays; a changed spec is a new generation.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
    if new.get("spec") != old.get("spec") {
        meta::set_generation(new, meta::generation(old) + 1);
    }
}

/// A number that must not be below 0.
pub(super) fn not_negative(object: &Value, parent: &Path<'_>, field: &str, errors: &mut Errors) {
    let pointer = format!("/{parent}/{field}").replace('.', "/");
    if let Some(number) = object.pointer(&pointer).and_then(Value::as_i64).filter(|number| *number < 0) {
        errors.invalid(&parent.child(field), number, NOT_NEGATIVE);
    }
}

/// What kinds say differently of the same mistakes in selector and template.
pub(super) struct PodWords {
    /// Whether the selector must be given.
    pub(super) required: bool,
    /// Of a selector that says nothing.
    pub(super) empty: &'static str,
    /// Of one that cannot be read; `None`: its parts were told of, and the template is looked at all the same.
    pub(super) unreadable: Option<&'static str>,
    /// The kind that refuses `activeDeadlineSeconds`.
    pub(super) kind: &'static str,
}

/// Those of Deployments and ReplicaSets.
pub(super) const REPLICATED: PodWords = PodWords {
    required: true,
    empty: "empty selector is invalid for deployment",
    unreadable: Some("invalid label selector"),
    kind: "ReplicaSet",
};

/// Selector and template, which must agree, of a kind whose pods run until they are deleted.
pub(super) fn validate_pods(object: &Value, words: &PodWords, errors: &mut Errors) {
    let (at, wanted) = (SPEC.child("selector"), object.pointer("/spec/selector").filter(|one| one.is_object()));
    match wanted {
        None if words.required => errors.required(&at, ""),
        None => {}
        Some(wanted) => {
            selector::validate(wanted, &at, errors);
            if is_empty_selector(wanted) {
                errors.invalid(&at, wanted.clone(), words.empty);
            }
        }
    }
    let read = wanted.map_or(Ok(selector::Labels::nothing()), selector::Labels::from_object);
    match (read, words.unreadable) {
        (Ok(selector), _) => validate_template(object, &selector, words.kind, errors),
        (Err(_), None) => validate_template(object, &selector::Labels::everything(), words.kind, errors),
        (Err(_), Some(why)) => errors.invalid(&at, wanted.cloned().unwrap_or_default(), why),
    }
}

/// Whether a selector object says nothing.
fn is_empty_selector(wanted: &Value) -> bool {
    let entries = |field| wanted.get(field).is_some_and(|one| one != &json!({}) && one != &json!([]));
    !entries("matchLabels") && !entries("matchExpressions")
}

/// The template, which the selector must match, of a kind whose pods run until they are deleted.
pub(super) fn validate_template(object: &Value, selector: &selector::Labels, kind: &str, errors: &mut Errors) {
    let (at, empty) = (SPEC.child("template"), json!({}));
    let template = object.pointer("/spec/template").unwrap_or(&empty);
    let labels: Vec<(&str, &str)> = meta::labels(template).collect();
    if !selector.is_everything() && !selector.matches(&labels) {
        let own = template.pointer("/metadata/labels").cloned().unwrap_or_default();
        let why = "`selector` does not match template `labels`";
        errors.invalid(&at.child("metadata").child("labels"), own, why);
    }
    template::validate(template, &at, errors);
    let (spec, policy) = (at.child("spec"), text(template, "/spec/restartPolicy"));
    if policy != "Always" {
        errors.not_supported(&spec.child("restartPolicy"), policy, &["Always"]);
    }
    if template.pointer("/spec/activeDeadlineSeconds").is_some() {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.forbidden(&spec.child("activeDeadlineSeconds"), why);
    }
}

/// The selector stays as it is.
pub(super) fn validate_selector_stays(new: &Value, old: &Value, errors: &mut Errors) {
    let selector = |object: &Value| object.pointer("/spec/selector").cloned().unwrap_or_default();
    if selector(new) != selector(old) {
        errors.invalid(&SPEC.child("selector"), selector(new), "field is immutable");
    }
}

/// Counts of a status: none below 0, and none of these above another.
pub(super) fn validate_counts(object: &Value, counts: &[&str], limits: &[(&str, &str, &str)], errors: &mut Errors) {
    for count in counts {
        not_negative(object, &STATUS, count, errors);
    }
    for (field, limit, why) in limits {
        let of = |field: &str| count(object, &format!("/status/{field}"));
        if of(field) > of(limit) {
            errors.invalid(&STATUS.child(field), of(field), *why);
        }
    }
}

/// Names that were taken are counted, and never forgotten.
pub(super) fn validate_collisions(new: &Value, old: &Value, errors: &mut Errors) {
    let collisions = |object| count(object, "/status/collisionCount");
    if collisions(new) < collisions(old) {
        errors.invalid(&STATUS.child("collisionCount"), collisions(new), "cannot be decremented");
    }
}

#[cfg(test)]
pub(super) mod tests;
