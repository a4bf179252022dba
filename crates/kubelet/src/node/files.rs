//! Pods that a file of the node describes, and their mirrors at the API. Main functions: [`static_pod`], [`mirror`].
//! Spec: <https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>.

use std::path::PathBuf;

use api::meta;
use serde_json::Value;

use crate::text::fingerprint;

/// Where a pod is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodSource {
    /// The API server.
    Api,
    /// A file of this node.
    File(PathBuf),
}

/// Annotations of static pods and their mirrors.
const SOURCE: &str = "kubernetes.io/config.source";
const HASH: &str = "kubernetes.io/config.hash";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Why a file describes no pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaticPodError {
    /// It is another kind of object.
    #[error("kind {0:?} in a pod file: only Pods can be run from files")]
    Kind(String),
    /// It has no name.
    #[error("a pod file without metadata.name")]
    Name,
}

/// The pod of a file: named after the node, with a uid that follows from its content.
///
/// # Errors
/// Where it is no pod.
pub fn static_pod(file: &Value, node_name: &str) -> Result<Value, StaticPodError> {
    if meta::kind(file) != "Pod" {
        return Err(StaticPodError::Kind(meta::kind(file).to_owned()));
    }
    if meta::name(file).is_empty() {
        return Err(StaticPodError::Name);
    }
    let mut pod = file.clone();
    let parts = [node_name.as_bytes(), &file.to_string().into_bytes()];
    let hash = format!("{:016x}{:016x}", fingerprint(&parts), fingerprint(&[parts[1], parts[0]]));
    meta::set_name(&mut pod, format!("{}-{node_name}", meta::name(file)));
    if meta::namespace(&pod).is_empty() {
        meta::set_namespace(&mut pod, "default");
    }
    meta::set_uid(&mut pod, hash.clone());
    annotate(&mut pod, &[(HASH, &hash), (SOURCE, "file")]);
    pod["spec"]["nodeName"] = node_name.into();
    Ok(pod)
}

/// The Pod that shows a static pod at the API.
#[must_use]
pub fn mirror(pod: &Value) -> Value {
    let mut mirror = pod.clone();
    let hash = meta::annotation(pod, HASH).unwrap_or_default().to_owned();
    meta::set_uid(&mut mirror, "");
    annotate(&mut mirror, &[(MIRROR, &hash)]);
    if let Some(fields) = mirror.as_object_mut() {
        fields.remove("status");
    }
    mirror
}

fn annotate(object: &mut Value, pairs: &[(&str, &str)]) {
    let Some(metadata) = object.get_mut("metadata") else { return };
    for (key, value) in pairs {
        metadata["annotations"][*key] = (*value).into();
    }
}
