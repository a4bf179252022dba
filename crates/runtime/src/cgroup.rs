//! Control groups as a kubelet's runtime needs them: was something killed for memory, and cleaning up. Version 1, hybrid
//! and 2. Setting limits is the low-level runtime's work. Main type: [`Cgroups`].
//! Spec: <https://docs.kernel.org/admin-guide/cgroup-v2.html> and `cgroup-v1/memory.html` beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

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

    /// Removes a group that is empty; one that is not, stays.
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
            match fs::remove_dir(root.join(group)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
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
    fn kills_for_memory_are_seen_in_both_versions() {
        check(&[("cgroup.controllers", ""), ("pod/c/memory.events", "oom 3\noom_kill 1\n")], true);
        check(&[("cgroup.controllers", ""), ("pod/c/memory.events", "oom 3\noom_kill 0\n")], false);
        check(&[("memory/pod/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")], true);
        check(&[("memory/pod/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 0\n")], false);
        check(&[], false);
    }
}
