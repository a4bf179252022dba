//! The low-level runtime's description of a container, made from a pod's. Pure. Main item: [`container`].
//! Spec: <https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md>. Left out: SELinux.

pub(crate) mod devices;
mod seccomp;
mod user;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub(crate) use user::{Resolved, resolve};

use crate::{ContainerSpec, ExecSpec, ImageConfig, Mount, Namespaces, Propagation, RuntimeError, host::Host};

/// What a container may do unless told otherwise; without `CAP_`. The set that containerd and Docker give.
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Seen as empty, unless privileged: they tell about, or reach, the host.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Cannot be written, unless privileged.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Where programs are looked for, if the image does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Kernel settings that belong to a pod's own namespaces; the others are the host's.
const NETWORK_SYSCTLS: &str = "net.";
const IPC_SYSCTLS: &[&str] = &["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."];

/// All that a container's description follows from.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) spec: &'a ContainerSpec,
    pub(crate) image: &'a ImageConfig,
    pub(crate) user: Resolved,
    pub(crate) namespaces: &'a Namespaces,
    /// The sandbox's pinned namespaces and its `/dev/shm`.
    pub(crate) ipc: PathBuf,
    pub(crate) uts: PathBuf,
    pub(crate) shm: PathBuf,
    /// The process namespace that it is not the first in.
    pub(crate) pid: Option<PathBuf>,
    pub(crate) cgroup: &'a Path,
    /// The host has one hierarchy.
    pub(crate) cgroup_unified: bool,
    pub(crate) host: &'a Host,
    /// The host's device nodes, for a privileged container.
    pub(crate) devices: Vec<Value>,
}

/// Describes a container.
pub(crate) fn container(input: &Input<'_>) -> Result<Value, RuntimeError> {
    let (spec, security) = (input.spec, &input.spec.security);
    let mut linux = json!({
        "cgroupsPath": input.cgroup,
        "namespaces": namespaces(input),
        "resources": resources(input),
    });
    let capabilities = capabilities(input)?;
    if let Some(filter) = seccomp::filter(&security.seccomp, &capabilities, input.host)? {
        linux["seccomp"] = filter;
    }
    if security.privileged {
        linux["devices"] = json!(input.devices);
    } else {
        linux["maskedPaths"] = json!(MASKED);
        linux["readonlyPaths"] = json!(READ_ONLY);
    }
    if spec.mounts.iter().any(|mount| mount.propagation != Propagation::Private) {
        linux["rootfsPropagation"] = json!("rslave");
    }
    if spec.mounts.iter().any(|mount| mount.propagation == Propagation::Both) {
        linux["rootfsPropagation"] = json!("rshared");
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": security.read_only_root },
        "process": process(input, &capabilities)?,
        "mounts": mounts(input)?,
        "linux": linux,
    }))
}

/// Describes a command in a container, from the container's description.
pub(crate) fn exec(container: &Value, spec: &ExecSpec) -> Result<Value, RuntimeError> {
    if spec.command.is_empty() {
        return Err(RuntimeError::Invalid { field: "command", value: String::new(), reason: "nothing to run".into() });
    }
    let mut process = container["process"].clone();
    process["args"] = json!(spec.command);
    process["terminal"] = json!(spec.tty);
    if spec.tty {
        set_term(&mut process);
    }
    Ok(process)
}

/// Refuses kernel settings that would change the host.
pub(crate) fn check_sysctls<'a>(
    names: impl Iterator<Item = &'a String>,
    namespaces: &Namespaces,
) -> Result<(), RuntimeError> {
    for name in names {
        let network = name.starts_with(NETWORK_SYSCTLS) && namespaces.network.is_some();
        let ipc = IPC_SYSCTLS.iter().any(|prefix| name.starts_with(prefix)) && !namespaces.host_ipc;
        let plain = name.split('.').all(|part| !part.is_empty() && !part.contains('/'));
        if !plain || !(network || ipc) {
            return Err(RuntimeError::Invalid {
                field: "sysctl",
                value: name.clone(),
                reason: "is not of the pod's own namespaces; set it on the host".into(),
            });
        }
    }
    Ok(())
}

