//! What a caller wants: sandboxes, containers, commands in them. Plain data; the defaults are a pod's defaults.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ContainerId, SandboxId};

/// Which pod something belongs to. Kept with it, so that a restarted caller finds its pods by listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// Which namespaces a pod has of its own; the others are the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// The pod's network namespace, made by others, as under `/run/netns`. `None`: the host's, and its host name.
    pub network: Option<PathBuf>,
    /// Share the host's IPC namespace and `/dev/shm`.
    pub host_ipc: bool,
    /// Share the host's process namespace.
    pub host_pid: bool,
    /// One process namespace for all containers; else each has its own.
    #[serde(default)]
    pub shared_pid: bool,
}

/// The ground a pod's containers stand on: namespaces, host name, `/dev/shm`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Whose it is.
    pub pod: PodRef,
    /// How many there were before, for this pod.
    pub attempt: u32,
    /// The host name within; unused with the host's network.
    pub hostname: String,
    /// Namespaces of its own.
    pub namespaces: Namespaces,
    /// Kernel settings of those namespaces, such as `net.core.somaxconn`.
    pub sysctls: BTreeMap<String, String>,
    /// The cgroup that holds the containers' cgroups, absolute, below the root of every hierarchy.
    pub cgroup_parent: PathBuf,
    /// Further facts the caller wants back when listing. Keys and values together stay under 4 KiB.
    pub labels: BTreeMap<String, String>,
}

/// One attempt of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Where it runs.
    pub sandbox: SandboxId,
    /// The container's name in the pod.
    pub name: String,
    /// How many there were before, of this name in this pod.
    pub attempt: u32,
    /// An image that is present.
    pub image: String,
    /// Replaces the image's entrypoint, and its command.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Added to the image's environment; a later one of the same name wins.
    pub env: Vec<(String, String)>,
    /// Replaces the image's working directory.
    pub working_dir: Option<PathBuf>,
    /// What of the host is seen inside.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub resources: Resources,
    /// Who it is and what it may do.
    pub security: Security,
    /// It is in the process namespace of this container, which runs.
    pub beside: Option<ContainerId>,
    /// It gets a terminal.
    pub tty: bool,
    /// It reads what those write who are attached to it.
    pub stdin: bool,
    /// Its input ends when the first of them ends it.
    pub stdin_once: bool,
    /// The file its output goes to; see [`crate::log::log_path`]. `None`: nowhere.
    pub log_path: Option<PathBuf>,
    /// Further facts the caller wants back when listing. Keys and values together stay under 4 KiB.
    pub labels: BTreeMap<String, String>,
}

/// A folder or file of the host, seen in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// On the host; absolute.
    pub source: PathBuf,
    /// In the container; absolute.
    pub target: PathBuf,
    /// No writes through it.
    pub read_only: bool,
    /// What happens to mounts made later below it.
    pub propagation: Propagation,
}

/// `mountPropagation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// `None`: neither side sees the other's.
    #[default]
    Private,
    /// `HostToContainer`.
    FromHost,
    /// `Bidirectional`.
    Both,
}

/// Bounds of a container; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Share of a busy CPU, in 1,024ths; 2 to 262,144.
    pub cpu_shares: Option<u64>,
    /// CPU time per period, in microseconds; 1,000 at least.
    pub cpu_quota: Option<i64>,
    /// The period, in microseconds.
    pub cpu_period: Option<u64>,
    /// Memory, in bytes.
    pub memory_bytes_max: Option<i64>,
    /// Processes and threads.
    pub pids_max: Option<i64>,
    /// Which is killed first when the host is out of memory, -1,000 to 1,000. Raised to what this host permits.
    pub oom_score_adj: Option<i32>,
}

/// `securityContext`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// Instead of the image's user.
    pub user: Option<User>,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Added to the default set, without `CAP_`; `ALL` for all that this host has.
    pub add_capabilities: Vec<String>,
    /// Taken from it.
    pub drop_capabilities: Vec<String>,
    /// Nearly as the host's root.
    pub privileged: bool,
    /// The root filesystem cannot be written.
    pub read_only_root: bool,
    /// Set-user-id programs have no effect (`allowPrivilegeEscalation: false`).
    pub no_new_privileges: bool,
    /// Bounds of processes, lowered to what this host permits.
    pub rlimits: Vec<Rlimit>,
    /// Only [`Self::groups`], not those that the image's `/etc/group` names (`supplementalGroupsPolicy: Strict`).
    pub strict_groups: bool,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// The AppArmor profile that confines it; it is loaded.
    pub app_armor: Option<String>,
}

/// `seccompProfile`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// All that the kernel grants.
    #[default]
    Unconfined,
    /// What ordinary programs need.
    RuntimeDefault,
    /// As a file of the host says.
    Profile {
        /// What errors call it.
        name: String,
        /// JSON, as in the runtime specification's `linux.seccomp`.
        text: Box<[u8]>,
    },
}

/// Who a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User.
    pub uid: u32,
    /// Group; `None`: the one the image's `/etc/passwd` names, else 0.
    pub gid: Option<u32>,
}

/// A bound of a process, see `getrlimit(2)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// As `RLIMIT_NOFILE`.
    pub name: String,
    /// What it starts with.
    pub soft: u64,
    /// How far it may raise it.
    pub hard: u64,
}

/// A command to run in a container that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// It gets a terminal; then there is no separate standard error.
    pub tty: bool,
    /// The caller writes its standard input.
    pub stdin: bool,
}
