//! The parts of a Pod that a kubelet uses, read from the stored object; fields it does not use are ignored.
//!
//! Main type: [`Pod`]. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>.
//! Leaves out: checks and defaults, which the API server has done; what only a scheduler reads is in [`crate::node`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod container;
mod probe;
mod security;
mod volume;

pub use container::{
    Container, ContainerPort, EnvFrom, EnvVar, EnvVarSource, FieldRef, KeyRef, ObjectRef, ResizePolicy,
    ResourceFieldRef, Resources, RestartRule, VolumeMount,
};
pub use probe::{ExecAction, GrpcAction, Header, HttpGet, Lifecycle, LifecycleHandler, Probe, SleepAction, TcpSocket};
pub use security::{Capabilities, PodSecurityContext, Profile, SeLinux, SecurityContext, Sysctl};
pub use volume::{
    ConfigMapSource, DownwardItem, DownwardSource, EmptyDir, HostPath, KeyToPath, Projected, Projection, SecretSource,
    TokenSource, Volume,
};

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Pod {
    /// Who it is.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: PodSpec,
    /// What was last told about it, as stored; null if nothing.
    pub status: Value,
}

/// `metadata`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Uid.
    pub uid: String,
    /// As it was when it was read: a revision of the store.
    pub resource_version: String,
    /// Generation, copied to `observedGeneration`.
    pub generation: i64,
    /// When it was made.
    pub creation_timestamp: Option<Timestamp>,
    /// When its grace period ends; set once deletion has begun.
    pub deletion_timestamp: Option<Timestamp>,
    /// Seconds of grace of that deletion.
    pub deletion_grace_period_seconds: Option<i64>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// When containers that ended are started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Always.
    #[default]
    Always,
    /// If they failed.
    OnFailure,
    /// Not at all.
    Never,
}

/// `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Which node it is bound to.
    pub node_name: String,
    /// Run to their end, in order, before the others.
    pub init_containers: Vec<Container>,
    /// Run at the same time.
    pub containers: Vec<Container>,
    /// Added by users who debug; never restarted.
    pub ephemeral_containers: Vec<Container>,
    /// For all containers without one of their own.
    pub restart_policy: RestartPolicy,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Seconds between asking a container to end and killing it; 30 if unset.
    pub termination_grace_period_seconds: Option<i64>,
    /// Seconds from the start after which the pod fails.
    pub active_deadline_seconds: Option<i64>,
    /// `ClusterFirst`, `ClusterFirstWithHostNet`, `Default` or `None`.
    pub dns_policy: String,
    /// Added to what the policy gives.
    pub dns_config: Option<DnsConfig>,
    /// Use the node's network.
    pub host_network: bool,
    /// Use the node's process namespace.
    #[serde(rename = "hostPID")]
    pub host_pid: bool,
    /// Use the node's IPC namespace.
    #[serde(rename = "hostIPC")]
    pub host_ipc: bool,
    /// Containers see each other's processes.
    pub share_process_namespace: bool,
    /// Its users are the host's; true if unset.
    pub host_users: Option<bool>,
    /// Host name; the pod's name if empty.
    pub hostname: String,
    /// The domain below the namespace's that the host name is in.
    pub subdomain: String,
    /// The host name is the whole domain name.
    #[serde(rename = "setHostnameAsFQDN")]
    pub set_hostname_as_fqdn: bool,
    /// The host name, over all else.
    pub hostname_override: Option<String>,
    /// Lines for `/etc/hosts`.
    pub host_aliases: Vec<HostAlias>,
    /// Security of the whole pod.
    pub security_context: PodSecurityContext,
    /// Resources of the whole pod.
    pub resources: Option<Resources>,
    /// Tell containers of Services by environment variables; true if unset.
    pub enable_service_links: Option<bool>,
    /// Further conditions of readiness.
    pub readiness_gates: Vec<ReadinessGate>,
    /// Secrets that open registries.
    pub image_pull_secrets: Vec<ObjectRef>,
    /// Who the pod is to the API.
    pub service_account_name: String,
    /// Which nodes it may be on, by their labels.
    pub node_selector: BTreeMap<String, String>,
    /// Rules about nodes and other pods, as stored.
    pub affinity: Value,
    /// Which taints it bears, as stored.
    pub tolerations: Vec<Value>,
    /// What the runtime itself needs.
    pub overhead: BTreeMap<String, Value>,
}

/// `dnsConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DnsConfig {
    /// Servers.
    pub nameservers: Vec<String>,
    /// Domains to look in.
    pub searches: Vec<String>,
    /// Options.
    pub options: Vec<DnsOption>,
}

/// An option of `/etc/resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DnsOption {
    /// As `ndots`.
    pub name: String,
    /// As `5`.
    pub value: Option<String>,
}

/// A line of `/etc/hosts`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostAlias {
    /// Address.
    pub ip: String,
    /// Its names.
    pub hostnames: Vec<String>,
}

/// A condition that somebody else sets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReadinessGate {
    /// Its type.
    pub condition_type: String,
}

impl Pod {
    /// Reads a stored Pod.
    ///
    /// # Errors
    /// Where a field that is used has another type; the API server lets none of those in.
    pub fn read(object: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(without_nulls(object))
    }

    /// Every container: init, main, ephemeral, in that order.
    pub fn all_containers(&self) -> impl Iterator<Item = (Kind, &Container)> {
        let spec = &self.spec;
        let init = spec.init_containers.iter().map(|one| (Kind::Init, one));
        let main = spec.containers.iter().map(|one| (Kind::Main, one));
        init.chain(main).chain(spec.ephemeral_containers.iter().map(|one| (Kind::Ephemeral, one)))
    }

    /// The container of a name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<(Kind, &Container)> {
        self.all_containers().find(|(_, one)| one.name == name)
    }
}

/// Null is absent to the API; to serde it would be another type.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Which list of the spec a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `initContainers`, those that restart included.
    Init,
    /// `containers`.
    Main,
    /// `ephemeralContainers`.
    Ephemeral,
}

impl Kind {
    /// The field of the spec.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}
