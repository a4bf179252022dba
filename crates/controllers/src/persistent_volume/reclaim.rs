//! What becomes of a volume that is released. Main function: [`reclaim`].
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming>.
//!
//! Ours with policy Delete begin to be deleted, which their finalizer outlasts until the node that has the data has removed
//! it. A node that is no member any more took the data with it.

use api::{
    kinds::{
        persistent_volume::{PERSISTENT_VOLUME, PROVISIONED_BY, REMOVE_DATA},
        read::{items, text},
        storage_class::LOCAL,
    },
    meta,
};
use serde_json::Value;

use super::{bind, local, warning};
use crate::{Action, Only, Target, View};

/// Whether it is one of ours.
pub(super) fn is_ours(volume: &Value) -> bool {
    text(volume, "/spec/csi/driver") == LOCAL
}

/// What becomes of a released volume.
pub(super) fn reclaim(view: &dyn View, volume: &Value) -> Vec<Action> {
    if is_ours(volume) && meta::is_being_deleted(volume) {
        return forget(view, volume);
    }
    match text(volume, "/spec/persistentVolumeReclaimPolicy") {
        "Retain" => Vec::new(),
        "Recycle" => failed(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!"),
        "Delete" if is_ours(volume) => forget(view, volume),
        "Delete" => undeletable(volume).map(|why| failed(volume, FAILED, &why)).unwrap_or_default(),
        _ => failed(volume, "VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy"),
    }
}

const FAILED: &str = "VolumeFailedDelete";

/// Why nobody can delete a volume that is not ours; `None` where its provisioner does.
fn undeletable(volume: &Value) -> Option<String> {
    let by = meta::annotation(volume, PROVISIONED_BY).unwrap_or_default();
    if volume.pointer("/spec/csi").is_some() || !by.is_empty() && !by.starts_with("kubernetes.io/") {
        return None;
    }
    let path = text(volume, "/spec/hostPath/path");
    if !path.is_empty() && !path.starts_with("/tmp/") {
        return Some(format!("host_path deleter only supports /tmp/.+ but received provided {path}"));
    }
    let name = meta::name(volume);
    Some(format!("error getting deleter volume plugin for volume \"{name}\": no deletable volume plugin matched"))
}

/// The way of one of ours: its deletion begins, its data goes where it is to, its finalizer is taken off.
pub(super) fn forget(view: &dyn View, volume: &Value) -> Vec<Action> {
    let is_held = meta::finalizers(volume).any(|one| one == REMOVE_DATA);
    let is_kept = text(volume, "/spec/persistentVolumeReclaimPolicy") != "Delete";
    match (meta::is_being_deleted(volume), is_held) {
        (true, false) => Vec::new(),
        (true, true) if is_kept => let_go(volume).into_iter().collect(),
        (true, true) => let_go(volume).map(|then| removed(view, volume, then)).unwrap_or_default(),
        (false, true) => vec![delete(volume)],
        (false, false) => removed(view, volume, delete(volume)),
    }
}

/// The data's removal and what comes after it. That it failed before is told first.
fn removed(view: &dyn View, volume: &Value, then: Action) -> Vec<Action> {
    let told = view.failure().map(|why| failed(volume, FAILED, why)).filter(|told| !told.is_empty());
    if let Some(told) = told {
        return told;
    }
    let Some(node) = local::node_of(volume) else {
        return failed(volume, FAILED, "nodeAffinity does not name a node by kubernetes.io/hostname");
    };
    let handle = text(volume, "/spec/csi/volumeHandle").to_owned();
    vec![Action::RemoveData { node: node.to_owned(), handle }.then(then)]
}

fn delete(volume: &Value) -> Action {
    let (target, only) = (Target::of(&PERSISTENT_VOLUME, volume), Only::unchanged(volume));
    Action::Delete { target, only, propagation: None }
}

/// Takes the finalizer off.
fn let_go(volume: &Value) -> Option<Action> {
    let mut new = volume.clone();
    let others = items(volume, "/metadata/finalizers").iter().filter(|one| **one != REMOVE_DATA);
    let others: Vec<Value> = others.cloned().collect();
    meta::set(&mut new, "finalizers", (!others.is_empty()).then(|| others.into()));
    bind::changed(&PERSISTENT_VOLUME, volume, new)
}

/// A volume that is in nobody's hands, and why; told once.
fn failed(volume: &Value, reason: &'static str, why: &str) -> Vec<Action> {
    let update = bind::volume_phase(volume, "Failed", why);
    update.map(|update| update.then(warning(volume, reason, why))).into_iter().collect()
}
