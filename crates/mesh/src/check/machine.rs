//! What a machine offers: read from `/proc`, `/sys` and the file system. Main type: [`Machine`].

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One machine, and this process on it. What cannot be read is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// Bytes free for us where the data directory lies.
    pub(crate) disk_free: u64,
    /// Bytes of that file system.
    pub(crate) disk_total: u64,
    /// Bytes that programs could still take.
    pub(crate) memory_free: u64,
    /// Bytes there are.
    pub(crate) memory_total: u64,
    /// Bytes that this process holds.
    pub(crate) held: u64,
    /// Files that this process has open.
    pub(crate) files: u64,
    /// Files that it may open.
    pub(crate) files_limit: u64,
}

impl Machine {
    /// As it is now; the nearest folder above `data_dir` counts where that is not there yet.
    pub(crate) fn look(data_dir: &Path) -> Self {
        let disk = nix::sys::statvfs::statvfs(nearest(data_dir)).ok();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self {
            disk_free: disk.map_or(0, |disk| disk.blocks_available() * disk.fragment_size()),
            disk_total: disk.map_or(0, |disk| disk.blocks() * disk.fragment_size()),
            memory_free: kib(&memory, "MemAvailable:"),
            memory_total: kib(&memory, "MemTotal:"),
            held: kib(&own, "VmRSS:"),
            files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
            files_limit: open_files(&limits),
        }
    }
}

/// The folder itself, or the nearest above it that is there.
pub(super) fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
}

/// A line of `/proc` that is in KiB, in bytes.
fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).map_or(0, |kib: u64| kib << 10)
}

/// The soft limit.
fn open_files(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    match line.split_whitespace().next() {
        Some("unlimited") => u64::MAX,
        word => word.and_then(|word| word.parse().ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_says_and_this_machine_says_something() {
        assert_eq!(kib("MemTotal:  16 kB\nMemAvailable:    8 kB\n", "MemAvailable:"), 8192);
        assert_eq!([kib("", "VmRSS:"), kib("VmRSS: many\n", "VmRSS:")], [0, 0]);
        assert_eq!(open_files("Max open files            1024                 4096                 files"), 1024);
        assert_eq!(open_files("Max open files            unlimited            unlimited            files"), u64::MAX);
        let machine = Machine::look(Path::new("/none/such"));
        assert!(machine.disk_total > 0 && machine.memory_total > 0 && machine.held > 0 && machine.files > 0);
    }
}
