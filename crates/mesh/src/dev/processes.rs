//! The processes in a set of network namespaces, found by looking: nothing has to be remembered about them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long killed processes may take to go: the kernel takes their memory and mounts down first.
const END_LIMIT: Duration = Duration::from_secs(20);

/// Between two looks; processes that are not our children tell no event.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    /// Its command line.
    pub(crate) words: Vec<String>,
}

/// Identifies a namespace: the file that stands for it.
pub(crate) type NamespaceId = (u64, u64);

/// Which namespace a file (`/run/netns/...`, `/proc/.../ns/net`) stands for.
pub(crate) fn namespace(path: &Path) -> Option<NamespaceId> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// All processes in these network namespaces.
pub(crate) fn within(namespaces: &BTreeSet<NamespaceId>) -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let inside = namespace(&entry.path().join("ns/net")).is_some_and(|id| namespaces.contains(&id));
        if inside && i64::from(pid) != i64::from(std::process::id()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
            found.push(Process { pid, words: words.filter(|word| !word.is_empty()).collect() });
        }
    }
    Ok(found)
}

/// Sends a signal; a process that has ended meanwhile is no matter.
pub(crate) fn signal(processes: &[Process], signal: Signal) {
    for process in processes {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// Kills what `look` finds until it finds nothing; returns how many that were.
pub(super) fn kill_until_gone(look: impl Fn() -> Result<Vec<Process>>) -> Result<usize> {
    let deadline = Instant::now() + END_LIMIT;
    let mut killed = BTreeSet::new();
    loop {
        let alive = look()?;
        if alive.is_empty() {
            return Ok(killed.len());
        }
        if Instant::now() >= deadline {
            bail!("processes do not end: {alive:?}");
        }
        killed.extend(alive.iter().map(|process| process.pid));
        signal(&alive, Signal::SIGKILL);
        sleep(LOOK_PERIOD);
    }
}
