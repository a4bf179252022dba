//! Checks `metadata`, on create and on update; the same for all kinds.
//!
//! Main functions: [`validate`], [`validate_update`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>.
//! Leaves out: wrong JSON types ([`crate::strict`]); wrongly typed values are read as absent here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    field::{Errors, Path},
    gotext, meta, names,
};

/// Bytes that all annotations together, keys and values, may have.
pub const ANNOTATIONS_MAX: usize = 256 * 1024;

/// Bytes of a field manager's name.
pub const FIELD_MANAGER_MAX: usize = 128;

/// Bytes of the `subresource` of a managed fields entry.
const SUBRESOURCE_MAX: usize = 256;

/// Root of the paths that errors name.
const METADATA: Path<'static> = Path::new("metadata");

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a kind's names must look like: `(name, is it only a prefix)` to messages.
pub type NameCheck = fn(&str, bool) -> Vec<String>;

/// Checks `metadata` of an object to be created; the name has been generated already.
pub fn validate(object: &Value, namespaced: bool, name_check: NameCheck, errors: &mut Errors) {
    let generate_name = meta::generate_name(object);
    if !generate_name.is_empty() {
        for message in name_check(generate_name, true) {
            errors.invalid(&METADATA.child("generateName"), generate_name, message);
        }
    }
    let (name, path) = (meta::name(object), METADATA.child("name"));
    if name.is_empty() {
        errors.required(&path, "name or generateName is required");
    } else {
        name_check(name, false).into_iter().for_each(|message| errors.invalid(&path, name, message));
    }
    check_namespace(meta::namespace(object), namespaced, errors);
    let generation = meta::generation(object);
    if generation < 0 {
        errors.invalid(&METADATA.child("generation"), generation, "must be greater than or equal to 0");
    }
    check_maps(object, errors);
    check_owners(object, errors);
    check_finalizers(object, errors);
    check_managed_fields(object, errors);
}

/// Checks `metadata` of an object to be updated against what is stored.
pub fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if meta::is_being_deleted(old) {
        check_no_new_finalizers(new, old, errors);
    }
    if meta::resource_version(new).is_empty() {
        errors.invalid(&METADATA.child("resourceVersion"), "", "must be specified for an update");
    }
    let generation = meta::generation(new);
    if generation < meta::generation(old) {
        errors.invalid(&METADATA.child("generation"), generation, "must not be decremented");
    }
    for field in ["name", "namespace", "uid"] {
        immutable(field, meta::text(new, field).into(), meta::text(old, field).into(), errors);
    }
    for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        immutable(field, raw(new, field), raw(old, field), errors);
    }
    check_maps(new, errors);
    check_owners(new, errors);
    check_managed_fields(new, errors);
}

/// A field manager's name as a request parameter or in an entry.
pub fn check_field_manager(manager: &str, path: &Path<'_>, errors: &mut Errors) {
    if manager.len() > FIELD_MANAGER_MAX {
        errors.too_long(path, FIELD_MANAGER_MAX);
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| !gotext::is_print(*c)) {
        let code = u32::from(c);
        errors.invalid(path, manager, format!("invalid character U+{code:04X} (at position {at})"));
    }
}

/// Labels wherever they occur: metadata, pod templates, `matchLabels`.
pub fn check_labels(labels: Option<&Map<String, Value>>, path: &Path<'_>, errors: &mut Errors) {
    for (key, value) in labels.into_iter().flatten() {
        names::qualified_name(key).into_iter().for_each(|message| errors.invalid(path, key.as_str(), message));
        let value = value.as_str().unwrap_or_default();
        names::label_value(value).into_iter().for_each(|message| errors.invalid(path, value, message));
    }
}

/// Annotations wherever they occur.
pub fn check_annotations(annotations: Option<&Map<String, Value>>, path: &Path<'_>, errors: &mut Errors) {
    let mut bytes = 0;
    for (key, value) in annotations.into_iter().flatten() {
        bytes += key.len() + value.as_str().map_or(0, str::len);
        let messages = names::qualified_name(&key.to_lowercase());
        messages.into_iter().for_each(|message| errors.invalid(path, key.as_str(), message));
    }
    if bytes > ANNOTATIONS_MAX {
        errors.too_long(path, ANNOTATIONS_MAX);
    }
}

fn check_namespace(namespace: &str, namespaced: bool, errors: &mut Errors) {
    let path = METADATA.child("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.required(&path, ""),
        (true, false) => {
            let messages = names::dns1123_label(namespace);
            messages.into_iter().for_each(|message| errors.invalid(&path, namespace, message));
        }
        (false, true) => {}
        (false, false) => errors.forbidden(&path, "not allowed on this type"),
    }
}

fn check_maps(object: &Value, errors: &mut Errors) {
    let map = |field: &str| meta::get(object).and_then(|metadata| metadata.get(field)).and_then(Value::as_object);
    check_labels(map("labels"), &METADATA.child("labels"), errors);
    check_annotations(map("annotations"), &METADATA.child("annotations"), errors);
}

