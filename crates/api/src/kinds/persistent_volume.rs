//! PersistentVolume: storage of the cluster. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/>; its checks are in
//! `validate`.

use serde_json::{Value, json};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, Storage,
    columns::{AGE, NAME},
    read::{carry_over, child, text},
    workload,
};
use crate::{meta, quantity::Quantity};

use modes::{FILESYSTEM, UNSET};

pub mod fit;
pub mod index;

pub(super) mod modes;
pub(super) mod warnings;

mod validate;

const TYPE: &str = "io.k8s.api.core.v1.PersistentVolume";

/// PersistentVolume of core v1.
pub static PERSISTENT_VOLUME: Kind = Kind {
    group: "",
    version: "v1",
    kind: "PersistentVolume",
    list_kind: "PersistentVolumeList",
    plural: "persistentvolumes",
    singular: "persistentvolume",
    short_names: &["pv"],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[workload::status("PersistentVolume", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/persistentvolumes", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: index::ALL,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update: |new, old| carry_over(new, old, "status"),
        stamp,
        validate: validate::whole,
        validate_update: validate::update,
        validate_part: Some(|_, _, _, _| {}),
        warnings: warnings::of,
        ..Hooks::NONE
    },
};

/// Annotation: a claim was chosen for it here, not by its author.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Annotation: who made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Finalizer: it is bound to a claim.
pub const PROTECTION: &str = "kubernetes.io/pv-protection";

/// Finalizer: what it holds is to be removed before it is forgotten.
pub const REMOVE_DATA: &str = "external-provisioner.volume.kubernetes.io/finalizer";

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Capacity", "How much it holds.", 0, |volume, _| amount(volume, "/spec/capacity/storage").into()),
    Column::text("Access Modes", "How it can be mounted.", 0, |volume, _| {
        modes::shown(volume, "/spec/accessModes").into()
    }),
    Column::text("Reclaim Policy", "What becomes of it after its claim.", 0, |volume, _| {
        text(volume, "/spec/persistentVolumeReclaimPolicy").into()
    }),
    Column::text("Status", "Whether a claim has it.", 0, |volume, _| phase(volume).into()),
    Column::text("Claim", "The claim that has it, or is to have it.", 0, |volume, _| claim(volume).into()),
    Column::text("StorageClass", "Its class.", 0, |volume, _| fit::class(volume).unwrap_or_default().into()),
    Column::text("VolumeAttributesClass", "Its class of attributes.", 0, |volume, _| {
        said(volume, "/spec/volumeAttributesClassName").into()
    }),
    Column::text("Reason", "Why it is in this state.", 0, |volume, _| text(volume, "/status/reason").into()),
    AGE,
    Column::text("VolumeMode", "Whether it is a file system or a device.", 1, |volume, _| {
        said(volume, "/spec/volumeMode").into()
    }),
];

/// An amount as kubectl shows it; nothing said is nothing there.
pub(super) fn amount(object: &Value, pointer: &str) -> String {
    let read = object.pointer(pointer).and_then(|amount| Quantity::from_json(amount).ok());
    read.map_or_else(|| "0".to_owned(), |amount| amount.to_string())
}

/// Its phase, as long as it is to stay.
pub(super) fn phase(object: &Value) -> &str {
    if meta::is_being_deleted(object) { "Terminating" } else { text(object, "/status/phase") }
}

/// What is said there; [`UNSET`] where nothing is.
pub(super) fn said<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or(UNSET)
}

fn claim(volume: &Value) -> String {
    let claim = volume.pointer("/spec/claimRef").filter(|claim| claim.is_object());
    claim.map_or_else(String::new, |claim| format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")))
}

fn default(volume: &mut Value) {
    if let Some(spec) = child(volume, "spec") {
        spec.entry("persistentVolumeReclaimPolicy").or_insert_with(|| "Retain".into());
        spec.entry("volumeMode").or_insert_with(|| FILESYSTEM.into());
        if let Some(path) = spec.get_mut("hostPath").and_then(Value::as_object_mut) {
            path.entry("type").or_insert_with(|| "".into());
        }
    }
    if let Some(status) = child(volume, "status") {
        status.entry("phase").or_insert_with(|| PENDING.into());
    }
}

const PENDING: &str = "Pending";

fn prepare_create(volume: &mut Value, ctx: &Ctx) {
    volume["status"] = json!({ "phase": PENDING, "lastPhaseTransitionTime": meta::time(ctx.now) });
}

/// Another phase begins now, unless whoever says so says when.
fn stamp(new: &mut Value, old: &Value, ctx: &Ctx) {
    let told = |volume: &Value| volume.pointer("/status/lastPhaseTransitionTime").cloned().unwrap_or_default();
    let same_phase = text(new, "/status/phase") == text(old, "/status/phase");
    if !same_phase && (told(new).is_null() || told(new) == told(old)) {
        new["status"]["lastPhaseTransitionTime"] = meta::time(ctx.now).into();
    }
}

#[cfg(test)]
mod tests;
