//! Control groups as a kubelet's runtime needs them: was something killed for memory, and cleaning up. Version 1, hybrid
//! and 2. Setting limits is the low-level runtime's work. Main type: [`Cgroups`].
//! Spec: <https://docs.kernel.org/admin-guide/cgroup-v2.html> and `cgroup-v1/memory.html` beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Groups below a pod's that are looked into: a container's, and what a container that manages groups itself made in it.
const DEPTH: usize = 8;

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The hierarchies of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// One hierarchy.
    Unified(PathBuf),
    /// One per controller; a hybrid host's memory controller is among them.
    PerController(PathBuf),
}

impl Cgroups {
    pub(crate) fn detect() -> Self {
        Self::at(Path::new(ROOT))
    }

    fn at(root: &Path) -> Self {
        if root.join("cgroup.controllers").exists() {
            Self::Unified(root.to_owned())
        } else {
            Self::PerController(root.to_owned())
        }
    }

    pub(crate) fn is_unified(&self) -> bool {
        matches!(self, Self::Unified(_))
    }

    /// Whether the kernel killed a process of this group for memory.
    pub(crate) fn oom_killed(&self, group: &Path) -> bool {
        let group = relative(group);
        let file = match self {
            Self::Unified(root) => root.join(group).join("memory.events"),
            Self::PerController(root) => root.join("memory").join(group).join("memory.oom_control"),
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|count| count > 0)
    }

    /// Kills what runs in a group and removes it with the groups below it, such as those that a killed shim left.
    ///
    /// # Errors
    /// While a process of it is still ending: it can be removed a moment later.
    pub(crate) fn remove(&self, group: &Path) -> io::Result<()> {
        let group = relative(group);
        if group.as_os_str().is_empty() {
            return Ok(());
        }
        let roots = match self {
            Self::Unified(root) => vec![root.clone()],
            Self::PerController(root) => {
                let entries = fs::read_dir(root)?.filter_map(|entry| Some(entry.ok()?.path()));
                entries.filter(|path| path.is_dir()).collect()
            }
        };
        for root in roots {
            // Links name several controllers' common hierarchy: it may be gone by its other name.
            remove_tree(&root.join(group), DEPTH)?;
        }
        Ok(())
    }
}

/// Removes a group after those below it.
fn remove_tree(group: &Path, depth: usize) -> io::Result<()> {
    let below = fs::read_dir(group).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for child in below.filter(|path| path.is_dir() && depth > 0) {
        remove_tree(&child, depth - 1)?;
    }
    kill_all(group);
    match fs::remove_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn kill_all(group: &Path) {
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in members.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 1) {
        // It may have ended meanwhile; if it has not, the group stays and that is told.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn relative(group: &Path) -> &Path {
    group.strip_prefix("/").unwrap_or(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expect: bool) {
        let root = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("makes it");
            fs::write(path, text).expect("writes");
        }
        assert_eq!(Cgroups::at(root.path()).oom_killed(Path::new("/pod/c")), expect, "{files:?}");
    }

    #[test]
    fn a_group_goes_with_those_below_it() {
        let root = tempfile::tempdir().expect("a folder");
        for hierarchy in ["memory", "cpu"] {
            fs::create_dir_all(root.path().join(hierarchy).join("pod/c/inner")).expect("makes it");
        }
        let groups = Cgroups::at(root.path());
        groups.remove(Path::new("/pod")).expect("removed");
        groups.remove(Path::new("/pod")).expect("removed twice is no matter");
        assert!(!root.path().join("memory/pod").exists() && !root.path().join("cpu/pod").exists());
    }

    #[test]
    fn kills_for_memory_are_seen_in_both_versions() {
        check(&[("cgroup.controllers", ""), ("pod/c/memory.events", "oom 3\noom_kill 1\n")], true);
        check(&[("cgroup.controllers", ""), ("pod/c/memory.events", "oom 3\noom_kill 0\n")], false);
        check(&[("memory/pod/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")], true);
        check(&[("memory/pod/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 0\n")], false);
        check(&[], false);
    }
}
