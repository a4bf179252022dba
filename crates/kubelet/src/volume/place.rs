//! Where a volume is on the host: the pod's own folder, a path of the node, or what a claim is bound to. Main function:
//! [`place`]. Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/>.
//!
//! Leaves out: volumes that are mounted from elsewhere (NFS, iSCSI, drivers of CSI) and those of the mode `Block`.

use std::path::{Path, PathBuf};

use api::{
    gotext::quote,
    kinds::{
        persistent_volume_claim::BIND_COMPLETED,
        read::{is_true, text},
        storage_class::LOCAL,
    },
    meta,
};
use serde_json::Value;

use super::{Source, VolumeError, content::found, plan::check};
use crate::{
    env::Sources,
    model::{HostPath, Volume},
};

/// No driver for it here.
pub(super) const NO_DRIVER: &str = "no volume plugin matched: this node has no driver for this kind of volume";

/// See the file's head.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    /// Where.
    pub(super) path: PathBuf,
    /// What is there, where the pod's own spec does not say.
    pub(super) source: Option<Source>,
    /// No container may write to it.
    pub(super) read_only: bool,
}

/// Where a volume of a pod is.
pub(super) fn place(sources: &Sources<'_>, wanted: &Volume) -> Result<Place, VolumeError> {
    let pod = sources.pod;
    let Some((claim, ephemeral)) = wanted.claim(&pod.metadata.name) else { return Ok(own(sources, wanted)) };
    let read_only = wanted.persistent_volume_claim.as_ref().is_some_and(|one| one.read_only);
    let object = found(sources.references.claim(&claim), "persistentvolumeclaim", &claim, false)?;
    let key = format!("{}/{claim}", pod.metadata.namespace);
    let failed = |why: &str| VolumeError::Failed(format!("error processing PVC {key}: {why}"));
    let object = object.ok_or_else(|| failed("not found"))?;
    let owned = || meta::controller_of(object).is_some_and(|owner| text(owner, "/uid") == pod.metadata.uid);
    if ephemeral && !owned() {
        let (pod, namespace) = (&pod.metadata.name, &pod.metadata.namespace);
        return Err(failed(&format!("PVC {key} was not created for pod {namespace}/{pod} (pod is not owner)")));
    }
    let name = text(object, "/spec/volumeName");
    if name.is_empty() || meta::annotation(object, BIND_COMPLETED).is_none() {
        return Err(failed("PVC is not bound"));
    }
    let volume = found(sources.references.volume(name), "persistentvolume", name, false)?;
    let volume = volume.ok_or_else(|| failed("its volume is not there"))?;
    if text(volume, "/spec/claimRef/uid") != meta::uid(object) {
        return Err(failed(&format!("PV {name} is bound to another claim")));
    }
    let place = bound(sources, volume)?;
    Ok(Place { read_only: read_only || place.read_only, ..place })
}

fn own(sources: &Sources<'_>, wanted: &Volume) -> Place {
    let own = || sources.node.pods_dir.join(&sources.pod.metadata.uid).join("volumes").join(&wanted.name);
    let writable = wanted.empty_dir.is_some() || wanted.host_path.is_some();
    let path = wanted.host_path.as_ref().map_or_else(own, |host| PathBuf::from(&host.path));
    // Content volumes are read-only to containers: the next refresh would undo their writes.
    Place { path, source: None, read_only: !writable }
}

/// Where a PersistentVolume is.
fn bound(sources: &Sources<'_>, volume: &Value) -> Result<Place, VolumeError> {
    if text(volume, "/spec/volumeMode") == "Block" {
        return Err(VolumeError::Failed(format!(
            "volume {} has volumeMode Block: this node mounts file systems only",
            quote(meta::name(volume))
        )));
    }
    let root_only = sources.pod.spec.security_context.fs_group_change_policy.as_deref() == Some("OnRootMismatch");
    let kept = |make| Some(Source::Kept { make, root_only });
    let at = |path: &str, source| Place { path: path.into(), source, read_only: false };
    if let Some(host) = volume.pointer("/spec/hostPath").filter(|one| one.is_object()) {
        let host = HostPath { path: text(host, "/path").to_owned(), kind: text(host, "/type").to_owned() };
        return Ok(at(&host.path, Some(Source::Host { check: check(&host.kind) })));
    }
    if let Some(path) = volume.pointer("/spec/local/path").and_then(Value::as_str) {
        return Ok(at(path, kept(false)));
    }
    let handle = text(volume, "/spec/csi/volumeHandle");
    if text(volume, "/spec/csi/driver") != LOCAL || !is_plain(handle) {
        return Err(VolumeError::Failed(NO_DRIVER.to_owned()));
    }
    let read_only = is_true(volume, "/spec/csi/readOnly");
    Ok(Place { path: sources.node.volumes_dir.join(handle), source: kept(true), read_only })
}

/// Whether a handle is the name of one folder, none that could be hidden or lead elsewhere.
#[must_use]
pub fn is_plain(handle: &str) -> bool {
    !handle.is_empty()
        && !handle.starts_with('.')
        && Path::new(handle).file_name().is_some_and(|name| name.to_str() == Some(handle))
}
