//! PersistentVolumeClaim: a wish for storage. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/>; its checks are
//! in `validate` and `update`.

use serde_json::{Map, Value, json};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, Storage,
    columns::{AGE, NAME},
    persistent_volume::{
        amount,
        fit::{self, CLASS_ANNOTATION},
        modes::{self, FILESYSTEM},
        phase, said, warnings,
    },
    read::{carry_over, child, text},
    workload,
};
use crate::{field::Path, quantity::Quantity};

pub mod index;

mod update;
mod validate;

pub(super) use validate::{spec as validate_spec, template as validate_template};

const TYPE: &str = "io.k8s.api.core.v1.PersistentVolumeClaim";

/// PersistentVolumeClaim of core v1.
pub static PERSISTENT_VOLUME_CLAIM: Kind = Kind {
    group: "",
    version: "v1",
    kind: "PersistentVolumeClaim",
    list_kind: "PersistentVolumeClaimList",
    plural: "persistentvolumeclaims",
    singular: "persistentvolumeclaim",
    short_names: &["pvc"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status("PersistentVolumeClaim", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/persistentvolumeclaims", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: index::ALL,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update,
        validate: validate::whole,
        validate_update: update::whole,
        validate_part: Some(update::status),
        warnings,
        ..Hooks::NONE
    },
};

/// Annotation: both sides of its binding are written.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// Annotation: its volume was chosen here, not by its author.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Annotation: the node that its first pod will run on, chosen by the scheduler.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Annotation: who is to make its volume.
pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";

/// As [`STORAGE_PROVISIONER`], of old.
pub const STORAGE_PROVISIONER_BETA: &str = "volume.beta.kubernetes.io/storage-provisioner";

/// Finalizer: a pod uses it.
pub const PROTECTION: &str = "kubernetes.io/pvc-protection";

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Status", "Whether it has a volume.", 0, |claim, _| phase(claim).into()),
    Column::text("Volume", "The volume it has, or is to have.", 0, |claim, _| text(claim, "/spec/volumeName").into()),
    Column::text("Capacity", "How much its volume holds.", 0, |claim, _| {
        of_volume(claim, || amount(claim, "/status/capacity/storage")).into()
    }),
    Column::text("Access Modes", "How its volume can be mounted.", 0, |claim, _| {
        of_volume(claim, || modes::shown(claim, "/status/accessModes")).into()
    }),
    Column::text("StorageClass", "Its class.", 0, |claim, _| fit::class(claim).unwrap_or_default().into()),
    Column::text("VolumeAttributesClass", "Its class of attributes.", 0, |claim, _| {
        said(claim, "/spec/volumeAttributesClassName").into()
    }),
    AGE,
    Column::text("VolumeMode", "Whether it wants a file system or a device.", 1, |claim, _| {
        said(claim, "/spec/volumeMode").into()
    }),
];

/// What is known of its volume; nothing without one.
fn of_volume(claim: &Value, cell: impl Fn() -> String) -> String {
    if text(claim, "/spec/volumeName").is_empty() { String::new() } else { cell() }
}

fn default(claim: &mut Value) {
    default_spec(claim);
    if let Some(status) = child(claim, "status") {
        status.entry("phase").or_insert_with(|| "Pending".into());
    }
}

/// What the spec of a claim, or of a template of claims, leaves open.
pub(super) fn default_spec(owner: &mut Value) {
    if let Some(spec) = child(owner, "spec") {
        spec.entry("volumeMode").or_insert_with(|| FILESYSTEM.into());
    }
}

fn prepare_create(claim: &mut Value, _: &Ctx) {
    claim["status"] = json!({ "phase": "Pending" });
    if let Some(spec) = child(claim, "spec") {
        drop_sources(spec, None);
        pair_sources(spec);
    }
}

fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
    if let Some(spec) = child(new, "spec") {
        drop_sources(spec, old.get("spec"));
    }
}

/// Sources of content that a client may not name: in another namespace; and, in the older of the two fields, of kinds that were
/// never taken there.
fn drop_sources(spec: &mut Map<String, Value>, old: Option<&Value>) {
    let had = |field: &str| old.is_some_and(|old| old.get(field).is_some_and(Value::is_object));
    let elsewhere = spec.get("dataSourceRef").is_some_and(|source| !text(source, "/namespace").is_empty());
    if elsewhere && !had("dataSourceRef") {
        spec.remove("dataSourceRef");
    }
    let newer = spec.get("dataSourceRef").is_some_and(Value::is_object);
    if newer || had("dataSource") || had("dataSourceRef") {
        return;
    }
    let known = |source: &Value| {
        let named = (text(source, "/apiGroup"), text(source, "/kind"));
        [("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")].contains(&named)
    };
    if !spec.get("dataSource").is_some_and(known) {
        spec.remove("dataSource");
    }
}

/// Says the source in both fields where it is said in one.
fn pair_sources(spec: &mut Map<String, Value>) {
    let given = |field: &str| spec.get(field).filter(|source| source.is_object()).cloned();
    match (given("dataSource"), given("dataSourceRef")) {
        (Some(source), None) => _ = spec.insert("dataSourceRef".to_owned(), source),
        (None, Some(mut source)) if text(&source, "/namespace").is_empty() => {
            source.as_object_mut().map(|source| source.remove("namespace"));
            spec.insert("dataSource".to_owned(), source);
        }
        _ => {}
    }
}

fn warnings(claim: &Value) -> Vec<String> {
    let mut told = warnings::annotations(claim, &[(CLASS_ANNOTATION, "v1.8", "storageClassName")]);
    let (spec, empty) = (Path::new("spec"), json!({}));
    spec_warnings(claim.get("spec").unwrap_or(&empty), &spec, &mut told);
    told
}

/// Warnings of the spec of a claim, or of a template of claims.
pub(super) fn spec_warnings(spec: &Value, path: &Path<'_>, told: &mut Vec<String>) {
    let path = path.child("resources");
    for part in ["requests", "limits"] {
        let amount = spec.pointer(&format!("/resources/{part}/storage"));
        let amount = amount.and_then(|amount| Quantity::from_json(amount).ok());
        if let Some(amount) = amount.filter(|amount| amount.milli_value() % 1000 != 0) {
            let (path, amount) = (path.child(part), amount.to_string());
            told.push(format!(
                "{}: fractional byte value {amount:?} is invalid, must be an integer",
                path.key("storage")
            ));
        }
    }
}

#[cfg(test)]
mod tests;