fn process(input: &Input<'_>, capabilities: &[String]) -> Result<Value, RuntimeError> {
    let (spec, security, image) = (input.spec, &input.spec.security, input.image);
    let mut groups = if security.strict_groups { Vec::new() } else { input.user.groups.clone() };
    for group in &security.groups {
        if !groups.contains(group) {
            groups.push(*group);
        }
    }
    let cwd = spec.working_dir.clone().unwrap_or_else(|| image.working_dir.clone().into());
    let cwd = if cwd.as_os_str().is_empty() { PathBuf::from("/") } else { cwd };
    // A process that is not root has them only through files, as with any other runtime.
    let effective = if input.user.uid == 0 { capabilities } else { &[] };
    let mut process = json!({
        "args": arguments(spec, image)?,
        "env": environment(spec, image),
        "cwd": cwd,
        "terminal": spec.tty,
        "user": { "uid": input.user.uid, "gid": input.user.gid, "additionalGids": groups },
        "capabilities": { "bounding": capabilities, "effective": effective, "permitted": effective },
        "noNewPrivileges": security.no_new_privileges,
        "rlimits": rlimits(input)?,
    });
    if let Some(profile) = &security.app_armor {
        process["apparmorProfile"] = json!(profile);
    }
    if let Some(adjustment) = spec.resources.oom_score_adj {
        process["oomScoreAdj"] = json!(input.host.clamp_oom_score_adj(adjustment));
    }
    if spec.tty {
        set_term(&mut process);
    }
    Ok(process)
}

fn set_term(process: &mut Value) {
    if let Some(env) = process["env"].as_array_mut()
        && !env.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with("TERM=")))
    {
        env.push(json!("TERM=xterm"));
    }
}

