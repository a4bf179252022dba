//! Finds what pods that are gone left behind: folders and logs. Sandboxes and network attachments are found by listing.
//! What belongs to no pod is taken away by [`::kubelet::pod::plan_orphan`], woken like any pod; logs go here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use api::meta;
use tracing::debug;

use super::Uid;
use super::machine::Machine;

/// Folders looked at; more wait for the next time.
const FOLDERS_MAX: usize = 10_000;

/// A log outlives its pod by this much, so that who reads the end of it comes to the end.
const LOG_GRACE: Duration = Duration::from_secs(60);

/// Uids of the pods that have a folder.
pub fn folders(pods: &Path) -> BTreeSet<Uid> {
    let entries = fs::read_dir(pods).into_iter().flatten().flatten().take(FOLDERS_MAX);
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Removes logs of pods that are gone: neither at the API nor with anything that runs.
pub fn logs(machine: &Machine) {
    if !machine.pods.synced() || !machine.listing.is_known() {
        return;
    }
    let mut known: BTreeSet<Uid> = machine.pods.list().iter().map(|pod| meta::uid(pod).to_owned()).collect();
    known.extend(machine.listing.pods().into_iter().map(|pod| pod.uid));
    known.extend(folders(&machine.places.pods));
    let entries = fs::read_dir(&machine.places.logs).into_iter().flatten().flatten().take(FOLDERS_MAX);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap_or_default();
        // `<namespace>_<name>_<uid>`
        let uid = name.rsplit('_').next().unwrap_or_default();
        if known.contains(uid) || !is_old(&entry.path()) {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => debug!(folder = name, "logs of a pod that is gone removed"),
            Err(error) => debug!(folder = name, %error, "logs of a pod that is gone not removed"),
        }
    }
}

fn is_old(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|known| known.modified());
    changed.is_ok_and(|at| clock::machine().duration_since(at).is_ok_and(|age| age > LOG_GRACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_count_as_pods() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("uid-1")).unwrap();
        fs::write(dir.path().join("pods.sealed"), "").unwrap();
        assert_eq!(folders(dir.path()), BTreeSet::from(["uid-1".to_owned()]));
        assert!(folders(Path::new("/no/such/folder")).is_empty());
    }
}
