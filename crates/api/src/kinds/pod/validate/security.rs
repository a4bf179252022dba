//! As whom and with what rights containers run. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#security-context>.

use serde_json::Value;

use super::{
    super::super::read::{is_true, items, text},
    words::{descending, id, optional},
};
use crate::field::{Errors, Path};

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

/// Longest path of a file.
const PROFILE_MAX: usize = 4095;

/// Longest name of a kernel parameter.
const SYSCTL_MAX: usize = 253;

/// Kernel parameters of the network and of inter-process communication, by their beginnings.
const NETWORK: &[&str] = &["net."];
const COMMUNICATION: &[&str] = &["kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue."];

/// `securityContext` of a pod.
pub(super) fn of_pod(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(context) = spec.get("securityContext") else { return };
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(context.get(field), &path.child(field), errors);
    }
    let groups = path.child("supplementalGroups");
    for (index, group) in items(context, "/supplementalGroups").iter().enumerate() {
        id(Some(group), &groups.index(index), errors);
    }
    if is_true(spec, "/shareProcessNamespace") && is_true(spec, "/hostPID") {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(&path.child("shareProcessNamespace"), true, why);
    }
    sysctls(spec, context, &path.child("sysctls"), errors);
    let choices: [(&str, &[&str]); 3] = [
        ("fsGroupChangePolicy", &["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", &["Merge", "Strict"]),
        ("seLinuxChangePolicy", &["MountOption", "Recursive"]),
    ];
    for (field, allowed) in choices {
        optional(context.get(field), allowed, &path.child(field), errors);
    }
    seccomp(context, &path.child("seccompProfile"), errors);
    app_armor(context, &path.child("appArmorProfile"), errors);
}

/// `securityContext` of a container.
pub(super) fn of_container(spec: &Value, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(context) = container.get("securityContext") else { return };
    for field in ["runAsUser", "runAsGroup"] {
        id(context.get(field), &path.child(field), errors);
    }
    optional(context.get("procMount"), &["Default", "Unmasked"], &path.child("procMount"), errors);
    let own_users = spec.get("hostUsers") == Some(&Value::Bool(false));
    if text(context, "/procMount") == "Unmasked" && !own_users {
        errors.invalid(&path.child("procMount"), "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    seccomp(context, &path.child("seccompProfile"), errors);
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        if is_true(context, "/privileged") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.invalid(path, context.clone(), why);
        }
        if items(context, "/capabilities/add").iter().any(|one| one == "CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid(path, context.clone(), why);
        }
    }
    app_armor(context, &path.child("appArmorProfile"), errors);
}

/// A pod with users of its own shares no other namespace with the host.
pub(super) fn user_namespace(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    if spec.get("hostUsers") != Some(&Value::Bool(false)) {
        return;
    }
    // The odd capitals are upstream's.
    for (field, told) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.get(field) == Some(&Value::Bool(true)) {
            errors.forbidden(&path.child(told), "when `pod.Spec.HostUsers` is false");
        }
    }
}

fn seccomp(context: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = context.get("seccompProfile") else { return };
    match text(profile, "/type") {
        "" => errors.required(&path.child("type"), "type is required when seccompProfile is set"),
        known if PROFILES.contains(&known) => {}
        other => errors.not_supported(&path.child("type"), other, PROFILES),
    }
    let (file, local) = (profile.get("localhostProfile").and_then(Value::as_str), path.child("localhostProfile"));
    match (text(profile, "/type"), file) {
        ("Localhost", None) => errors.required(&local, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => descending(file, &local, errors),
        (_, Some(_)) => errors.invalid(&local, profile.clone(), "can only be set when seccomp type is Localhost"),
        (_, None) => {}
    }
}

fn app_armor(context: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = context.get("appArmorProfile") else { return };
    let (file, local) = (profile.get("localhostProfile").and_then(Value::as_str), path.child("localhostProfile"));
    match (text(profile, "/type"), file) {
        ("Localhost", None | Some("")) => errors.required(&local, "must be set when AppArmor type is Localhost"),
        ("Localhost", Some(file)) => {
            if file.trim() != file {
                errors.invalid(&local, file, "must not be padded with whitespace");
            }
            if file.len() > PROFILE_MAX {
                errors.too_long(&local, PROFILE_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            errors.invalid(&local, file, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.required(&path.child("type"), "type is required when appArmorProfile is set"),
        (other, _) => errors.not_supported(&path.child("type"), other, PROFILES),
    }
}

fn sysctls(spec: &Value, context: &Value, path: &Path<'_>, errors: &mut Errors) {
    let sysctls = items(context, "/sysctls");
    for (index, sysctl) in sysctls.iter().enumerate() {
        let (path, name) = (path.index(index), text(sysctl, "/name"));
        let path = path.child("name");
        if name.is_empty() {
            errors.required(&path, "");
        } else if !is_sysctl(name) {
            const FORMAT: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.invalid(&path, name, format!("must have at most {SYSCTL_MAX} characters and match regex {FORMAT}"));
        } else if sysctls[..index].iter().any(|other| text(other, "/name") == name) {
            errors.duplicate(&path, name);
        }
        let dotted = name.replace('/', ".");
        let within = |beginnings: &[&str]| beginnings.iter().any(|beginning| dotted.starts_with(beginning));
        if is_true(spec, "/hostNetwork") && within(NETWORK) {
            errors.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
        } else if is_true(spec, "/hostIPC") && within(COMMUNICATION) {
            errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let sound = |segment: &str| {
        segment.starts_with(edge) && segment.ends_with(edge) && segment.chars().all(|c| edge(c) || c == '-' || c == '_')
    };
    name.len() <= SYSCTL_MAX && name.split(['.', '/']).all(sound)
}
