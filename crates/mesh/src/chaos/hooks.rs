//! What a node is asked to do to itself, because nothing outside of it can. Main type: [`Hooks`], a file that the node looks at if it
//! was started with `--chaos-hooks FILE`, which only `mesh dev` and the compose file do.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Fault, Kind};

/// What a node does to itself. The reader is `actors/src/chaos.rs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hooks {
    /// How much longer each sync of the log takes, in milliseconds.
    disk_delay_millis: u64,
}

impl Hooks {
    /// What these faults mean for a node.
    pub(super) fn of(node: &str, faults: &[Fault]) -> Self {
        let mut hooks = Self::default();
        for fault in faults.iter().filter(|fault| fault.node == node) {
            if let Kind::SlowDisk { delay_millis } = fault.kind {
                hooks.disk_delay_millis = delay_millis;
            }
        }
        hooks
    }

    /// Puts them in force; no file where there is nothing to do.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let done = if *self == Self::default() {
            fs::remove_file(path)
        } else {
            // Whole or not at all: a node reads it at any time.
            let new = path.with_extension("new");
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            folder.and_then(|()| fs::write(&new, serde_json::to_vec(self)?)).and_then(|()| fs::rename(&new, path))
        };
        match done {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| path.display().to_string()),
            _ => Ok(()),
        }
    }
}
