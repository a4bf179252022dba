//! What this machine says of itself: memory, CPUs, disk, kernel, names. Read from `/proc`, `/sys` and `/etc`.
//! Main functions: [`facts`] for a plan, [`app_armor`], [`node_info`] for `status.nodeInfo`.

use std::fs;
use std::path::Path;

use ::kubelet::node::{Facts, Silence};
use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};

/// Most pods of a node; upstream's default.
const PODS_MAX: i64 = 110;

/// A small text of the system, trimmed; empty where there is none.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What the machine has, now. `disk` is the folder that pods write to.
pub fn facts(disk: &Path, runtime_silence: Option<Silence>, network_error: Option<String>) -> Facts {
    let memory = text("/proc/meminfo");
    let (mut facts, cpus) = (Facts::default(), std::thread::available_parallelism().map_or(1, usize::from));
    facts.cpu_milli = i64::try_from(cpus).unwrap_or(1) * 1000;
    facts.memory_bytes = meminfo(&memory, "MemTotal");
    facts.memory_bytes_free = meminfo(&memory, "MemAvailable");
    facts.pods_max = PODS_MAX;
    if let Ok(disk) = statvfs(disk) {
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(disk.fragment_size())).unwrap_or(i64::MAX);
        // Blocks that the system keeps from us are no room of ours.
        let kept = disk.blocks_free().saturating_sub(disk.blocks_available());
        (facts.disk_bytes, facts.disk_bytes_free) =
            (bytes(disk.blocks().saturating_sub(kept)), bytes(disk.blocks_available()));
        // A file system without inodes of its own says zero.
        facts.inodes = (disk.files() > 0).then(|| (disk.files_free(), disk.files()));
    }
    facts.pids = pids(&text("/proc/loadavg"), &text("/proc/sys/kernel/pid_max"));
    (facts.runtime_silence, facts.network_error) = (runtime_silence, network_error);
    facts
}

/// AppArmor profiles that the kernel has, by name; `None` where it has no AppArmor.
pub fn app_armor() -> Option<Vec<String>> {
    let is_on = text("/sys/module/apparmor/parameters/enabled").starts_with('Y');
    let loaded = is_on.then(|| text("/sys/kernel/security/apparmor/profiles"))?;
    // Each line is a name and, in parentheses, a mode.
    Some(loaded.lines().filter_map(|line| Some(line.rsplit_once(" (")?.0.to_owned())).collect())
}

/// Bytes of a row of `/proc/meminfo`, which counts in KiB.
fn meminfo(text: &str, row: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<i64>().ok());
    number.unwrap_or(0).saturating_mul(1024)
}

/// Processes in use and all: the fourth field of `/proc/loadavg` is `running/all`.
fn pids(loadavg: &str, max: &str) -> Option<(u64, u64)> {
    let used = loadavg.split(' ').nth(3)?.split('/').nth(1)?.parse().ok()?;
    Some((used, max.parse().ok()?))
}

/// The architecture as Go names it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "x86" => "386",
        other => other,
    }
}

/// `status.nodeInfo`.
pub fn node_info(runtime: &str) -> Value {
    let release = text("/etc/os-release");
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    let machine = text("/etc/machine-id");
    let system = text("/sys/class/dmi/id/product_uuid");
    json!({
        "machineID": machine,
        "systemUUID": if system.is_empty() { &machine } else { &system },
        "bootID": text("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": text("/proc/sys/kernel/osrelease"),
        "osImage": pretty.trim_matches('"'),
        "containerRuntimeVersion": runtime,
        "kubeletVersion": apiserver::documents::GIT_VERSION,
        // Deprecated, and still shown by clients.
        "kubeProxyVersion": apiserver::documents::GIT_VERSION,
        "operatingSystem": "linux",
        "architecture": architecture(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system_are_read() {
        let memory = "MemTotal:       24689764 kB\nMemAvailable:    1024 kB\n";
        assert_eq!((meminfo(memory, "MemTotal"), meminfo(memory, "MemAvailable")), (24_689_764 * 1024, 1 << 20));
        assert_eq!(meminfo(memory, "Mem"), 0);
        assert_eq!(pids("0.5 0.4 0.3 2/345 9999", "32768"), Some((345, 32768)));
        assert_eq!(pids("", "32768"), None);
    }

    #[test]
    fn this_machine_has_memory_cpus_and_a_kernel() {
        let facts = facts(Path::new("/"), None, None);
        assert!(facts.memory_bytes > 0 && facts.cpu_milli >= 1000 && facts.disk_bytes > 0);
        assert_ne!(node_info("containerd://1")["kernelVersion"], "");
    }
}
