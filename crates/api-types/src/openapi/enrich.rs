//! Adds to a schema what the type crate leaves out and clients rely on: merge strategies (kubectl's patches), list types
//! (server-side apply), kinds (finding the schema of an object), defaults, upstream's form of the odd scalars.

use super::{Dialect, group_version_kind};
use api::facts::{self, Field, ListKind, Shape, Type};
use serde_json::{Map, Value, json};

/// Types whose form is neither an object with fields nor what the type crate says: name, form in v2, form in v3.
type Form = fn() -> Value;
const FORMS: &[(&str, Form, Form)] = &[
    (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        || json!({ "type": "string" }),
        || json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }),
    ),
    (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        || json!({ "type": "string", "format": "int-or-string" }),
        || json!({ "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] }),
    ),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", || json!({}), || json!({})),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", || json!({}), || json!({})),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", || json!({}), || json!({})),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
        || json!({}),
        || json!({}),
    ),
];

/// Kinds that the type crate does not tell as such, found in every group.
const COMMON_KINDS: &[(&str, &str)] = &[
    ("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "DeleteOptions"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Status", "Status"),
];

/// Rewrites the schema of the type `name`.
pub(super) fn definition(name: &str, schema: &mut Value, dialect: Dialect) {
    if let Some((_, v2, v3)) = FORMS.iter().find(|(known, ..)| *known == name) {
        let mut form = if dialect == Dialect::V2 { v2() } else { v3() };
        form["description"] = schema["description"].take();
        *schema = form;
    }
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(ty) = facts::ty(name) {
        fields(ty, schema, dialect);
    }
    if let Some(kind) = COMMON_KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind) {
        schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([group_version_kind("", "v1", kind)]));
    }
}

fn fields(ty: &Type, schema: &mut Map<String, Value>, dialect: Dialect) {
    let required: Vec<&str> = ty.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    match required.is_empty() {
        true => drop(schema.remove("required")),
        false => drop(schema.insert("required".to_owned(), json!(required))),
    }
    if let Some((group, version, kind)) = ty.kind {
        schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([group_version_kind(group, version, kind)]));
    }
    if ty.atomic {
        schema.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for field in &ty.fields {
        if let Some(property) = properties.get_mut(field.name) {
            property_facts(field, property);
            references(property, dialect);
        }
    }
}

fn property_facts(field: &Field, property: &mut Value) {
    let own_atomic = field.atomic && field.shape.object().is_none_or(|ty| !ty.atomic);
    let (list_type, keys): (Option<&str>, &[&str]) = match &field.list {
        ListKind::Unmarked => (None, &[]),
        ListKind::Atomic => (Some("atomic"), &[]),
        ListKind::Set => (Some("set"), &[]),
        ListKind::Map(keys) => (Some("map"), keys),
    };
    let rows = [
        ("default", field.default_value()),
        ("x-kubernetes-list-map-keys", (!keys.is_empty()).then(|| json!(keys))),
        ("x-kubernetes-list-type", list_type.map(Value::from)),
        ("x-kubernetes-map-type", (own_atomic && !is_list(field.shape)).then(|| json!("atomic"))),
        ("x-kubernetes-patch-merge-key", field.patch.merge_key.map(Value::from)),
        ("x-kubernetes-patch-strategy", field.patch.strategy.map(Value::from)),
    ];
    for (key, value) in rows.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        property[key] = value;
    }
}

fn is_list(shape: Shape) -> bool {
    matches!(shape, Shape::List(_))
}

/// OpenAPI 3.0 ignores what stands beside a `$ref`: there the reference goes into an `allOf`.
fn references(schema: &mut Value, dialect: Dialect) {
    let Some(object) = schema.as_object_mut().filter(|_| dialect == Dialect::V3) else { return };
    if object.len() > 1
        && let Some(reference) = object.remove("$ref")
    {
        object.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(inner) {
            references(inner, dialect);
        }
    }
}
