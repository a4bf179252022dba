//! Which system calls a container may make. Pure. Main function: [`filter`].
//! Spec: <https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config-linux.md#seccomp>, `seccomp(2)`.
//!
//! `RuntimeDefault` allows what programs need and refuses the rest with `EPERM`: what reaches the host beyond the
//! container's namespaces, what its capabilities do not cover, and what the kernel has kept for old programs only.

use oci_spec::runtime::LinuxSeccomp;
use serde_json::{Value, json};

use crate::{RuntimeError, Seccomp, host::Host};

/// What any container may call.
const SYSCALLS: &str = include_str!("syscalls.txt");

/// What needs a capability in the kernel's eyes as well: without it these are not even tried.
const GATED: &[(&str, &str)] = &[
    ("CAP_BPF", "bpf"),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount \
         open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount \
         umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
];

/// Execution domains that are Linux as usual, with 32-bit addresses or old `uname` words; the last only asks.
const PERSONALITIES: [u32; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Every flag of `clone` that makes a namespace.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// Sockets of the hypervisor know no namespaces.
const AF_VSOCK: u64 = 40;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The filter of a container with these capabilities (`CAP_...`); `None`: none.
///
/// # Errors
/// Where the profile is no such description, or the host has no filters.
pub(crate) fn filter(wanted: &Seccomp, capabilities: &[String], host: &Host) -> Result<Option<Value>, RuntimeError> {
    match wanted {
        Seccomp::Unconfined => Ok(None),
        Seccomp::RuntimeDefault => Ok(host.has_seccomp().then(|| default(capabilities))),
        Seccomp::Profile { name, .. } if !host.has_seccomp() => Err(invalid(name, "seccomp is not supported")),
        Seccomp::Profile { name, text } => parse(text).map(Some).map_err(|why| invalid(name, why)),
    }
}

fn invalid(name: &str, reason: impl ToString) -> RuntimeError {
    RuntimeError::Invalid { field: "seccomp profile", value: name.to_owned(), reason: reason.to_string() }
}

/// Read as its type, so that the low-level runtime sees nothing else.
fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_slice::<LinuxSeccomp>(text)?)
}

fn default(capabilities: &[String]) -> Value {
    let has = |capability: &str| capabilities.iter().any(|one| one == capability);
    let mut names: Vec<&str> = SYSCALLS.split_whitespace().collect();
    for (_, more) in GATED.iter().filter(|(capability, _)| has(capability)) {
        names.extend(more.split_whitespace());
    }
    names.sort_unstable();
    names.dedup();
    let mut rules = vec![json!({ "names": names, "action": "SCMP_ACT_ALLOW" })];
    rules.extend(PERSONALITIES.map(|domain| allow_if("personality", domain.into(), "SCMP_CMP_EQ", None)));
    rules.push(allow_if("socket", AF_VSOCK, "SCMP_CMP_NE", None));
    if !has("CAP_SYS_ADMIN") {
        rules.push(allow_if("clone", CLONE_NAMESPACES, "SCMP_CMP_MASKED_EQ", Some(0)));
        // Its flags are behind a pointer, which no filter can follow: without it, C libraries take `clone`.
        rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": architectures(),
        "syscalls": rules,
    })
}

/// Allows a call by its first argument.
fn allow_if(name: &str, value: u64, op: &str, value_two: Option<u64>) -> Value {
    let mut argument = json!({ "index": 0, "value": value, "op": op });
    if let Some(two) = value_two {
        argument["valueTwo"] = json!(two);
    }
    json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument] })
}

/// What one kernel runs programs of.
fn architectures() -> &'static [&'static str] {
    match std::env::consts::ARCH {
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(capabilities: &[&str]) -> Vec<Value> {
        let capabilities: Vec<String> = capabilities.iter().map(|one| (*one).to_owned()).collect();
        let typed: LinuxSeccomp = serde_json::from_value(default(&capabilities)).expect("it is of that type");
        serde_json::to_value(typed).expect("JSON")["syscalls"].as_array().expect("a list").clone()
    }

    /// Whether a call is allowed without a look at its arguments.
    fn check(capabilities: &[&str], call: &str, expect: bool) {
        let all = rules(capabilities);
        let names = all[0]["names"].as_array().expect("names");
        assert_eq!(names.iter().any(|name| name == call), expect, "{call} with {capabilities:?}");
    }

    #[test]
    fn a_capability_brings_its_calls() {
        check(&[], "openat", true);
        check(&[], "mount", false);
        check(&["CAP_SYS_ADMIN"], "mount", true);
        check(&["CAP_SYS_ADMIN"], "clone3", true);
        check(&["CAP_SYS_TIME"], "clock_settime", true);
        check(&["CAP_SYS_TIME"], "mount", false);
    }

    #[test]
    fn what_reaches_the_host_is_never_allowed() {
        for call in ["kexec_load", "add_key", "keyctl", "userfaultfd", "io_uring_setup", "pivot_root", "swapon"] {
            check(&["CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_MODULE"], call, false);
        }
    }

    #[test]
    fn namespaces_are_made_only_by_administrators() {
        let of_clone = |all: Vec<Value>| all.into_iter().filter(|rule| rule["names"][0] == "clone").collect::<Vec<_>>();
        let masked = json!([{ "index": 0, "value": CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }]);
        assert_eq!(of_clone(rules(&[]))[0]["args"], masked);
        assert!(of_clone(rules(&["CAP_SYS_ADMIN"])).is_empty());
    }

    #[test]
    fn a_profile_is_taken_as_it_is_or_refused_by_name() {
        let host = Host::read().expect("this is Linux");
        let given = |text: &str| {
            filter(&Seccomp::Profile { name: "p.json".into(), text: text.as_bytes().into() }, &[], &host)
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            given(r#"{"defaultAction":"SCMP_ACT_LOG","more":1}"#),
            Ok(Some(json!({ "defaultAction": "SCMP_ACT_LOG" })))
        );
        let refused = given(r#"{"defaultAction":"SCMP_ACT_NONE"}"#).expect_err("no such action");
        assert!(refused.starts_with(r#"seccomp profile "p.json": unknown variant"#), "{refused}");
        assert!(given("{").is_err());
    }
}
