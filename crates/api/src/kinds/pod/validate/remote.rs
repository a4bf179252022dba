//! Volumes that are somewhere else: disks of clouds, file systems on the network. Pods name them, and PersistentVolumes, which
//! have to tell more of Secrets. Paths and words are upstream's. Main type: [`Check`].

use serde_json::Value;

use super::{
    super::super::read::{entries, items, text},
    volume::required,
    words::{self, within},
};
use crate::field::{Errors, Path};

mod iscsi;

pub(super) use iscsi::of_pod as iscsi;
pub(in crate::kinds) use iscsi::{of_volume as iscsi_volume, portal_too_long};

/// Checks a source that lies at the path.
pub(in crate::kinds) type Check = fn(&Value, &Path<'_>, &mut Errors);

/// Partitions and logical units, both ends inclusive.
const UNITS: (i64, i64) = (0, 255);

/// Longest name of a CSI driver.
const DRIVER_MAX: usize = 63;

/// Longest tenant of Quobyte.
const TENANT_MAX: usize = 64;

fn number(source: &Value, field: &str) -> i64 {
    source.get(field).and_then(Value::as_i64).unwrap_or_default()
}

/// A disk of a cloud, by the field of its name.
fn disk(source: &Value, name: &str, path: &Path<'_>, errors: &mut Errors) {
    required(source, &[name], path, errors);
    let partition = number(source, "partition");
    if !(UNITS.0..=UNITS.1).contains(&partition) {
        errors.invalid(&path.child("partition"), partition, "must be between 1 and 255, inclusive");
    }
}

/// `gcePersistentDisk`.
pub(in crate::kinds) fn gce(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    disk(source, "pdName", path, errors);
}

/// `awsElasticBlockStore`.
pub(in crate::kinds) fn aws(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    disk(source, "volumeID", path, errors);
}

/// These fields of a reference to a Secret, if there is one.
fn secret(source: &Value, fields: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if let Some(secret) = source.get("secretRef").filter(|secret| secret.is_object()) {
        required(secret, fields, &path.child("secretRef"), errors);
    }
}

/// `fc`.
pub(in crate::kinds) fn fibre(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (targets, ids) = (items(source, "/targetWWNs"), items(source, "/wwids"));
    let at = path.child("targetWWNs");
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => errors.required(&at, "must specify either targetWWNs or wwids, but not both"),
        (false, false) => {
            errors.invalid(&at, targets.to_vec(), "targetWWNs and wwids can not be specified simultaneously");
        }
        _ => {}
    }
    match source.get("lun").and_then(Value::as_i64) {
        _ if targets.is_empty() => {}
        None => errors.required(&path.child("lun"), "lun is required if targetWWNs is specified"),
        Some(unit) => within(unit, UNITS, &path.child("lun"), errors),
    }
}

/// `quobyte`.
pub(in crate::kinds) fn quobyte(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let (registry, at) = (text(source, "/registry"), path.child("registry"));
    if registry.is_empty() {
        errors.required(&at, PAIRS);
    } else if text(source, "/tenant").len() > TENANT_MAX {
        errors.required(&path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        let pairs = registry.split(',').filter(|pair| !is_host_and_port(pair));
        pairs.for_each(|_| errors.invalid(&at, registry, PAIRS));
    }
    required(source, &["volume"], path, errors);
}

fn is_host_and_port(pair: &str) -> bool {
    let Some((host, _)) = pair.rsplit_once(':') else { return false };
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|inner| !inner.contains(['[', ']'])),
        None => !host.contains([':', '[', ']']),
    }
}

/// `glusterfs` of a pod.
pub(super) fn gluster(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["endpoints", "path"], path, errors);
}

/// `glusterfs` of a PersistentVolume.
pub(in crate::kinds) fn gluster_volume(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    gluster(source, path, errors);
    let at = path.child("endpointsNamespace");
    match source.get("endpointsNamespace").and_then(Value::as_str) {
        None => {}
        Some("") => errors.invalid(&at, "", "if the endpointnamespace is set, it must be a valid namespace name"),
        Some(name) => words::label(name, &at, errors),
    }
}

/// `flocker`.
pub(in crate::kinds) fn flocker(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let name = text(source, "/datasetName");
    match (name.is_empty(), text(source, "/datasetUUID").is_empty()) {
        (true, true) => errors.required(path, "one of datasetName and datasetUUID is required"),
        (false, false) => {
            errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
        }
        _ => {}
    }
    if name.contains('/') {
        errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

/// `rbd`.
pub(in crate::kinds) fn rbd(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["monitors", "image"], path, errors);
}

/// `cephfs`.
pub(in crate::kinds) fn ceph(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["monitors"], path, errors);
}

