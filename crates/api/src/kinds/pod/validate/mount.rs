//! Where a container sees the pod's volumes. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#volumes-1>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::super::read::{is_true, items, text},
    Scope,
    words::{descending, optional, present},
};
use crate::field::{Errors, Path};

const PROPAGATIONS: &[&str] = &["Bidirectional", "HostToContainer", "None"];

const RECURSIVE: &[&str] = &["Disabled", "Enabled", "IfPossible"];

/// `volumeMounts`.
pub(super) fn mounts(scope: &Scope<'_>, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut places = BTreeSet::new();
    let devices = items(container, "/volumeDevices");
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let (list, path) = (path, path.index(index));
        let (name, place) = (text(mount, "/name"), text(mount, "/mountPath"));
        present(name, &path.child("name"), errors);
        if volume(scope, name).is_none() {
            errors.not_found(&path.child("name"), name);
        }
        present(place, &path.child("mountPath"), errors);
        if !places.insert(place) {
            errors.invalid(&path.child("mountPath"), place, "must be unique");
        }
        if devices.iter().any(|device| text(device, "/name") == name) {
            errors.invalid(&path.child("name"), name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| text(device, "/devicePath") == place) {
            errors.invalid(&path.child("mountPath"), place, "must not already exist as a path in volumeDevices");
        }
        // Upstream leaves the index out of the paths below.
        sub_path(mount, list, &path, errors);
        propagation(mount, container, list, errors);
    }
}

fn volume<'a>(scope: &Scope<'a>, name: &str) -> Option<&'a Value> {
    scope.volumes.iter().find(|volume| text(volume, "/name") == name).copied()
}

fn sub_path(mount: &Value, list: &Path<'_>, path: &Path<'_>, errors: &mut Errors) {
    let (plain, expanded) = (text(mount, "/subPath"), text(mount, "/subPathExpr"));
    if !plain.is_empty() {
        descending(plain, &list.child("subPath"), errors);
    }
    if !expanded.is_empty() {
        if !plain.is_empty() {
            errors.invalid(&path.child("subPathExpr"), expanded, "subPathExpr and subPath are mutually exclusive");
        }
        descending(expanded, &list.child("subPathExpr"), errors);
    }
}

fn propagation(mount: &Value, container: &Value, list: &Path<'_>, errors: &mut Errors) {
    let given = mount.get("mountPropagation").and_then(Value::as_str);
    optional(mount.get("mountPropagation"), PROPAGATIONS, &list.child("mountPropagation"), errors);
    if given == Some("Bidirectional") && !is_true(container, "/securityContext/privileged") {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(&list.child("mountPropagation"), why);
    }
    let path = list.child("recursiveReadOnly");
    optional(mount.get("recursiveReadOnly"), RECURSIVE, &path, errors);
    if matches!(text(mount, "/recursiveReadOnly"), "Enabled" | "IfPossible") {
        if !is_true(mount, "/readOnly") {
            errors.forbidden(&path, "may only be specified when readOnly is true");
        }
        if given.is_some_and(|mode| mode != "None") {
            errors.forbidden(&path, "may only be specified when mountPropagation is None or not specified");
        }
    }
}

/// `volumeDevices`.
pub(super) fn devices(scope: &Scope<'_>, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mounts = items(container, "/volumeMounts");
    let devices = items(container, "/volumeDevices");
    for (index, device) in devices.iter().enumerate() {
        let path = path.index(index);
        let (name, place) = (text(device, "/name"), text(device, "/devicePath"));
        let earlier = |field: &str, value: &str| devices[..index].iter().any(|other| text(other, field) == value);
        present(name, &path.child("name"), errors);
        if !name.is_empty() && earlier("/name", name) {
            errors.invalid(&path.child("name"), name, "must be unique");
        }
        match volume(scope, name) {
            Some(volume) if volume.get("persistentVolumeClaim").or_else(|| volume.get("ephemeral")).is_none() => {
                let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(&path.child("name"), name, why);
            }
            Some(_) => {}
            None => errors.not_found(&path.child("name"), name),
        }
        present(place, &path.child("devicePath"), errors);
        if earlier("/devicePath", place) {
            errors.invalid(&path.child("devicePath"), place, "must be unique");
        }
        if place.split('/').any(|step| step == "..") {
            errors.invalid(&path.child("devicePath"), place, "can not contain backsteps ('..')");
        }
        if mounts.iter().any(|mount| text(mount, "/name") == name) {
            errors.invalid(&path.child("name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| text(mount, "/mountPath") == place) {
            errors.invalid(&path.child("devicePath"), place, "must not already exist as a path in volumeMounts");
        }
    }
}