/// What a container runs: the pod's word, then the image's.
pub(crate) fn arguments(spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<String>, RuntimeError> {
    let entrypoint = if spec.command.is_empty() { &image.entrypoint } else { &spec.command };
    let image_command: &[String] = if spec.command.is_empty() { &image.command } else { &[] };
    let arguments = if spec.args.is_empty() { image_command } else { &spec.args };
    let all: Vec<String> = entrypoint.iter().chain(arguments).cloned().collect();
    if all.is_empty() {
        let reason = "neither it nor the pod says what to run; set command".to_owned();
        return Err(RuntimeError::Invalid { field: "image", value: spec.image.clone(), reason });
    }
    Ok(all)
}

fn environment(spec: &ContainerSpec, image: &ImageConfig) -> Vec<String> {
    let own = spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    let mut all: Vec<String> = Vec::new();
    for one in std::iter::once(PATH.to_owned()).chain(image.env.iter().cloned()).chain(own) {
        let name = one.split('=').next().unwrap_or_default();
        match all.iter_mut().find(|known| known.split('=').next() == Some(name)) {
            Some(known) => *known = one,
            None => all.push(one),
        }
    }
    all
}

fn capabilities(input: &Input<'_>) -> Result<Vec<String>, RuntimeError> {
    let security = &input.spec.security;
    let named = |names: &[String]| -> Result<Vec<String>, RuntimeError> {
        let mut found = Vec::new();
        for name in names {
            let plain = name.to_uppercase();
            let plain = plain.strip_prefix("CAP_").unwrap_or(&plain);
            match plain {
                "ALL" => found.extend(input.host.capabilities().iter().map(|one| (*one).to_owned())),
                known if Host::is_capability(known) => found.push(known.to_owned()),
                _ => {
                    let reason = "is no capability".to_owned();
                    return Err(RuntimeError::Invalid { field: "capability", value: name.clone(), reason });
                }
            }
        }
        Ok(found)
    };
    let (add, drop) = (named(&security.add_capabilities)?, named(&security.drop_capabilities)?);
    let everything = security.drop_capabilities.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
    let default: &[&str] = match (security.privileged, everything) {
        (true, _) => input.host.capabilities(),
        (false, true) => &[],
        (false, false) => CAPABILITIES,
    };
    let mut all: Vec<String> = default.iter().map(|name| (*name).to_owned()).collect();
    all.retain(|name| security.privileged || !drop.contains(name));
    all.extend(add);
    all.sort();
    all.dedup();
    all.retain(|name| input.host.capabilities().contains(&name.as_str()));
    Ok(all.into_iter().map(|name| format!("CAP_{name}")).collect())
}

fn rlimits(input: &Input<'_>) -> Result<Vec<Value>, RuntimeError> {
    let limit = |wanted: &crate::Rlimit| {
        if !Host::is_limit(&wanted.name) {
            let reason = "is no limit".to_owned();
            return Err(RuntimeError::Invalid { field: "rlimit", value: wanted.name.clone(), reason });
        }
        let limit = input.host.clamp(wanted);
        Ok(json!({ "type": limit.name, "soft": limit.soft, "hard": limit.hard }))
    };
    input.spec.security.rlimits.iter().map(limit).collect()
}

fn namespaces(input: &Input<'_>) -> Vec<Value> {
    let mut all = vec![json!({ "type": "mount" })];
    if let Some(network) = &input.namespaces.network {
        all.push(json!({ "type": "network", "path": network }));
        all.push(json!({ "type": "uts", "path": input.uts }));
    }
    if !input.namespaces.host_ipc {
        all.push(json!({ "type": "ipc", "path": input.ipc }));
    }
    match &input.pid {
        _ if input.namespaces.host_pid => {}
        Some(path) => all.push(json!({ "type": "pid", "path": path })),
        None => all.push(json!({ "type": "pid" })),
    }
    if input.cgroup_unified && !input.spec.security.privileged {
        all.push(json!({ "type": "cgroup" }));
    }
    all
}

fn resources(input: &Input<'_>) -> Value {
    let (wanted, privileged) = (&input.spec.resources, input.spec.security.privileged);
    let mut cpu = serde_json::Map::new();
    cpu.extend(wanted.cpu_shares.map(|shares| ("shares".to_owned(), json!(shares))));
    cpu.extend(wanted.cpu_quota.map(|quota| ("quota".to_owned(), json!(quota))));
    cpu.extend(wanted.cpu_period.map(|period| ("period".to_owned(), json!(period))));
    let mut all = json!({ "devices": [{ "allow": privileged, "access": "rwm" }], "cpu": cpu });
    if let Some(bytes) = wanted.memory_bytes_max {
        all["memory"] = json!({ "limit": bytes });
    }
    if let Some(pids) = wanted.pids_max {
        all["pids"] = json!({ "limit": pids });
    }
    all
}

fn mounts(input: &Input<'_>) -> Result<Vec<Value>, RuntimeError> {
    let access = if input.spec.security.privileged { "rw" } else { "ro" };
    let system = |target: &str, kind: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    let shm = if input.namespaces.host_ipc { Path::new("/dev/shm") } else { &input.shm };
    let mut all = vec![
        system("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        system("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        system("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        system("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        system("/sys", "sysfs", &["nosuid", "noexec", "nodev", access]),
        system("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", access]),
        json!({ "destination": "/dev/shm", "type": "bind", "source": shm, "options": ["rbind", "nosuid", "nodev", "noexec"] }),
    ];
    let mut own: Vec<&Mount> = input.spec.mounts.iter().collect();
    // Parents before what is mounted inside them.
    own.sort_by_key(|mount| mount.target.components().count());
    for mount in own {
        for (field, path) in [("mount source", &mount.source), ("mount target", &mount.target)] {
            if !path.is_absolute() {
                let (value, reason) = (path.display().to_string(), "is not absolute".to_owned());
                return Err(RuntimeError::Invalid { field, value, reason });
            }
        }
        // A caller's mount replaces ours at the same place.
        all.retain(|known| known["destination"].as_str() != mount.target.to_str());
        let propagation = match mount.propagation {
            Propagation::Private => "rprivate",
            Propagation::FromHost => "rslave",
            Propagation::Both => "rshared",
        };
        let options = ["rbind", propagation, if mount.read_only { "ro" } else { "rw" }];
        all.push(json!({ "destination": mount.target, "type": "bind", "source": mount.source, "options": options }));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
