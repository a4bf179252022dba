//! Namespace. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>.

use super::{
    Column, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, SelectableField, Storage, Subresource,
    columns::{AGE, NAME},
    read::{carry_over, text},
};

/// Core v1 Namespace.
pub static NAMESPACE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Namespace",
    list_kind: "NamespaceList",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    namespaced: false,
    verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
    subresources: &[FINALIZE, STATUS],
    type_name: "io.k8s.api.core.v1.Namespace",
    storage: Some(Storage { prefix: "core/namespaces", other: None }),
    name_rule: NameRule::DnsLabel,
    fields: &[
        SelectableField { label: "status.phase", stored: "status.phase", pointers: &["/status/phase"], default: "" },
        SelectableField { label: "name", stored: "metadata.name", pointers: &["/metadata/name"], default: "" },
    ],
    indexes: OWNER_INDEXES,
    columns: &[NAME, PHASE, AGE],
    hooks: Hooks::NONE,
};

const FINALIZE: Subresource = Subresource {
    name: "finalize",
    group: "",
    version: "",
    kind: "Namespace",
    type_name: "io.k8s.api.core.v1.Namespace",
    verbs: &["update"],
    prepare_update: |new, old| carry_over(new, old, "status"),
};

const STATUS: Subresource = Subresource {
    name: "status",
    verbs: STATUS_VERBS,
    prepare_update: |new, old| carry_over(new, old, "spec"),
    ..FINALIZE
};

const PHASE: Column =
    Column::text("Status", "Phase of its life.", 0, |object, _| text(object, "/status/phase").into());
