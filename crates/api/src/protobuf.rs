//! Objects in protobuf, which client-go's typed clients (also kubectl from 1.32 on) send and ask for where a kind is built in.
//!
//! Main entries: [`decode`], [`encode`]. Messages are described by [`crate::facts`]; `wire` has the encoding itself. Spec:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>,
//! <https://protobuf.dev/programming-guides/encoding/>.
//!
//! Go sends most fields although they are empty and does not tell "empty" from "absent" as JSON does. Empty strings of
//! optional fields are dropped, but for those in `EMPTY_MEANS_SOMETHING`; zeros are kept, but for those in `ZERO_IS_ABSENT`.
//! Leaves out: reading lists, patches.

mod decode;
mod encode;
mod envelope;
mod wire;

use crate::facts::{Field, Shape, Type};
use serde_json::Value;

pub use decode::{DecodeError, decode};
pub use encode::message;
pub use envelope::{TAIL, encode, envelope, frame, list, partial, push_item};

/// Media type of the encoding.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// What an encoded object begins with.
const MAGIC: &[u8] = b"k8s\0";

/// What a CRD's schema is.
const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// Optional strings for which "" differs from absent: (type, field).
const EMPTY_MEANS_SOMETHING: &[(&str, &str)] = &[
    ("io.k8s.api.core.v1.PersistentVolumeClaimSpec", "storageClassName"),
    ("io.k8s.api.core.v1.PersistentVolumeClaimSpec", "volumeAttributesClassName"),
    ("io.k8s.api.networking.v1.IngressSpec", "ingressClassName"),
    ("io.k8s.api.discovery.v1.EndpointPort", "name"),
    ("io.k8s.api.coordination.v1.LeaseSpec", "holderIdentity"),
    ("io.k8s.api.core.v1.HostPathVolumeSource", "type"),
];

/// Optional numbers and bools that Go always sends, for which zero is what JSON leaves out: (type, field).
const ZERO_IS_ABSENT: &[(&str, &str)] = &[
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "generation"),
    ("io.k8s.api.core.v1.Event", "count"),
    ("io.k8s.api.core.v1.EventSeries", "count"),
    ("io.k8s.api.events.v1.Event", "deprecatedCount"),
    ("io.k8s.api.core.v1.NodeSpec", "unschedulable"),
    ("io.k8s.api.core.v1.ContainerImage", "sizeBytes"),
    ("io.k8s.api.authentication.v1.TokenReviewStatus", "authenticated"),
    ("io.k8s.api.authorization.v1.SubjectAccessReviewStatus", "denied"),
    ("io.k8s.api.core.v1.ContainerPort", "hostPort"),
    ("io.k8s.api.core.v1.PodSpec", "hostNetwork"),
    ("io.k8s.api.core.v1.PodSpec", "hostPID"),
    ("io.k8s.api.core.v1.PodSpec", "hostIPC"),
    ("io.k8s.api.core.v1.Container", "stdin"),
    ("io.k8s.api.core.v1.Container", "stdinOnce"),
    ("io.k8s.api.core.v1.Container", "tty"),
    ("io.k8s.api.core.v1.EphemeralContainer", "stdin"),
    ("io.k8s.api.core.v1.EphemeralContainer", "stdinOnce"),
    ("io.k8s.api.core.v1.EphemeralContainer", "tty"),
    ("io.k8s.api.core.v1.VolumeMount", "readOnly"),
    ("io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource", "readOnly"),
    ("io.k8s.api.core.v1.NFSVolumeSource", "readOnly"),
    ("io.k8s.api.core.v1.PodStatus", "observedGeneration"),
    ("io.k8s.api.core.v1.PodCondition", "observedGeneration"),
    ("io.k8s.api.core.v1.ContainerStateTerminated", "signal"),
    ("io.k8s.api.core.v1.ServicePort", "nodePort"),
    ("io.k8s.api.core.v1.ServiceSpec", "publishNotReadyAddresses"),
    ("io.k8s.api.core.v1.ServiceSpec", "healthCheckNodePort"),
    ("io.k8s.api.core.v1.Probe", "initialDelaySeconds"),
    ("io.k8s.api.core.v1.Probe", "timeoutSeconds"),
    ("io.k8s.api.core.v1.Probe", "periodSeconds"),
    ("io.k8s.api.core.v1.Probe", "successThreshold"),
    ("io.k8s.api.core.v1.Probe", "failureThreshold"),
    ("io.k8s.api.apps.v1.DeploymentSpec", "minReadySeconds"),
    ("io.k8s.api.apps.v1.DeploymentSpec", "paused"),
    ("io.k8s.api.apps.v1.ReplicaSetSpec", "minReadySeconds"),
    ("io.k8s.api.apps.v1.DaemonSetSpec", "minReadySeconds"),
    ("io.k8s.api.apps.v1.StatefulSetSpec", "minReadySeconds"),
];

/// Whether what Go sent, or a JSON client wrote out, is what Go leaves out of JSON.
pub(crate) fn is_absent(ty: &Type, field: &Field, value: &Value) -> bool {
    let listed = |table: &[(&str, &str)]| table.contains(&(ty.name, field.name));
    match value {
        Value::Null => true,
        Value::String(text) if text.is_empty() => {
            let plain = matches!(field.shape, Shape::String | Shape::Bytes);
            plain && !field.required && !listed(EMPTY_MEANS_SOMETHING)
        }
        Value::Bool(false) => listed(ZERO_IS_ABSENT),
        Value::Number(number) => number.as_i64() == Some(0) && listed(ZERO_IS_ABSENT),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
