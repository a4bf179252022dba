//! What is, as an actor sees it. Main type: [`Observed`]; sandboxes and containers mirror those of crate `runtime`.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use jiff::Timestamp;
use serde_json::Value;

/// All that a plan for one pod has to know about the machine.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The pod's sandboxes, all attempts.
    pub sandboxes: Vec<Sandbox>,
    /// The pod's containers, all attempts.
    pub containers: Vec<Container>,
    /// The pod's network, once attached; `None` for the host's.
    pub network: Option<Network>,
    /// How far its volumes are.
    pub volumes: Volumes,
    /// Images that are present, by the reference that the spec has, as written there; absent ones are missing here.
    pub images: BTreeMap<String, Image>,
    /// Tokens in its volumes, by [`crate::volume::TokenRequest::key`].
    pub tokens: BTreeMap<String, Token>,
}

/// A sandbox as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id.
    pub id: String,
    /// How many there were before.
    pub attempt: u32,
    /// Its namespaces are there. They are not after a stop or a reboot.
    pub ready: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// As given.
    pub labels: BTreeMap<String, String>,
}

/// A container as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Where it runs.
    pub sandbox: String,
    /// Its name in the pod.
    pub name: String,
    /// How many there were before.
    pub attempt: u32,
    /// Full reference of its image.
    pub image: String,
    /// Digest of its image's manifest, as `sha256:...`.
    pub image_digest: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it does.
    pub state: ContainerState,
    /// As given.
    pub labels: BTreeMap<String, String>,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// It runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It ran.
    Exited(Exit),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 0 to 255; 128 and the signal's number if one ended it. `None`: nobody saw it, as after a reboot.
    pub code: Option<i32>,
    /// The kernel killed a process of it for memory.
    pub oom_killed: bool,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; when that was noticed, if nobody saw it.
    pub finished_at: Timestamp,
    /// Why it could not start, if that is so.
    pub message: Option<String>,
}

/// A pod's network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Where its namespace is mounted.
    pub namespace: PathBuf,
    /// Its addresses, the first family first.
    pub addresses: Vec<IpAddr>,
}

/// How far a pod's volumes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Volumes {
    /// Nothing is known: not prepared by this process, or taken away.
    #[default]
    Absent,
    /// They are as the step with this fingerprint said.
    Ready {
        /// [`crate::volume::VolumeSet::fingerprint`] of the newest step that was carried out.
        fingerprint: u64,
    },
}

/// An image that is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its full reference, as `docker.io/library/busybox:latest`.
    pub reference: String,
    /// Digest of its manifest, as `sha256:...`.
    pub digest: String,
    /// Bytes of its layers as they are stored.
    pub size: u64,
    /// `User` of its configuration, as written: `user`, `user:group`, names or numbers; empty is root.
    pub user: String,
    /// It was pulled with credentials that this pod has not shown: for it, it is to be pulled anew.
    pub withheld: bool,
}

/// When a token in a volume was issued and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Issued.
    pub issued_at: Timestamp,
    /// Ends.
    pub expires_at: Timestamp,
}

/// What is known of an object that a pod refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Reference {
    /// Not yet looked up; a plan waits for it.
    #[default]
    Unknown,
    /// It is not there.
    Missing,
    /// It is there, as stored.
    Found(Value),
}

/// The objects that a pod refers to. [`crate::volume::references`] says which.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// ConfigMaps of the pod's namespace, by name.
    pub config_maps: BTreeMap<String, Reference>,
    /// Secrets of the pod's namespace, by name.
    pub secrets: BTreeMap<String, Reference>,
    /// PersistentVolumeClaims of the pod's namespace, by name.
    pub claims: BTreeMap<String, Reference>,
    /// The PersistentVolumes that these are bound to, by name.
    pub volumes: BTreeMap<String, Reference>,
    /// Services of the pod's namespace and `default/kubernetes`, as stored; `None` while not known.
    pub services: Option<Vec<Value>>,
}

impl References {
    /// A ConfigMap.
    #[must_use]
    pub fn config_map(&self, name: &str) -> &Reference {
        self.config_maps.get(name).unwrap_or(&Reference::Unknown)
    }

    /// A PersistentVolumeClaim.
    #[must_use]
    pub fn claim(&self, name: &str) -> &Reference {
        self.claims.get(name).unwrap_or(&Reference::Unknown)
    }

    /// A PersistentVolume.
    #[must_use]
    pub fn volume(&self, name: &str) -> &Reference {
        self.volumes.get(name).unwrap_or(&Reference::Unknown)
    }

    /// A Secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> &Reference {
        self.secrets.get(name).unwrap_or(&Reference::Unknown)
    }
}

/// Facts about the node that plans for pods need. The same for all pods, but for a pod's own folders, which follow from these.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// Name of the Node object.
    pub name: String,
    /// Addresses of the node, the first family first; `hostIPs`.
    pub addresses: Vec<IpAddr>,
    /// Folder of all pods' folders: volumes and small files of a pod are in `<pods_dir>/<uid>`.
    pub pods_dir: PathBuf,
    /// Folder of the volumes that outlive their pods: `<volumes_dir>/<handle>`.
    pub volumes_dir: PathBuf,
    /// Folder of the logs: a container's is `<logs_dir>/<namespace>_<name>_<uid>/<container>/<attempt>.log`.
    pub logs_dir: PathBuf,
    /// The cgroup that holds all pods' cgroups, absolute, as `/mesh/n1/kubepods`.
    pub cgroup_root: PathBuf,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// `allocatable` of the node, quantities by resource; default limits of downward resources.
    pub allocatable: BTreeMap<String, Value>,
    /// Most processes of a pod's container; `None` is no bound.
    pub pids_max: Option<i64>,
    /// Addresses of the cluster's DNS.
    pub cluster_dns: Vec<IpAddr>,
    /// As `cluster.local`.
    pub cluster_domain: String,
    /// Text of the node's own `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Text of the node's own `/etc/hosts`.
    pub hosts: String,
    /// The node's host name.
    pub hostname: String,
    /// The runtime's name before a container's id; `containerd`.
    pub runtime: String,
}
