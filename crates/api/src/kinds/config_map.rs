//! ConfigMap. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
    read::entries,
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
    hooks: Hooks::NONE,
};

const DATA: Column = Column::text("Data", "Number of keys.", 0, |object, _| {
    Value::from(entries(object, "/data").count() + entries(object, "/binaryData").count())
});
