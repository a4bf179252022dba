//! What a PersistentVolume may be, and what of it may change. Main functions: [`whole`], [`update`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/>; paths and words are upstream's.

use serde_json::{Value, json};

use super::{
    super::{
        pod::{
            update::difference,
            validate::{
                remote::{self, Check},
                scheduling::node_selector,
                volume,
            },
            warnings::RENAMED,
        },
        read::{entries, items, text},
    },
    modes,
    warnings::MOUNT_OPTIONS,
};
use crate::{
    field::{Errors, Path},
    meta,
    quantity::Quantity,
};

const SPEC: Path<'static> = Path::new("spec");

/// Sources in the order they are looked at, and what messages call them.
pub(super) const SOURCES: &[(&str, &str, Check)] = &[
    ("hostPath", "hostPath", volume::host_path),
    // Upstream tells of this one's fields as if it had a shorter name.
    ("gcePersistentDisk", "persistentDisk", remote::gce),
    ("awsElasticBlockStore", "awsElasticBlockStore", remote::aws),
    ("glusterfs", "glusterfs", remote::gluster_volume),
    ("flocker", "flocker", remote::flocker),
    ("nfs", "nfs", volume::nfs),
    ("rbd", "rbd", remote::rbd),
    ("quobyte", "quobyte", remote::quobyte),
    ("cephfs", "cephfs", remote::ceph),
    ("iscsi", "iscsi", remote::iscsi_volume),
    ("cinder", "cinder", remote::cinder_volume),
    ("fc", "fc", remote::fibre),
    ("flexVolume", "flexVolume", remote::flex),
    ("azureFile", "azureFile", remote::azure_file_volume),
    ("vsphereVolume", "vsphereVolume", remote::vsphere),
    ("photonPersistentDisk", "photonPersistentDisk", remote::photon),
    ("portworxVolume", "portworxVolume", remote::portworx),
    ("azureDisk", "azureDisk", remote::azure_disk),
    ("scaleIO", "scaleIO", remote::scale_io),
    ("local", "local", volume::local),
    ("storageos", "storageos", remote::storage_os_volume),
    ("csi", "csi", remote::csi_volume),
];

const POLICIES: &[&str] = &["Delete", "Recycle", "Retain"];

/// Checks a volume by itself.
pub(super) fn whole(object: &Value, errors: &mut Errors) {
    let empty = json!({});
    let spec = object.get("spec").unwrap_or(&empty);
    if items(spec, "/accessModes").is_empty() {
        errors.required(&SPEC.child("accessModes"), "");
    }
    modes::check(spec, &SPEC, errors);
    capacity(spec, errors);
    let policy = text(spec, "/persistentVolumeReclaimPolicy");
    let at = SPEC.child("persistentVolumeReclaimPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        errors.not_supported(&at, policy, POLICIES);
    }
    affinity(spec, errors);
    source(spec, meta::name(object), errors);
    if policy == "Recycle" && is_root(text(spec, "/hostPath/path")) {
        errors.forbidden(&at, "may not be 'recycle' for a hostPath mount of '/'");
    }
    modes::check_class(spec, "storageClassName", &SPEC, errors);
    modes::check_volume_mode(spec, &SPEC, errors);
    attributes(spec, errors);
    options(object, spec, errors);
}

/// Options of a mount in an annotation are for the sources that had them before there was a field.
fn options(object: &Value, spec: &Value, errors: &mut Errors) {
    const NEVER: &[&str] =
        &["hostPath", "flocker", "fc", "flexVolume", "portworxVolume", "scaleIO", "local", "storageos", "csi"];
    let known = SOURCES.iter().any(|(field, ..)| !NEVER.contains(field) && given(spec, field).is_some());
    if !known && meta::annotation(object, MOUNT_OPTIONS).is_some() {
        let metadata = Path::new("metadata");
        let path = metadata.child("annotations");
        errors.forbidden(&path.child(MOUNT_OPTIONS), "may not specify mount options for this volume type");
    }
}

fn capacity(spec: &Value, errors: &mut Errors) {
    let path = SPEC.child("capacity");
    let count = entries(spec, "/capacity").count();
    if count == 0 {
        errors.required(&path, "");
    }
    if count != 1 || spec.pointer("/capacity/storage").is_none() {
        errors.not_supported(&path, spec.get("capacity").cloned().unwrap_or_default(), &["storage"]);
    }
    for (name, amount) in entries(spec, "/capacity") {
        positive(amount, &path.key(name), errors);
    }
}

/// An amount of something that there has to be some of.
fn positive(amount: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Ok(amount) = Quantity::from_json(amount) else { return };
    if amount.value() < 0 {
        errors.invalid(path, amount.value(), "must be a valid resource quantity");
    }
    if amount.nanos() <= 0 {
        errors.invalid(path, amount.to_string(), "must be greater than zero");
    }
}

