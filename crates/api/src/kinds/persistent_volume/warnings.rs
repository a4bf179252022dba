//! What of a new volume is let pass, and does nothing here or anywhere any more. Main function: [`of`]; the words are upstream's.

use serde_json::Value;

use super::{
    super::{
        pod::warnings::RENAMED,
        read::{items, text},
    },
    fit::CLASS_ANNOTATION,
};
use crate::{field::Path, meta};

/// Annotation: how it is to be mounted.
pub(super) const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";

/// Annotations that became fields.
const ANNOTATIONS: &[(&str, &str, &str)] =
    &[(CLASS_ANNOTATION, "v1.8", "storageClassName"), (MOUNT_OPTIONS, "v1.31", "mountOptions")];

/// Sources that nothing mounts any more: the field, what messages call it, since when it was to go, and since when it is gone.
const GONE: &[(&str, &str, &str, &str)] = &[
    ("cephfs", "cephfs", "v1.28", "v1.31"),
    ("photonPersistentDisk", "photonPersistentDisk", "v1.11", "v1.16"),
    ("rbd", "rbd", "v1.28", "v1.31"),
    ("scaleIO", "scaleIO", "v1.16", "v1.22"),
    ("storageos", "storageOS", "v1.22", "v1.25"),
    ("glusterfs", "glusterfs", "v1.25", "v1.26"),
];

/// Warnings of a new volume.
pub(super) fn of(volume: &Value) -> Vec<String> {
    let (mut told, spec) = (annotations(volume, ANNOTATIONS), Path::new("spec"));
    if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Recycle" {
        let path = spec.child("persistentVolumeReclaimPolicy");
        told.push(format!("{path}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."));
    }
    let affinity = spec.child("nodeAffinity");
    let required = affinity.child("required");
    let list = required.child("nodeSelectorTerms");
    for (index, term) in items(volume, "/spec/nodeAffinity/required/nodeSelectorTerms").iter().enumerate() {
        let path = list.index(index);
        let list = path.child("matchExpressions");
        for (index, one) in items(term, "/matchExpressions").iter().enumerate() {
            for (label, since, now) in RENAMED.iter().filter(|(label, ..)| text(one, "/key") == *label) {
                let path = list.index(index);
                told.push(format!("{}: {label} is deprecated since {since}; use {now:?} instead", path.child("key")));
            }
        }
    }
    for (_, name, since, gone) in GONE.iter().filter(|(field, ..)| volume["spec"].get(*field).is_some()) {
        told.push(format!("{}: deprecated in {since}, non-functional in {gone}+", spec.child(name)));
    }
    told
}

/// Warnings of annotations that became fields: annotation, since when, field.
pub(in crate::kinds) fn annotations(object: &Value, all: &[(&str, &str, &str)]) -> Vec<String> {
    let metadata = Path::new("metadata");
    let path = metadata.child("annotations");
    let used = all.iter().filter(|(name, ..)| meta::annotation(object, name).is_some());
    used.map(|(name, since, field)| {
        format!("{}: deprecated since {since}; use {field:?} attribute instead", path.key(name))
    })
    .collect()
}
