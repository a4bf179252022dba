//! Namespace. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>.

use serde_json::{Value, json};

use crate::{
    field::{Errors, Path},
    meta, names,
};

use super::{
    Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, SelectableField, Storage, Subresource,
    columns::{AGE, NAME},
    read::{carry_over, child, items, text},
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
    hooks: Hooks { default, prepare_create, prepare_update, validate, ..Hooks::NONE },
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

const PHASE: Column = Column::text("Status", "Phase of its life.", 0, |object, _| text(object, "/status/phase").into());

/// The finalizer that the namespace controller takes off.
pub const FINALIZER: &str = "kubernetes";

/// Label by which selectors find a namespace by name.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Finalizers that need no domain.
const STANDARD: &[&str] = &[FINALIZER, "orphan", "foregroundDeletion"];

fn default(object: &mut Value) {
    let name = meta::name(object).to_owned();
    let labels = object.get_mut("metadata").and_then(|metadata| child(metadata, "labels"));
    if let Some(labels) = labels.filter(|_| !name.is_empty()) {
        labels.insert(NAME_LABEL.to_owned(), name.into());
    }
}

fn prepare_create(object: &mut Value, _: &Ctx) {
    object["status"] = json!({ "phase": "Active" });
    let mut finalizers = items(object, "/spec/finalizers").to_vec();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    if let Some(spec) = child(object, "spec") {
        spec.insert("finalizers".to_owned(), finalizers.into());
    }
    // The name may have been generated after defaulting.
    default(object);
}

fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "spec");
    carry_over(new, old, "status");
}

fn validate(object: &Value, errors: &mut Errors) {
    let spec = Path::new("spec");
    let path = spec.child("finalizers");
    for finalizer in items(object, "/spec/finalizers").iter().filter_map(Value::as_str) {
        for message in names::qualified_name(finalizer) {
            errors.invalid(&path, finalizer, message);
        }
        if !finalizer.contains('/') && !STANDARD.contains(&finalizer) {
            errors.invalid(&path, finalizer, "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
}
