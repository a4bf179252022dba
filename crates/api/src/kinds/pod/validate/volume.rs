//! Volumes of a pod and where their content comes from. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/>.
//! Those that are somewhere else are in `remote`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::super::{
        persistent_volume_claim,
        pod::ephemeral_claim,
        read::{items, text},
    },
    env::{FILE_FIELDS, field_ref, resource_ref},
    remote::{self, Check},
    words::{self, descending, label, mode, no_backsteps, present, unreserved},
};
use crate::{
    field::{Errors, Path},
    meta,
    quantity::Quantity,
};

/// Sources in the order they are looked at.
const SOURCES: &[(&str, Check)] = &[
    ("emptyDir", empty_dir),
    ("hostPath", host_path),
    ("gitRepo", git_repo),
    ("gcePersistentDisk", remote::gce),
    ("awsElasticBlockStore", remote::aws),
    ("secret", |source, path, errors| keyed(source, "secretName", path, errors)),
    ("nfs", nfs),
    ("iscsi", remote::iscsi),
    ("glusterfs", remote::gluster),
    ("flocker", remote::flocker),
    ("persistentVolumeClaim", |source, path, errors| required(source, &["claimName"], path, errors)),
    ("rbd", remote::rbd),
    ("cinder", remote::cinder),
    ("cephfs", remote::ceph),
    ("quobyte", remote::quobyte),
    ("downwardAPI", downward),
    ("fc", remote::fibre),
    ("flexVolume", remote::flex),
    ("configMap", |source, path, errors| keyed(source, "name", path, errors)),
    ("azureFile", remote::azure_file),
    ("vsphereVolume", remote::vsphere),
    ("photonPersistentDisk", remote::photon),
    ("portworxVolume", remote::portworx),
    ("azureDisk", remote::azure_disk),
    ("storageos", remote::storage_os),
    ("projected", projected),
    ("scaleIO", remote::scale_io),
    ("csi", remote::csi),
    ("ephemeral", ephemeral),
    ("image", image),
];

const HOST_PATHS: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Shortest life of a projected token.
const TOKEN_SECONDS_MIN: i64 = 10 * 60;

/// Longest life of a projected token.
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

/// Checks all volumes; returns the sound ones, which alone may be mounted.
pub(super) fn all<'a>(spec: &'a Value, pod: Option<&'a Value>, path: &Path<'_>, errors: &mut Errors) -> Vec<&'a Value> {
    let (mut sound, volumes): (Vec<&Value>, _) = (Vec::new(), items(spec, "/volumes"));
    for (index, volume) in volumes.iter().enumerate() {
        let (path, before, name) = (path.index(index), errors.0.len(), text(volume, "/name"));
        source(volume, pod, &path, errors);
        match name {
            "" => errors.required(&path.child("name"), ""),
            name => label(name, &path.child("name"), errors),
        }
        if sound.iter().any(|other| text(other, "/name") == name) {
            errors.duplicate(&path.child("name"), name);
        }
        if errors.0.len() == before {
            sound.push(volume);
        }
        claims_of_others(volume, volumes, pod, &path, errors);
    }
    sound
}

/// A claim that is made for a volume of this pod is not for another one to use.
fn claims_of_others(volume: &Value, all: &[Value], pod: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    let (Some(pod), claim) = (pod.map(meta::name), text(volume, "/persistentVolumeClaim/claimName")) else { return };
    let made = |other: &Value| other.get("ephemeral").is_some() && ephemeral_claim(pod, text(other, "/name")) == claim;
    if !pod.is_empty() && all.iter().any(made) {
        let why = "must not reference a PVC that gets created for an ephemeral volume";
        errors.invalid(&path.child("persistentVolumeClaim").child("claimName"), claim, why);
    }
}

fn source(volume: &Value, pod: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    let mut given = SOURCES.iter().filter_map(|(name, check)| Some((*name, check, volume.get(*name)?)));
    match given.next() {
        Some((name, check, source)) => check(source, &path.child(name), errors),
        None => errors.required(path, "must specify a volume type"),
    }
    given.for_each(|(name, ..)| errors.forbidden(&path.child(name), "may not specify more than 1 volume type"));
    let (pod, name) = (pod.map_or("", meta::name), text(volume, "/name"));
    if let Some(why) = volume.get("iscsi").and_then(|source| remote::portal_too_long(source, name)) {
        errors.invalid(&path.child("name"), name, why);
    }
    if volume.get("ephemeral").is_some() && !pod.is_empty() && !name.is_empty() {
        let claim = ephemeral_claim(pod, name);
        for message in crate::names::dns1123_subdomain(&claim) {
            errors.invalid(&path.child("name"), name, format!("PVC name {claim:?}: {message}"));
        }
    }
}

/// These fields have something in them.
pub(in crate::kinds) fn required(source: &Value, fields: &[&str], path: &Path<'_>, errors: &mut Errors) {
    let empty = |field: &&&str| match source.get(**field) {
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        other => other.is_none(),
    };
    fields.iter().filter(empty).for_each(|field| errors.required(&path.child(field), ""));
}

fn empty_dir(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let limit = source.get("sizeLimit").and_then(|limit| Quantity::from_json(limit).ok());
    if limit.is_some_and(|limit| limit.nanos() < 0) {
        errors.forbidden(&path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
    }
}

pub(in crate::kinds) fn host_path(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let place = text(source, "/path");
    if place.is_empty() {
        return errors.required(&path.child("path"), "");
    }
    no_backsteps(place, &path.child("path"), errors);
    words::optional(source.get("type"), HOST_PATHS, &path.child("type"), errors);
}

/// `local`, which only PersistentVolumes have.
pub(in crate::kinds) fn local(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    match text(source, "/path") {
        "" => errors.required(&path.child("path"), ""),
        place => no_backsteps(place, &path.child("path"), errors),
    }
}

fn git_repo(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["repository"], path, errors);
    descending(text(source, "/directory"), &path.child("directory"), errors);
}

