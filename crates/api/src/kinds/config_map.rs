//! ConfigMap. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/>.

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    names,
};

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
    read::{base64_length, entries, immutable_fields},
};

/// Core v1 ConfigMap.
pub static CONFIG_MAP: Kind = Kind {
    group: "",
    version: "v1",
    kind: "ConfigMap",
    list_kind: "ConfigMapList",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.ConfigMap",
    storage: Some(Storage { prefix: "core/configmaps", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, DATA, AGE],
    hooks: Hooks { validate, validate_update, ..Hooks::NONE },
};

const DATA: Column = Column::text("Data", "Number of keys.", 0, |object, _| {
    Value::from(entries(object, "/data").count() + entries(object, "/binaryData").count())
});

/// Most bytes of all values together, without their encoding.
pub const DATA_MAX: usize = 1024 * 1024;

fn validate(object: &Value, errors: &mut Errors) {
    check_keys(object, "data", "binaryData", errors);
    check_keys(object, "binaryData", "data", errors);
    let texts: usize = entries(object, "/data").map(|(_, value)| value.as_str().map_or(0, str::len)).sum();
    let bytes: usize = entries(object, "/binaryData").map(|(_, value)| base64_length(value)).sum();
    if texts + bytes > DATA_MAX {
        // The empty path says that it is about the whole object.
        errors.too_long(&Path::new(""), DATA_MAX);
    }
}

fn check_keys(object: &Value, field: &str, other: &str, errors: &mut Errors) {
    let path = Path::new(field);
    for (key, _) in entries(object, &format!("/{field}")) {
        for message in names::config_map_key(key) {
            errors.invalid(&path.key(key), key, message);
        }
        if object.get(other).and_then(|map| map.get(key)).is_some() {
            errors.invalid(&path.key(key), key, format!("duplicate of key present in {other}"));
        }
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    immutable_fields(new, old, &["data", "binaryData"], errors);
}
