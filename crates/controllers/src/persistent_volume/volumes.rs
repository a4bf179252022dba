//! What becomes of a volume: it is free, bound, or released. Spec:
//! <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#phase>.

use api::{
    kinds::{
        persistent_volume::{PROVISIONED_BY, index},
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM,
        read::text,
    },
    meta,
};
use serde_json::Value;

use super::{Run, bind, reclaim, warning};
use crate::Action;

impl Run<'_> {
    /// What becomes of a volume, with its claim as it is.
    pub(super) fn volume(&self, volume: &Value) -> Vec<Action> {
        let uid = text(volume, "/spec/claimRef/uid");
        let Some((namespace, name)) = index::claim(volume).filter(|_| !uid.is_empty()) else {
            return self.free(volume);
        };
        let claim = self.view.get(&PERSISTENT_VOLUME_CLAIM, namespace, name).filter(|claim| meta::uid(claim) == uid);
        let Some(claim) = claim else { return self.released(volume) };
        match text(&claim, "/spec/volumeName") {
            // The claim's own run completes the binding.
            "" => differs(volume, &claim),
            has if has == meta::name(volume) => bind::volume_phase(volume, "Bound", "").into_iter().collect(),
            _ if is_for_one_claim(volume) => self.released(volume),
            _ => bind::freed(volume).into_iter().collect(),
        }
    }

    /// A volume that no claim has, though it may be meant for one.
    fn free(&self, volume: &Value) -> Vec<Action> {
        if meta::is_being_deleted(volume) && reclaim::is_ours(volume) {
            return reclaim::forget(self.view, volume);
        }
        bind::volume_phase(volume, "Available", "").into_iter().collect()
    }

    /// A volume whose claim is gone: first everybody can see so, then it goes as it is to.
    fn released(&self, volume: &Value) -> Vec<Action> {
        match text(volume, "/status/phase") {
            "Released" | "Failed" => reclaim::reclaim(self.view, volume),
            _ => bind::volume_phase(volume, "Released", "").into_iter().collect(),
        }
    }
}

/// Whether a volume was made for its claim and goes with it.
fn is_for_one_claim(volume: &Value) -> bool {
    meta::annotation(volume, PROVISIONED_BY).is_some()
        && text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete"
}

/// News of a volume and a claim that are for each other and cannot be.
fn differs(volume: &Value, claim: &Value) -> Vec<Action> {
    let is_block = |object: &Value| text(object, "/spec/volumeMode") == "Block";
    if is_block(volume) == is_block(claim) {
        return Vec::new();
    }
    let what = |bound: &str, to: &str| format!("Cannot bind {bound} to {to} due to incompatible volumeMode.");
    let (own, its) = (meta::name(volume), meta::name(claim));
    let of_volume = what("PersistentVolume", &format!("requested PersistentVolumeClaim \"{its}\""));
    let of_claim = what(&format!("PersistentVolume \"{own}\""), "requested PersistentVolumeClaim");
    vec![warning(volume, "VolumeMismatch", of_volume), warning(claim, "VolumeMismatch", of_claim)]
}
