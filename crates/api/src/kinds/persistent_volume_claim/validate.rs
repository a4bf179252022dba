//! What a claim may wish for. Main functions: [`whole`], [`spec`], [`template`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/>; paths and words are upstream's.

use serde_json::{Value, json};

use super::super::{
    persistent_volume::modes,
    read::{items, text},
};
use crate::{
    field::{Errors, Path},
    names, object_meta,
    quantity::Quantity,
    selector,
};

/// Metadata that a template of claims may not have, and how upstream spells it.
const NOT_IN_TEMPLATES: &[(&str, &str)] = &[
    ("name", "name"),
    ("generateName", "generateName"),
    ("namespace", "namespace"),
    ("selfLink", "selfLink"),
    ("uid", "uID"),
    ("resourceVersion", "resourceVersion"),
    ("generation", "generation"),
    ("creationTimestamp", "creationTimestamp"),
    ("deletionTimestamp", "deletionTimestamp"),
    ("deletionGracePeriodSeconds", "deletionGracePeriodSeconds"),
    ("ownerReferences", "ownerReferences"),
    ("finalizers", "finalizers"),
    ("managedFields", "managedFields"),
];

/// Checks a claim by itself.
pub(super) fn whole(claim: &Value, errors: &mut Errors) {
    let empty = json!({});
    spec(claim.get("spec").unwrap_or(&empty), &Path::new("spec"), errors);
}

/// A template of claims, as an ephemeral volume has it: what its claims are called is not for it to say.
pub(in crate::kinds) fn template(template: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (empty, at) = (json!({}), path.child("metadata"));
    let metadata = template.get("metadata").unwrap_or(&empty);
    let map = |name: &str| metadata.get(name).and_then(Value::as_object);
    object_meta::check_annotations(map("annotations"), &at.child("annotations"), errors);
    object_meta::check_labels(map("labels"), &at.child("labels"), errors);
    let is_said = |value: &Value| ![json!(null), json!(""), json!(0), json!([])].contains(value);
    for (_, told) in NOT_IN_TEMPLATES.iter().filter(|(field, _)| metadata.get(*field).is_some_and(is_said)) {
        errors.forbidden(&at.child(told), "cannot be set");
    }
    spec(template.get("spec").unwrap_or(&empty), &path.child("spec"), errors);
}

/// The spec of a claim or template.
pub(in crate::kinds) fn spec(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    if items(spec, "/accessModes").is_empty() {
        errors.required(&path.child("accessModes"), "at least 1 access mode is required");
    }
    if let Some(wanted) = spec.get("selector").filter(|wanted| wanted.is_object()) {
        selector::validate(wanted, &path.child("selector"), errors);
    }
    modes::check(spec, path, errors);
    size(spec, &path.child("resources").key("storage"), errors);
    modes::check_class(spec, "storageClassName", path, errors);
    modes::check_volume_mode(spec, path, errors);
    sources(spec, path, errors);
    modes::check_class(spec, "volumeAttributesClassName", path, errors);
}

fn size(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(amount) = spec.pointer("/resources/requests/storage") else { return errors.required(path, "") };
    let Ok(amount) = Quantity::from_json(amount) else { return };
    if amount.nanos() <= 0 {
        errors.invalid(path, amount.to_string(), "must be greater than zero");
    }
}

/// Where the content of the volume is to come from.
fn sources(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let given = |field: &str| spec.get(field).filter(|source| source.is_object());
    let (old, new) = (given("dataSource"), given("dataSourceRef"));
    for (field, source) in [("dataSource", old), ("dataSourceRef", new)] {
        source.into_iter().for_each(|source| self::source(source, &path.child(field), errors));
    }
    let (Some(old), Some(new)) = (old, new) else { return };
    let part = |source: &Value, field: &str| source.get(field).filter(|value| !value.is_null()).cloned();
    let why = if !text(new, "/namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if ["apiGroup", "kind", "name"].iter().any(|field| part(old, field) != part(new, field)) {
        "must match dataSourceRef"
    } else {
        return;
    };
    // Upstream shows a path where the value should be, and a path shows nothing of itself.
    errors.invalid(path, json!({}), why);
}

fn source(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (kind, group, namespace) = (text(source, "/kind"), text(source, "/apiGroup"), text(source, "/namespace"));
    for field in ["name", "kind"] {
        if text(source, &format!("/{field}")).is_empty() {
            errors.required(&path.child(field), "");
        }
    }
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errors.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
    let wrong = |value: &str, check: fn(&str) -> Vec<String>| if value.is_empty() { Vec::new() } else { check(value) };
    let at = path.child("apiGroup");
    wrong(group, names::dns1123_subdomain).into_iter().for_each(|why| errors.invalid(&at, group, why));
    let at = path.child("namespace");
    wrong(namespace, names::dns1123_label).into_iter().for_each(|why| errors.invalid(&at, namespace, why));
}
