//! What a caller sees: images, sandboxes, containers and their states. Plain data.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{ContainerId, PodRef, SandboxId};

/// Who runs the containers; shown in a node's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As `containerd`.
    pub name: String,
    /// As `1.6.20`.
    pub version: String,
}

/// An image that containers can be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its full reference, as `docker.io/library/busybox:latest`.
    pub reference: String,
    /// Digest of its manifest, as `sha256:...`.
    pub digest: String,
    /// Bytes of its layers as they are stored.
    pub size: u64,
    /// What it says about running it.
    pub config: ImageConfig,
}

/// The part of an image's configuration that running it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Program, and its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments.
    pub command: Vec<String>,
    /// Environment, as `NAME=value`.
    pub env: Vec<String>,
    /// Where it starts.
    pub working_dir: String,
    /// As `user`, `user:group`, names or numbers; empty is root.
    pub user: String,
    /// Instead of SIGTERM, as `SIGQUIT`.
    pub stop_signal: Option<String>,
}

/// A sandbox as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// Whose it is.
    pub pod: PodRef,
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
    pub id: ContainerId,
    /// Where it runs.
    pub sandbox: SandboxId,
    /// Whose it is.
    pub pod: PodRef,
    /// Its name in the pod.
    pub name: String,
    /// How many there were before.
    pub attempt: u32,
    /// Full reference of its image.
    pub image: String,
    /// Digest of its image's manifest.
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
        /// Its first process, as the host counts.
        pid: u32,
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

/// Something happened to a container: list it. News may be lost, repeated and late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEvent {
    /// Which.
    pub container: ContainerId,
}
