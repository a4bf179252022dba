//! What containers print: written by a process of its own, kept in files, read by anyone.
//!
//! `logger_main` is what containerd starts beside a container (`binary://`); [`LogReader`] reads what it
//! wrote, also while it writes. Format: the CRI's log lines, see
//! <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.
//! Left out: compressing rotated files.

mod assemble;
mod audience;
mod chain;
mod line;
mod logger;
mod reader;
mod rotate;
mod watcher;

use std::path::{Path, PathBuf};

pub(crate) use audience::HEAD_BYTES;
pub use line::{Entry, Stream};
pub use logger::{LoggerConfig, LoggerError};
pub(crate) use logger::{WORD, logger_main};
pub use reader::{LogError, LogReader, ReadOptions};
pub use watcher::LogWatcher;

use crate::PodRef;

/// Where the output of one attempt of a container goes: `<root>/<namespace>_<name>_<uid>/<container>/<attempt>.log`.
#[must_use]
pub fn log_path(root: &Path, pod: &PodRef, container: &str, attempt: u32) -> PathBuf {
    let folder = format!("{}_{}_{}", pod.namespace, pod.name, pod.uid);
    root.join(folder).join(container).join(format!("{attempt}.log"))
}
