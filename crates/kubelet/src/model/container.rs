//! A container of a pod's spec. Main type: [`Container`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Lifecycle, Probe, SecurityContext};

/// A container, of any of the three lists.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Name, unique in the pod.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Replaces the image's entrypoint.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Replaces the image's working directory.
    pub working_dir: String,
    /// Named ports.
    pub ports: Vec<ContainerPort>,
    /// Whole objects as environment.
    pub env_from: Vec<EnvFrom>,
    /// Environment.
    pub env: Vec<EnvVar>,
    /// Bounds.
    pub resources: Resources,
    /// What happens on resize.
    pub resize_policy: Vec<ResizePolicy>,
    /// Its own policy; `Always` on an init container makes it a sidecar.
    pub restart_policy: Option<super::RestartPolicy>,
    /// Its own rules by exit code, before the policy.
    pub restart_policy_rules: Vec<RestartRule>,
    /// Mounts.
    pub volume_mounts: Vec<VolumeMount>,
    /// Restart it when this fails.
    pub liveness_probe: Option<Probe>,
    /// It serves when this succeeds.
    pub readiness_probe: Option<Probe>,
    /// The other probes wait for this.
    pub startup_probe: Option<Probe>,
    /// Hooks.
    pub lifecycle: Lifecycle,
    /// The file with its last words; `/dev/termination-log` if empty.
    pub termination_message_path: String,
    /// `File` or `FallbackToLogsOnError`.
    pub termination_message_policy: String,
    /// Security.
    pub security_context: SecurityContext,
    /// Give it a terminal.
    pub tty: bool,
    /// Somebody may attach to its standard input.
    pub stdin: bool,
    /// Its standard input ends when the first who attached leaves.
    pub stdin_once: bool,
    /// Whose process namespace an ephemeral container joins.
    pub target_container_name: String,
}

impl Container {
    /// Whether it is an init container that keeps running (a sidecar).
    #[must_use]
    pub fn is_sidecar(&self) -> bool {
        self.restart_policy == Some(super::RestartPolicy::Always)
    }

    /// The number of a port given by number or name.
    #[must_use]
    pub fn port(&self, port: &Value) -> Option<u16> {
        match port {
            Value::Number(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
            Value::String(name) => {
                let named = self.ports.iter().find(|port| port.name == *name).map(|port| port.container_port);
                named.or_else(|| name.parse().ok()).filter(|port| *port > 0)
            }
            _ => None,
        }
    }
}

/// A port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerPort {
    /// Name, or empty.
    pub name: String,
    /// Number within.
    pub container_port: u16,
    /// Number on the node; 0 is none.
    pub host_port: u16,
    /// Address on the node; empty is any.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// `TCP`, `UDP` or `SCTP`; empty is TCP.
    pub protocol: String,
}

/// A rule by exit code.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RestartRule {
    /// `Restart` or `RestartAllContainers`.
    pub action: String,
    /// Condition, as stored.
    pub exit_codes: Value,
}

/// What happens on resize of one resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResizePolicy {
    /// As `cpu`.
    pub resource_name: String,
    /// `NotRequired` or `RestartContainer`.
    pub restart_policy: String,
}

/// `envFrom`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvFrom {
    /// Put before every key.
    pub prefix: String,
    /// A ConfigMap.
    pub config_map_ref: Option<ObjectRef>,
    /// A Secret.
    pub secret_ref: Option<ObjectRef>,
}

/// Another object of the namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectRef {
    /// Its name.
    pub name: String,
    /// It may be absent.
    pub optional: bool,
}

/// A key of another object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeyRef {
    /// Its name.
    pub name: String,
    /// The key.
    pub key: String,
    /// It may be absent.
    pub optional: bool,
}

/// A variable.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value, in which `$(NAME)` is replaced.
    pub value: String,
    /// Where else the value comes from.
    pub value_from: Option<EnvVarSource>,
}

/// `valueFrom`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EnvVarSource {
    /// A field of the pod.
    pub field_ref: Option<FieldRef>,
    /// A resource of a container.
    pub resource_field_ref: Option<ResourceFieldRef>,
    /// A key of a ConfigMap.
    pub config_map_key_ref: Option<KeyRef>,
    /// A key of a Secret.
    pub secret_key_ref: Option<KeyRef>,
}

/// A field of the pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FieldRef {
    /// As `metadata.name`.
    pub field_path: String,
}

/// A resource of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceFieldRef {
    /// Whose; the container's own if empty.
    pub container_name: String,
    /// As `limits.cpu`.
    pub resource: String,
    /// Unit of the result; 1 if unset or 0.
    pub divisor: Value,
}

/// `resources`: quantities by resource name, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Resources {
    /// At most.
    pub limits: BTreeMap<String, Value>,
    /// At least.
    pub requests: BTreeMap<String, Value>,
}

/// `volumeMounts`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeMount {
    /// Which volume.
    pub name: String,
    /// Where.
    pub mount_path: String,
    /// No writes.
    pub read_only: bool,
    /// `Disabled`, `IfPossible` or `Enabled`.
    pub recursive_read_only: Option<String>,
    /// A path within the volume.
    pub sub_path: String,
    /// The same with `$(NAME)` replaced.
    pub sub_path_expr: String,
    /// `None`, `HostToContainer` or `Bidirectional`.
    pub mount_propagation: Option<String>,
}