/// `cinder` of a pod.
pub(super) fn cinder(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["volumeID"], path, errors);
    secret(source, &["name"], path, errors);
}

/// `cinder` of a PersistentVolume.
pub(in crate::kinds) fn cinder_volume(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["volumeID"], path, errors);
    secret(source, &["name", "namespace"], path, errors);
}

/// `flexVolume`.
pub(in crate::kinds) fn flex(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["driver"], path, errors);
    let options = path.child("options");
    for (key, _) in entries(source, "/options") {
        let domain = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.invalid(&options.key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

/// `azureFile` of a pod.
pub(super) fn azure_file(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["secretName", "shareName"], path, errors);
}

/// `azureFile` of a PersistentVolume.
pub(in crate::kinds) fn azure_file_volume(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    azure_file(source, path, errors);
    if source.get("secretNamespace").and_then(Value::as_str) == Some("") {
        errors.required(&path.child("secretNamespace"), "");
    }
}

/// `azureDisk`.
pub(in crate::kinds) fn azure_disk(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    required(source, &["diskName", "diskURI"], path, errors);
    words::optional(source.get("cachingMode"), &["None", "ReadOnly", "ReadWrite"], &path.child("cachingMode"), errors);
    words::optional(source.get("kind"), &["Dedicated", "Managed", "Shared"], &path.child("kind"), errors);
    let (place, at) = (text(source, "/diskURI"), path.child("diskURI"));
    match source.get("kind").and_then(Value::as_str) {
        Some("Managed") if !place.starts_with("/subscriptions/") => errors.not_supported(&at, place, &[MANAGED]),
        Some("Managed") | None => {}
        Some(_) if !place.starts_with("https://") => errors.not_supported(&at, place, &[BLOB]),
        Some(_) => {}
    }
}

/// `vsphereVolume`.
pub(in crate::kinds) fn vsphere(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["volumePath"], path, errors);
}

/// `photonPersistentDisk`.
pub(in crate::kinds) fn photon(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["pdID"], path, errors);
}

/// `portworxVolume`.
pub(in crate::kinds) fn portworx(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["volumeID"], path, errors);
}

/// `scaleIO`.
pub(in crate::kinds) fn scale_io(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["gateway", "system", "volumeName"], path, errors);
}

/// `storageos` of a pod.
pub(super) fn storage_os(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    storage_os_names(source, path, errors);
    secret(source, &["name"], path, errors);
}

/// `storageos` of a PersistentVolume.
pub(in crate::kinds) fn storage_os_volume(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    storage_os_names(source, path, errors);
    secret(source, &["name", "namespace"], path, errors);
}

fn storage_os_names(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["volumeName"], path, errors);
    for field in ["volumeName", "volumeNamespace"] {
        let name = source.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
        name.into_iter().for_each(|name| words::label(name, &path.child(field), errors));
    }
}

/// `csi` of a pod.
pub(super) fn csi(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    driver(text(source, "/driver"), &path.child("driver"), errors);
    if let Some(secret) = source.get("nodePublishSecretRef").filter(|secret| secret.is_object()) {
        match text(secret, "/name") {
            "" => errors.required(&path.child("nodePublishSecretRef").child("name"), ""),
            name => words::subdomain(name, &path.child("name"), errors),
        }
    }
}

/// `csi` of a PersistentVolume.
pub(in crate::kinds) fn csi_volume(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    const SECRETS: &[&str] =
        &["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"];
    driver(text(source, "/driver"), &path.child("driver"), errors);
    required(source, &["volumeHandle"], path, errors);
    for field in SECRETS {
        let Some(secret) = source.get(*field).filter(|secret| secret.is_object()) else { continue };
        let path = path.child(field);
        match text(secret, "/name") {
            "" => errors.required(&path.child("name"), ""),
            name => words::subdomain(name, &path.child("name"), errors),
        }
        match text(secret, "/namespace") {
            "" => errors.required(&path.child("namespace"), ""),
            name => words::label(name, &path.child("namespace"), errors),
        }
    }
}

fn driver(name: &str, path: &Path<'_>, errors: &mut Errors) {
    words::present(name, path, errors);
    if name.len() > DRIVER_MAX {
        errors.too_long(path, DRIVER_MAX);
    }
    words::all(crate::names::dns1123_subdomain(&name.to_lowercase()), name, path, errors);
}
