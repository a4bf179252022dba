//! What this host lets a container have: capabilities, limits, protection from the OOM killer. Main type: [`Host`].
//!
//! A host without `CAP_SYS_RESOURCE`, as a container mostly is, refuses what an ordinary one grants. Asked for more, we
//! give what there is. The runtime is taken to be bound as we are.

use std::{collections::HashMap, fs, io};

use crate::Rlimit;

/// Capabilities by number, see `capabilities(7)`.
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Limits, as `setrlimit` and as `/proc/self/limits` name them.
const LIMITS: &[(&str, &str)] = &[
    ("RLIMIT_AS", "Max address space"),
    ("RLIMIT_CORE", "Max core file size"),
    ("RLIMIT_CPU", "Max cpu time"),
    ("RLIMIT_DATA", "Max data size"),
    ("RLIMIT_FSIZE", "Max file size"),
    ("RLIMIT_LOCKS", "Max file locks"),
    ("RLIMIT_MEMLOCK", "Max locked memory"),
    ("RLIMIT_MSGQUEUE", "Max msgqueue size"),
    ("RLIMIT_NICE", "Max nice priority"),
    ("RLIMIT_NOFILE", "Max open files"),
    ("RLIMIT_NPROC", "Max processes"),
    ("RLIMIT_RTPRIO", "Max realtime priority"),
    ("RLIMIT_SIGPENDING", "Max pending signals"),
    ("RLIMIT_STACK", "Max stack size"),
];

/// What this host grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// Without `CAP_`.
    capabilities: Vec<&'static str>,
    /// Hard limits that cannot be passed.
    limits: HashMap<&'static str, u64>,
    /// The lowest OOM score adjustment that can be given.
    oom_score_adj_min: i32,
    /// The kernel filters system calls.
    seccomp: bool,
}

impl Host {
    /// Looks at our own process.
    pub(crate) fn read() -> io::Result<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}"));
        Ok(Self::parse(&read("status")?, &read("limits")?, &read("oom_score_adj")?))
    }

    fn parse(status: &str, limits: &str, oom_score_adj: &str) -> Self {
        let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        let bounding = bounding.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        let capabilities = CAPABILITIES.iter().enumerate().filter(|(bit, _)| bounding & (1 << bit) != 0);
        let capabilities: Vec<&'static str> = capabilities.map(|(_, name)| *name).collect();
        let bound = !capabilities.contains(&"SYS_RESOURCE");
        let hard = |row: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(row))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        let limits = LIMITS.iter().filter_map(|(name, row)| Some((*name, hard(row)?))).filter(|_| bound).collect();
        let oom_score_adj_min = if bound { oom_score_adj.trim().parse().unwrap_or(0) } else { -1000 };
        let seccomp = status.lines().any(|line| line.starts_with("Seccomp:"));
        Self { capabilities, limits, oom_score_adj_min, seccomp }
    }

    /// Whether system calls can be filtered.
    pub(crate) fn has_seccomp(&self) -> bool {
        self.seccomp
    }

    /// All capabilities that can be given, without `CAP_`.
    pub(crate) fn capabilities(&self) -> &[&'static str] {
        &self.capabilities
    }

    /// The adjustment, or the nearest one that can be given.
    pub(crate) fn clamp_oom_score_adj(&self, wanted: i32) -> i32 {
        wanted.clamp(self.oom_score_adj_min, 1000)
    }

    /// The limit, or the nearest one that can be given.
    pub(crate) fn clamp(&self, wanted: &Rlimit) -> Rlimit {
        let max = self.limits.get(wanted.name.as_str()).copied().unwrap_or(u64::MAX);
        let hard = wanted.hard.min(max);
        Rlimit { name: wanted.name.clone(), soft: wanted.soft.min(hard), hard }
    }

    /// Whether this is a limit at all.
    pub(crate) fn is_limit(name: &str) -> bool {
        LIMITS.iter().any(|(known, _)| *known == name) || name == "RLIMIT_RSS" || name == "RLIMIT_RTTIME"
    }

    /// Whether this is a capability at all; without `CAP_`.
    pub(crate) fn is_capability(name: &str) -> bool {
        CAPABILITIES.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS_FILE: &str = "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   20000   files\nMax stack size  8388608  unlimited  bytes\n";

    fn check(bounding: &str, (soft, hard): (u64, u64), adjustment: i32, expect: (u64, u64, i32)) {
        let host = Host::parse(&format!("Name:\tx\nCapBnd:\t{bounding}\n"), LIMITS_FILE, "200\n");
        let limit = host.clamp(&Rlimit { name: "RLIMIT_NOFILE".into(), soft, hard });
        assert_eq!((limit.soft, limit.hard, host.clamp_oom_score_adj(adjustment)), expect, "{bounding}");
    }

    #[test]
    fn a_bound_host_gives_what_it_has() {
        check("000001fffeffffff", (65536, 65536), -997, (20000, 20000, 200));
        check("000001fffeffffff", (100, 200), 900, (100, 200, 900));
        check("000001ffffffffff", (65536, 65536), -997, (65536, 65536, -997));
    }

    #[test]
    fn capabilities_are_named() {
        let host = Host::parse("CapBnd:\t0000000000000401\n", "", "");
        assert_eq!(host.capabilities(), ["CHOWN", "NET_BIND_SERVICE"]);
        assert_eq!(CAPABILITIES.len(), 41);
    }
}
