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
    /// How far off its clock is.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockShift>,
}

/// A clock that is off.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClockShift {
    /// Ahead of the machine's, in milliseconds; behind where negative.
    ahead_millis: i64,
    /// Since when, in Unix seconds: a process that starts later goes by the machine's.
    since: i64,
}

impl Hooks {
    /// What these faults mean for a node.
    pub(super) fn of(node: &str, faults: &[Fault]) -> Self {
        let mut hooks = Self::default();
        for fault in faults.iter().filter(|fault| fault.node == node) {
            match fault.kind {
                Kind::SlowDisk { delay_millis } => hooks.disk_delay_millis = delay_millis,
                Kind::Clock { ahead_millis } => hooks.clock = Some(ClockShift { ahead_millis, since: fault.since }),
                _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kinds: &[(&str, Kind)], expect: &str) {
        let fault =
            |(node, kind): &(&str, Kind)| Fault { node: (*node).into(), kind: kind.clone(), since: 7, until: None };
        let faults: Vec<_> = kinds.iter().map(fault).collect();
        assert_eq!(serde_json::to_string(&Hooks::of("a", &faults)).unwrap(), expect, "{kinds:?}");
    }

    #[test]
    fn a_node_is_told_of_its_own_faults_only() {
        let (disk, clock) = (Kind::SlowDisk { delay_millis: 20 }, Kind::Clock { ahead_millis: -600_000 });
        check(
            &[("b", disk.clone()), ("b", clock.clone()), ("a", Kind::Kill { only: None })],
            r#"{"diskDelayMillis":0}"#,
        );
        check(&[("a", disk), ("a", clock)], r#"{"diskDelayMillis":20,"clock":{"aheadMillis":-600000,"since":7}}"#);
    }
}