fn affinity(spec: &Value, errors: &mut Errors) {
    let Some(affinity) = given(spec, "nodeAffinity") else { return };
    let path = SPEC.child("nodeAffinity");
    let path = path.child("required");
    match given(affinity, "required") {
        Some(required) => node_selector(required, &path, errors),
        None => errors.required(&path, "must specify required node constraints"),
    }
}

fn given<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| value.is_object())
}

/// One source, and what it asks of the rest.
fn source(spec: &Value, name: &str, errors: &mut Errors) {
    let mut sources =
        SOURCES.iter().filter_map(|(field, told, check)| Some((*field, *told, check, given(spec, field)?)));
    match sources.next() {
        Some((_, told, check, source)) => check(source, &SPEC.child(told), errors),
        None => errors.required(&SPEC, "must specify a volume type"),
    }
    for (field, ..) in sources {
        let told = if field == "cephfs" { "cephFS" } else { field };
        errors.forbidden(&SPEC.child(told), "may not specify more than 1 volume type");
    }
    let long = given(spec, "iscsi").and_then(|source| Some((source, remote::portal_too_long(source, name)?)));
    if let Some((source, why)) = long {
        errors.invalid(&SPEC.child("iscsi").child("targetportal"), text(source, "/targetPortal"), why);
    }
    if given(spec, "local").is_some() && given(spec, "nodeAffinity").is_none() {
        errors.required(&SPEC.child("nodeAffinity"), "Local volume requires node affinity");
    }
}

/// Whether a path is `/`, however it is written.
fn is_root(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|step| ["", "."].contains(&step))
}

fn attributes(spec: &Value, errors: &mut Errors) {
    let Some(name) = spec.get("volumeAttributesClassName").and_then(Value::as_str) else { return };
    if name.is_empty() {
        errors.required(&SPEC.child("volumeAttributesClassName"), "an empty string is disallowed");
    }
    modes::check_class(spec, "volumeAttributesClassName", &SPEC, errors);
    if given(spec, "csi").is_none() {
        errors.required(&SPEC.child("csi"), "has to be specified when using volumeAttributesClassName");
    }
}

/// `(new, old)`: what a volume is stays, and where it can be used.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    let (before, after) = (sources(old), sources(new));
    let mut fixed = after;
    if before.pointer("/csi").is_some() && before.pointer("/csi/controllerExpandSecretRef").is_none() {
        // It may be told later how to make it larger.
        fixed.get_mut("csi").and_then(Value::as_object_mut).map(|csi| csi.remove("controllerExpandSecretRef"));
    }
    if fixed != before {
        let told = difference(&before, &fixed);
        let why = format!("spec.persistentvolumesource is immutable after creation\n{told}");
        errors.forbidden(&SPEC.child("persistentvolumesource"), why);
    }
    let mode = |object: &Value| object.pointer("/spec/volumeMode").cloned().unwrap_or_default();
    if mode(new) != mode(old) {
        errors.invalid(&Path::new("volumeMode"), mode(new), "field is immutable");
    }
    affinity_stays(new, old, errors);
    let class = |object: &Value| object.pointer("/spec/volumeAttributesClassName").is_some_and(Value::is_string);
    if class(old) && !class(new) {
        let why = "update from non-nil value to nil is forbidden";
        errors.forbidden(&SPEC.child("volumeAttributesClassName"), why);
    }
}

/// The sources of a volume, and nothing else.
fn sources(object: &Value) -> Value {
    let spec = object.get("spec");
    let all = SOURCES.iter().filter_map(|(field, ..)| Some(((*field).to_owned(), given(spec?, field)?.clone())));
    Value::Object(all.collect())
}

/// Where it can be used stays once it is said, but for labels that got other names.
fn affinity_stays(new: &Value, old: &Value, errors: &mut Errors) {
    let affinity = |object: &Value| object.pointer("/spec/nodeAffinity").cloned().unwrap_or_default();
    let (mut before, after) = (affinity(old), affinity(new));
    if before.is_null() {
        return;
    }
    rename(&mut before, &after);
    if before != after {
        let why = "field is immutable, except for updating from beta label to GA";
        errors.invalid(&Path::new("nodeAffinity"), after, why);
    }
}

/// Gives old requirements the newer names of their labels, where the new ones have these.
fn rename(old: &mut Value, new: &Value) {
    let terms = old.pointer_mut("/required/nodeSelectorTerms").and_then(Value::as_array_mut);
    for (term, now) in terms.into_iter().flatten().zip(items(new, "/required/nodeSelectorTerms")) {
        let expressions = term.get_mut("matchExpressions").and_then(Value::as_array_mut);
        for (one, now) in expressions.into_iter().flatten().zip(items(now, "/matchExpressions")) {
            let is_renamed = |(was, _, is): &&(&str, &str, &str)| text(one, "/key") == *was && text(now, "/key") == *is;
            if let Some((_, _, is)) = RENAMED.iter().find(is_renamed) {
                one["key"] = (*is).into();
            }
        }
    }
}
