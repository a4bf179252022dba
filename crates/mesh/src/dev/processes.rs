//! The processes in a set of network namespaces, found by looking: nothing has to be remembered about them.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

/// How long killed processes may take to go: the kernel takes their memory and mounts down first.
const END_LIMIT: Duration = Duration::from_secs(20);

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

/// Kills what `look` finds until it finds nothing; returns how many that were. Then no thread of theirs is left, and what they
/// had opened or locked is free: `/proc` alone would show a process as empty before that.
pub(super) fn kill_until_gone(look: impl Fn() -> Result<Vec<Process>>) -> Result<usize> {
    let deadline = Instant::now() + END_LIMIT;
    let mut killed = BTreeSet::new();
    loop {
        let alive = look()?;
        if alive.is_empty() {
            return Ok(killed.len());
        }
        // All of them first: they end side by side.
        let ending = alive.iter().map(killed_one).collect::<Result<Vec<_>, _>>()?;
        for (process, ending) in alive.iter().zip(ending) {
            ensure!(ending.is_none_or(|ending| ended(&ending, deadline)), "{process:?} does not end");
            killed.insert(process.pid);
        }
    }
}

/// Kills a process; `None` where it is gone already.
fn killed_one(process: &Process) -> rustix::io::Result<Option<OwnedFd>> {
    let Some(pid) = rustix::process::Pid::from_raw(process.pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(ending) => {
            // One that is ending anyway is as good.
            let _ = pidfd_send_signal(&ending, rustix::process::Signal::KILL);
            Ok(Some(ending))
        }
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a process (pidfd_open(2)) ends before the deadline.
fn ended(process: &OwnedFd, deadline: Instant) -> bool {
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => {}
            found => return found.is_ok_and(|found| found > 0),
        }
    }
}