pub(in crate::kinds) fn nfs(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["server", "path"], path, errors);
    let place = text(source, "/path");
    if !place.starts_with('/') {
        errors.invalid(&path.child("path"), place, "must be an absolute path");
    }
}

/// A Secret or ConfigMap as files.
fn keyed(source: &Value, name: &str, path: &Path<'_>, errors: &mut Errors) {
    required(source, &[name], path, errors);
    mode(source.get("defaultMode"), &path.child("defaultMode"), errors);
    let list = path.child("items");
    items(source, "/items").iter().enumerate().for_each(|(index, one)| key_to_path(one, &list.index(index), errors));
}

fn key_to_path(item: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(item, &["key", "path"], path, errors);
    unreserved(text(item, "/path"), &path.child("path"), errors);
    mode(item.get("mode"), &path.child("mode"), errors);
}

fn downward(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    mode(source.get("defaultMode"), &path.child("defaultMode"), errors);
    // Upstream leaves the list and its index out of the paths.
    items(source, "/items").iter().for_each(|file| downward_file(file, path, errors));
}

fn downward_file(file: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(file, &["path"], path, errors);
    unreserved(text(file, "/path"), &path.child("path"), errors);
    match (file.get("fieldRef"), file.get("resourceFieldRef")) {
        (Some(field), other) => {
            field_ref(field, FILE_FIELDS, &path.child("fieldRef"), errors);
            if other.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, "resource", why);
            }
        }
        (None, Some(resource)) => resource_ref(resource, true, &path.child("resourceFieldRef"), errors),
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file.get("mode"), &path.child("mode"), errors);
}

/// Sources of a projected volume.
const PROJECTIONS: &[&str] =
    &["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];

fn projected(volume: &Value, path: &Path<'_>, errors: &mut Errors) {
    mode(volume.get("defaultMode"), &path.child("defaultMode"), errors);
    let (list, mut taken) = (path.child("sources"), BTreeSet::new());
    for (index, source) in items(volume, "/sources").iter().enumerate() {
        let own = list.index(index);
        for kind in ["secret", "configMap"] {
            if let Some(found) = source.get(kind) {
                let place = own.child(kind);
                required(found, &["name"], &place, errors);
                let list = place.child("items");
                for (index, item) in items(found, "/items").iter().enumerate() {
                    key_to_path(item, &list.index(index), errors);
                    unique(text(item, "/path"), text(found, "/name"), &mut taken, path, errors);
                }
            }
        }
        if let Some(found) = source.get("downwardAPI") {
            for file in items(found, "/items") {
                downward_file(file, &own.child("downwardAPI"), errors);
                unique(text(file, "/path"), text(file, "/path"), &mut taken, path, errors);
            }
        }
        if let Some(token) = source.get("serviceAccountToken") {
            // Upstream tells of this path as if it were the volume's.
            service_account_token(token, &own.child("serviceAccountToken"), &path.child("path"), errors);
        }
        if let Some(bundle) = source.get("clusterTrustBundle") {
            trust_bundle(bundle, &own.child("clusterTrustBundle"), errors);
            unique(text(bundle, "/path"), text(bundle, "/path"), &mut taken, path, errors);
        }
        if PROJECTIONS.iter().filter(|kind| source.get(**kind).is_some()).count() > 1 {
            errors.forbidden(&own, "may not specify more than 1 volume type per source");
        }
    }
}

fn unique<'a>(place: &'a str, told: &str, taken: &mut BTreeSet<&'a str>, path: &Path<'_>, errors: &mut Errors) {
    if !place.is_empty() && !taken.insert(place) {
        errors.invalid(path, told, "conflicting duplicate paths");
    }
}

fn service_account_token(token: &Value, own: &Path<'_>, place: &Path<'_>, errors: &mut Errors) {
    let seconds = token.get("expirationSeconds").and_then(Value::as_i64).unwrap_or_default();
    let path = own.child("expirationSeconds");
    if seconds < TOKEN_SECONDS_MIN {
        errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > TOKEN_SECONDS_MAX {
        errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    match text(token, "/path") {
        "" => errors.required(place, ""),
        file => unreserved(file, place, errors),
    }
}

fn trust_bundle(bundle: &Value, path: &Path<'_>, errors: &mut Errors) {
    match (bundle.get("name").is_some(), bundle.get("signerName").is_some()) {
        (true, true) => {
            errors.invalid(path, bundle.clone(), "only one of name and signerName may be used");
        }
        (false, false) => errors.required(path, "either name or signerName must be specified"),
        _ => {}
    }
    present(text(bundle, "/path"), &path.child("path"), errors);
    unreserved(text(bundle, "/path"), &path.child("path"), errors);
}

fn ephemeral(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("volumeClaimTemplate");
    match source.get("volumeClaimTemplate").filter(|template| template.is_object()) {
        Some(template) => persistent_volume_claim::validate_template(template, &path, errors),
        None => errors.required(&path, ""),
    }
}

fn image(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    required(source, &["reference"], path, errors);
    let policies = &["Always", "IfNotPresent", "Never"];
    words::optional(source.get("pullPolicy"), policies, &path.child("pullPolicy"), errors);
}
