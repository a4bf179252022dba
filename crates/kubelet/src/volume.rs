//! Volumes as data: which folders, files and tokens a pod needs, and what each container mounts. Main type: [`VolumeSet`].
//!
//! Layout below `<pods_dir>/<uid>/volumes/<name>`. Files of a [`Source::Files`] are written as upstream's atomic writer does: into a new
//! folder `..<time>`, then the link `..data` is swapped to it; each first path element is a link to `..data/<element>`.
//! Spec: <https://kubernetes.io/docs/concepts/storage/volumes/>.

use std::path::PathBuf;

mod content;
mod files;
mod mount;
mod needs;
mod place;
mod plan;

pub use files::{hostname, hosts, resolv_conf};
pub(crate) use mount::termination_log;
pub use mount::{Mounts, mounts};
pub use needs::{Needs, references};
pub use place::is_plain;
pub use plan::{RefreshAt, VolumeError, plan, refresh_at};

/// All volumes of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VolumeSet {
    /// One each.
    pub volumes: Vec<Volume>,
    /// Changes when any of them does. Never 0.
    pub fingerprint: u64,
}

/// One volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// Where it is on the host.
    pub path: PathBuf,
    /// What it is.
    pub source: Source,
    /// `fsGroup`: the volume is to belong to this group, be group-writable and set-group-id. Not for [`Source::Host`].
    pub group: Option<u32>,
}

/// What a volume is.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A folder that is empty at first; mode 0777.
    Empty {
        /// In memory (tmpfs).
        memory: bool,
        /// Bytes of a tmpfs; `None` is the pod's memory limit or the host's half.
        size_bytes_max: Option<i64>,
    },
    /// A path of the host, which the type describes.
    Host {
        /// What has to be there, or is made.
        check: HostCheck,
    },
    /// A folder that outlives the pod, with what is in it.
    Kept {
        /// It is made where it is missing, mode 0777.
        make: bool,
        /// What is in it is given to the group only where the folder itself is not the group's yet.
        root_only: bool,
    },
    /// Files, kept up to date. On a tmpfs if any is secret.
    Files {
        /// Their content.
        files: Vec<File>,
        /// Keep it in memory.
        memory: bool,
    },
}

/// `hostPath.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// None.
    Unset,
    /// A folder is there.
    Directory,
    /// A folder is there or is made, mode 0755.
    DirectoryOrCreate,
    /// A file is there.
    File,
    /// A file is there or is made, mode 0644; its folder is not.
    FileOrCreate,
    /// A unix socket is there.
    Socket,
    /// A character device is there.
    CharDevice,
    /// A block device is there.
    BlockDevice,
}

/// A file in a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Relative, without `..`.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// User that owns it; `None` is root.
    pub owner: Option<u32>,
    /// What is in it.
    pub content: Content,
}

/// What is in a file. `Debug` shows no bytes, for they may be secret.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A token to be requested, or the one had before if it is not yet to be renewed.
    Token(TokenRequest),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Token(request) => request.fmt(f),
        }
    }
}

/// A token of the pod's service account, bound to the pod (and node).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// Unique in the pod: `<volume>/<path>`.
    pub key: String,
    /// Whose.
    pub service_account: String,
    /// For whom; `None` is the API server's own.
    pub audience: Option<String>,
    /// Seconds it is to be valid.
    pub expiration_seconds: i64,
    /// A token that is there is to be replaced.
    pub renew: bool,
}

#[cfg(test)]
mod tests;
