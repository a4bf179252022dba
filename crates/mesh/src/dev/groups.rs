//! Control groups of pods that were killed with their shims: a reboot takes them away, and so do we.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted, in every version.
const ROOT: &str = "/sys/fs/cgroup";

/// Levels between a hierarchy and a pod's group: `mesh`, node, `pods`, class, and one hierarchy a controller.
const DEPTH: usize = 7;

/// Removes the groups of these pods; one that still holds a process stays.
pub(super) fn remove(pods: &[String]) {
    if !pods.is_empty() {
        look(Path::new(ROOT), pods, DEPTH);
    }
}

fn look(group: &Path, pods: &[String], depth: usize) {
    for child in folders(group) {
        let name = child.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.strip_prefix("pod").is_some_and(|uid| pods.iter().any(|pod| pod == uid));
        match ours {
            true => remove_tree(&child, DEPTH),
            false if depth > 0 && !name.starts_with("pod") => look(&child, pods, depth - 1),
            false => {}
        }
    }
}

fn remove_tree(group: &Path, depth: usize) {
    if depth > 0 {
        folders(group).iter().for_each(|child| remove_tree(child, depth - 1));
    }
    // What is left holds a process that is still ending; it is empty then, and costs nothing.
    let _ = fs::remove_dir(group);
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}
