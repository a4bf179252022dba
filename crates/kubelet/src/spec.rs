//! What a runtime is asked for. Main types: [`SandboxSpec`], [`ContainerSpec`]; they mirror those of crate `runtime`, field by field.

use std::{collections::BTreeMap, path::PathBuf};

/// Which pod something belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PodRef {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// The ground a pod's containers stand on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxSpec {
    /// Whose it is.
    pub pod: PodRef,
    /// How many there were before, for this pod.
    pub attempt: u32,
    /// The host name within; unused with the host's network.
    pub hostname: String,
    /// The pod's network namespace; `None` is the host's.
    pub network: Option<PathBuf>,
    /// Share the host's IPC namespace.
    pub host_ipc: bool,
    /// Share the host's process namespace.
    pub host_pid: bool,
    /// One process namespace for all containers.
    pub shared_pid: bool,
    /// Users of its own (`hostUsers: false`).
    pub own_users: bool,
    /// Kernel settings of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// The cgroup that holds the containers' cgroups, absolute, below the root of every hierarchy.
    pub cgroup_parent: PathBuf,
    /// Comes back with [`crate::observed::Sandbox::labels`].
    pub labels: BTreeMap<String, String>,
}

/// One attempt of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Where it runs.
    pub sandbox: String,
    /// The container's name in the pod.
    pub name: String,
    /// How many there were before, of this name in this pod.
    pub attempt: u32,
    /// An image that is present, as [`crate::observed::Image::reference`].
    pub image: String,
    /// Replaces the image's entrypoint, and its command.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Added to the image's environment; a later one of the same name wins. May hold secrets.
    pub env: Environment,
    /// Replaces the image's working directory.
    pub working_dir: Option<PathBuf>,
    /// What of the host is seen inside.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub resources: Resources,
    /// Who it is and what it may do.
    pub security: Security,
    /// The id of the container whose process namespace it joins.
    pub beside: Option<String>,
    /// It gets a terminal.
    pub tty: bool,
    /// Somebody may attach to its standard input.
    pub stdin: bool,
    /// Its standard input ends when the first who attached leaves.
    pub stdin_once: bool,
    /// The file its output goes to.
    pub log_path: PathBuf,
    /// Comes back with [`crate::observed::Container::labels`].
    pub labels: BTreeMap<String, String>,
}

/// Names and values; `Debug` shows the names only, for values may be secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(pub Vec<(String, String)>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
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
    /// Which is killed first when the host is out of memory, -1,000 to 1,000.
    pub oom_score_adj: Option<i32>,
}

/// Who a container is and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// User and group, instead of the image's user.
    pub user: Option<User>,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Added to the default set, without `CAP_`; `ALL` for all.
    pub add_capabilities: Vec<String>,
    /// Taken from it.
    pub drop_capabilities: Vec<String>,
    /// Nearly as the host's root.
    pub privileged: bool,
    /// The root filesystem cannot be written.
    pub read_only_root: bool,
    /// Set-user-id programs have no effect.
    pub no_new_privileges: bool,
    /// Groups that the image's `/etc/group` names are not added.
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
    /// As this file says; relative to the node's folder of profiles.
    Localhost(PathBuf),
}

/// Who a process runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User.
    pub uid: u32,
    /// Group; `None`: the one the image's `/etc/passwd` names, else 0.
    pub gid: Option<u32>,
}
