//! Volumes of a pod. Main type: [`Volume`]. Kinds that need a driver are read as none.

use api::kinds::pod::ephemeral_claim;
use serde::Deserialize;
use serde_json::Value;

use super::{FieldRef, ResourceFieldRef};

/// A volume; one source at most is set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// Name.
    pub name: String,
    /// Empty at first.
    pub empty_dir: Option<EmptyDir>,
    /// A path of the node.
    pub host_path: Option<HostPath>,
    /// Keys of a ConfigMap.
    pub config_map: Option<ConfigMapSource>,
    /// Keys of a Secret.
    pub secret: Option<SecretSource>,
    /// Facts about the pod.
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<DownwardSource>,
    /// Several of those together.
    pub projected: Option<Projected>,
    /// What a claim is bound to.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// The same, of a claim that is made for the pod and goes with it.
    pub ephemeral: Option<Value>,
}

impl Volume {
    /// The claim that it is of in a pod of this name, and whether that one is made for the pod.
    #[must_use]
    pub fn claim(&self, pod: &str) -> Option<(String, bool)> {
        let made = || self.ephemeral.as_ref().map(|_| (ephemeral_claim(pod, &self.name), true));
        self.persistent_volume_claim.as_ref().map(|one| (one.claim_name.clone(), false)).or_else(made)
    }
}

/// `persistentVolumeClaim`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSource {
    /// The claim, in the pod's namespace.
    pub claim_name: String,
    /// No container may write to it.
    pub read_only: bool,
}

/// `emptyDir`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EmptyDir {
    /// `Memory` or empty.
    pub medium: String,
    /// Bytes, as stored.
    pub size_limit: Option<Value>,
}

/// `hostPath`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostPath {
    /// Absolute.
    pub path: String,
    /// As `DirectoryOrCreate`; empty is no check.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A key as a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeyToPath {
    /// The key.
    pub key: String,
    /// The file, relative.
    pub path: String,
    /// Its mode.
    pub mode: Option<u32>,
}

/// `configMap`; also a projection of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// Its name.
    pub name: String,
    /// Which keys; all if empty.
    pub items: Vec<KeyToPath>,
    /// Mode of files without one.
    pub default_mode: Option<u32>,
    /// It may be absent.
    pub optional: bool,
}

/// `secret`; also a projection of one, which says `name`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretSource {
    /// Its name.
    #[serde(alias = "name")]
    pub secret_name: String,
    /// Which keys; all if empty.
    pub items: Vec<KeyToPath>,
    /// Mode of files without one.
    pub default_mode: Option<u32>,
    /// It may be absent.
    pub optional: bool,
}

/// `downwardAPI`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DownwardSource {
    /// Files.
    pub items: Vec<DownwardItem>,
    /// Mode of files without one.
    pub default_mode: Option<u32>,
}

/// A fact as a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DownwardItem {
    /// The file, relative.
    pub path: String,
    /// A field of the pod.
    pub field_ref: Option<FieldRef>,
    /// A resource of a container.
    pub resource_field_ref: Option<ResourceFieldRef>,
    /// Its mode.
    pub mode: Option<u32>,
}

/// `projected`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Projected {
    /// Parts; a later one wins a path.
    pub sources: Vec<Projection>,
    /// Mode of files without one.
    pub default_mode: Option<u32>,
}

/// A part of `projected`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Projection {
    /// Keys of a ConfigMap.
    pub config_map: Option<ConfigMapSource>,
    /// Keys of a Secret.
    pub secret: Option<SecretSource>,
    /// Facts about the pod.
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<DownwardSource>,
    /// A token of the pod's service account.
    pub service_account_token: Option<TokenSource>,
}

/// `serviceAccountToken`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TokenSource {
    /// For whom; the API server's own if empty.
    pub audience: String,
    /// Seconds it is valid; 3,600 if unset.
    pub expiration_seconds: Option<i64>,
    /// The file, relative.
    pub path: String,
}
