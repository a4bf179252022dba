//! Secret. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, SelectableField, Storage,
    columns::{AGE, NAME},
    read::{entries, text},
};

/// Core v1 Secret.
pub static SECRET: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Secret",
    list_kind: "SecretList",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.Secret",
    storage: Some(Storage { prefix: "core/secrets", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[SelectableField { label: "type", stored: "type", pointers: &["/type"], default: "" }],
    indexes: OWNER_INDEXES,
    columns: &[NAME, TYPE, DATA, AGE],
    hooks: Hooks::NONE,
};

const TYPE: Column = Column::text("Type", "What the data is for.", 0, |object, _| text(object, "/type").into());
const DATA: Column =
    Column::text("Data", "Number of keys.", 0, |object, _| Value::from(entries(object, "/data").count()));