fn check_owners(object: &Value, errors: &mut Errors) {
    let (owners, path) = (meta::owner_references(object), METADATA.child("ownerReferences"));
    let mut controller: Option<String> = None;
    for owner in owners {
        let field = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        if api_version.is_empty() || api_version.ends_with('/') || api_version.matches('/').count() > 1 {
            errors.invalid(&path.child("apiVersion"), api_version, "version must not be empty");
        }
        for required in ["kind", "name", "uid"].into_iter().filter(|name| field(name).is_empty()) {
            errors.invalid(&path.child(required), "", "must not be empty");
        }
        if api_version == "v1" && kind == "Event" {
            errors.invalid(&path, owner.clone(), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{kind}/{}", field("name"));
            match &controller {
                Some(first) => errors.invalid(&path, owners.to_vec(), two_controllers(first, &this)),
                None => controller = Some(this),
            }
        }
    }
}

fn two_controllers(first: &str, second: &str) -> String {
    let rule = "Only one reference can have Controller set to true";
    format!("{rule}. Found \"true\" in references for {first} and {second}")
}

fn check_finalizers(object: &Value, errors: &mut Errors) {
    let path = METADATA.child("finalizers");
    let finalizers: Vec<&str> = meta::finalizers(object).collect();
    for name in &finalizers {
        names::qualified_name(name).into_iter().for_each(|message| errors.invalid(&path, *name, message));
    }
    if finalizers.contains(&ORPHAN) && finalizers.contains(&FOREGROUND) {
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.invalid(&path, finalizers, detail);
    }
}

fn check_no_new_finalizers(new: &Value, old: &Value, errors: &mut Errors) {
    let known: BTreeSet<&str> = meta::finalizers(old).collect();
    let added: BTreeSet<&str> = meta::finalizers(new).filter(|name| !known.contains(name)).collect();
    if !added.is_empty() {
        let names: Vec<String> = added.into_iter().map(gotext::quote).collect();
        let rule = "no new finalizers can be added if the object is being deleted";
        let detail = format!("{rule}, found new finalizers []string{{{}}}", names.join(", "));
        errors.forbidden(&METADATA.child("finalizers"), detail);
    }
}

fn check_managed_fields(object: &Value, errors: &mut Errors) {
    let path = METADATA.child("managedFields");
    for (index, entry) in meta::managed_fields(object).iter().enumerate() {
        let path = path.index(index);
        let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        if !matches!(field("operation"), "Apply" | "Update") {
            errors.invalid(&path.child("operation"), field("operation"), "must be `Apply` or `Update`");
        }
        if !matches!(field("fieldsType"), "" | "FieldsV1") {
            errors.invalid(&path.child("fieldsType"), field("fieldsType"), "must be `FieldsV1`");
        }
        check_field_manager(field("manager"), &path.child("manager"), errors);
        if field("subresource").len() > SUBRESOURCE_MAX {
            errors.too_long(&path.child("subresource"), SUBRESOURCE_MAX);
        }
    }
}

fn raw(object: &Value, field: &str) -> Value {
    meta::get(object).and_then(|metadata| metadata.get(field)).cloned().unwrap_or_default()
}

fn immutable(field: &str, new: Value, old: Value, errors: &mut Errors) {
    let same_time = || Some(meta::parse_time(new.as_str()?)? == meta::parse_time(old.as_str()?)?);
    if new != old && same_time() != Some(true) {
        errors.invalid(&METADATA.child(field), new, "field is immutable");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dns_label(name: &str, prefix: bool) -> Vec<String> {
        if prefix { names::dns1123_label(&names::mask_trailing_dash(name)) } else { names::dns1123_label(name) }
    }

    fn check(metadata: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        validate(&json!({ "metadata": metadata }), true, dns_label, &mut errors);
        assert_eq!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn checks_metadata_on_create() {
        check(json!({"name": "a", "namespace": "b"}), &[]);
        check(json!({"generateName": "a-", "name": "a-xyz", "namespace": "b"}), &[]);
        check(
            json!({}),
            &["metadata.name: Required value: name or generateName is required", "metadata.namespace: Required value"],
        );
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true});
        check(json!({"name": "a", "namespace": "b", "ownerReferences": [owner]}), &[]);
        check(
            json!({"name": "a", "namespace": "b", "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": ""}]}),
            &[
                "metadata.ownerReferences.name: Invalid value: \"\": must not be empty",
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
            ],
        );
        check(
            json!({"name": "a", "namespace": "b", "finalizers": ["orphan", "foregroundDeletion"]}),
            &[
                r#"metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set"#,
            ],
        );
        check(
            json!({"name": "a", "namespace": "b", "annotations": {"UPPER.io/x": "y".repeat(ANNOTATIONS_MAX)}}),
            &["metadata.annotations: Too long: may not be more than 262144 bytes"],
        );
        check(
            json!({"name": "a", "namespace": "b", "managedFields": [{"manager": "m", "operation": "Put"}]}),
            &["metadata.managedFields[0].operation: Invalid value: \"Put\": must be `Apply` or `Update`"],
        );
    }

    fn check_change(new: Value, old: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        validate_update(&json!({ "metadata": new }), &json!({ "metadata": old }), &mut errors);
        assert_eq!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn checks_metadata_on_update() {
        let old = json!({"name": "a", "uid": "u", "resourceVersion": "1", "generation": 2});
        check_change(old.clone(), old.clone(), &[]);
        check_change(
            json!({"name": "b", "uid": "u", "generation": 1}),
            old,
            &[
                "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
                "metadata.generation: Invalid value: 1: must not be decremented",
                "metadata.name: Invalid value: \"b\": field is immutable",
            ],
        );
        check_change(
            json!({"resourceVersion": "1", "finalizers": ["b", "a"], "deletionTimestamp": "2026-01-01T00:00:00Z"}),
            json!({"resourceVersion": "1", "finalizers": ["a"], "deletionTimestamp": "2026-01-01T00:00:00Z"}),
            &[
                r#"metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"b"}"#,
            ],
        );
    }
}
