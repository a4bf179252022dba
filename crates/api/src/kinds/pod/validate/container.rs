//! Containers: regular ones, init containers (also those that go on running), ephemeral ones.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container>.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::super::read::{items, text},
    Scope, env, mount, probe, resources, security,
    words::{self, choice, label, port_name, port_number, present},
};
use crate::field::{Errors, Path};

const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];

const MESSAGE_POLICIES: &[&str] = &["File", "FallbackToLogsOnError"];

const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

const RESTART_POLICIES: &[&str] = &["Always", "Never", "OnFailure"];

/// Most exit codes that a rule names.
const EXIT_CODES_MAX: usize = 255;

/// Most rules of a container.
const RULES_MAX: usize = 20;

/// Fields that only a container of the pod's own may have.
const NOT_EPHEMERAL: &[&str] = &[
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// Fields that mean something only while a container goes on running.
const ONLY_RUNNING: &[&str] = &["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

/// Names in use: of regular containers, and of these and init containers.
type Names<'a> = BTreeSet<&'a str>;

/// All containers of a spec.
pub(super) fn all(scope: &Scope<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut names = Names::new();
    regular(scope, &mut names, &path.child("containers"), errors);
    initial(scope, &mut names, &path.child("initContainers"), errors);
    ephemeral(scope, &mut names, &path.child("ephemeralContainers"), errors);
}

fn regular<'a>(scope: &Scope<'a>, names: &mut Names<'a>, path: &Path<'_>, errors: &mut Errors) {
    let containers = items(scope.spec, "/containers");
    if containers.is_empty() {
        return errors.required(path, "");
    }
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        common(scope, container, &path, errors);
        unique(container, names, &path, errors);
        probe::all(scope, container, &path, errors);
        restart_policy(container, RESTART_POLICIES, &path, errors);
    }
    host_ports(containers, path, errors);
}

fn initial<'a>(scope: &Scope<'a>, names: &mut Names<'a>, path: &Path<'_>, errors: &mut Errors) {
    for (index, container) in items(scope.spec, "/initContainers").iter().enumerate() {
        let list = path;
        let path = list.index(index);
        common(scope, container, &path, errors);
        restart_policy(container, RESTART_POLICIES, &path, errors);
        unique(container, names, &path, errors);
        // They run one after another, so each by itself.
        host_ports(std::slice::from_ref(container), list, errors);
        if text(container, "/restartPolicy") == "Always" {
            probe::all(scope, container, &path, errors);
            continue;
        }
        for field in ONLY_RUNNING.iter().filter(|field| container.get(**field).is_some()) {
            let why = "may not be set for init containers without restartPolicy=Always";
            errors.forbidden(&path.child(field), why);
        }
    }
}

fn ephemeral<'a>(scope: &Scope<'a>, names: &mut Names<'a>, path: &Path<'_>, errors: &mut Errors) {
    const WHY: &str = "cannot be set for an Ephemeral Container";
    let others = names.clone();
    for (index, container) in items(scope.spec, "/ephemeralContainers").iter().enumerate() {
        let path = path.index(index);
        common(scope, container, &path, errors);
        has_spaces_around(container, &path, errors);
        unique(container, names, &path, errors);
        let target = text(container, "/targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        let set = |field: &&&str| container.get(**field).is_some_and(|value| !is_empty(value));
        for field in NOT_EPHEMERAL.iter().filter(set) {
            errors.forbidden(&path.child(field), WHY);
        }
        let list = path.child("volumeMounts");
        for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
            for field in
                ["subPath", "subPathExpr"].into_iter().filter(|field| mount.get(field).is_some_and(|v| v != ""))
            {
                errors.forbidden(&list.index(index).child(field), WHY);
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        other => other.is_null(),
    }
}

/// An image's name has no spaces around it; templates have always been let off.
pub(super) fn has_spaces_around(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let image = text(container, "/image");
    if image.trim().len() != image.len() {
        errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
}

fn unique<'a>(container: &'a Value, names: &mut Names<'a>, path: &Path<'_>, errors: &mut Errors) {
    let name = text(container, "/name");
    if !name.is_empty() && !names.insert(name) {
        errors.duplicate(&path.child("name"), name);
    }
}

fn common(scope: &Scope<'_>, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let name = text(container, "/name");
    match name {
        "" => errors.required(&path.child("name"), ""),
        name => label(name, &path.child("name"), errors),
    }
    present(text(container, "/image"), &path.child("image"), errors);
    let policy = text(container, "/terminationMessagePolicy");
    choice(policy, MESSAGE_POLICIES, &path.child("terminationMessagePolicy"), errors);
    ports(container, &path.child("ports"), errors);
    env::variables(container, &path.child("env"), errors);
    env::sources(container, &path.child("envFrom"), errors);
    mount::mounts(scope, container, &path.child("volumeMounts"), errors);
    mount::devices(scope, container, &path.child("volumeDevices"), errors);
    choice(text(container, "/imagePullPolicy"), PULL_POLICIES, &path.child("imagePullPolicy"), errors);
    resources::of_container(scope.spec, container, &path.child("resources"), errors);
    resources::resize_policy(scope.spec, container, &path.child("resizePolicy"), errors);
    security::of_container(scope.spec, container, &path.child("securityContext"), errors);
}

fn ports(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (index, port) in items(container, "/ports").iter().enumerate() {
        let path = path.index(index);
        let (name, wrong) = (text(port, "/name"), port_name(text(port, "/name")));
        match name {
            "" => {}
            _ if !wrong.is_empty() => words::all(wrong, name, &path.child("name"), errors),
            _ if !names.insert(name) => errors.duplicate(&path.child("name"), name),
            _ => {}
        }
        let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or_default();
        match number("containerPort") {
            0 => errors.required(&path.child("containerPort"), ""),
            given => port_number(given, &path.child("containerPort"), errors),
        }
        match number("hostPort") {
            0 => {}
            given => port_number(given, &path.child("hostPort"), errors),
        }
        choice(text(port, "/protocol"), PROTOCOLS, &path.child("protocol"), errors);
    }
}

/// No two of these containers want the same port of the host.
fn host_ports(containers: &[Value], path: &Path<'_>, errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in items(container, "/ports").iter().enumerate() {
            let number = port.get("hostPort").and_then(Value::as_i64).unwrap_or_default();
            let wanted = format!("{}/{}/{number}", text(port, "/protocol"), text(port, "/hostIP"));
            if number != 0 && taken.contains(&wanted) {
                errors.duplicate(&path.index(index).child("hostPort"), wanted);
            } else {
                taken.insert(wanted);
            }
        }
    }
}

/// A container's own restart policy, and rules that go before it.
fn restart_policy(container: &Value, allowed: &[&str], path: &Path<'_>, errors: &mut Errors) {
    words::optional(container.get("restartPolicy"), allowed, &path.child("restartPolicy"), errors);
    let (rules, list) = (items(container, "/restartPolicyRules"), path.child("restartPolicyRules"));
    if rules.is_empty() {
        return;
    }
    if container.get("restartPolicy").is_none() {
        errors.required(&path.child("restartPolicy"), "must specify restartPolicy when restart rules are used");
    }
    if rules.len() > RULES_MAX {
        errors.too_many(&list, rules.len(), RULES_MAX);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = list.index(index);
        choice(text(rule, "/action"), &["Restart", "RestartAllContainers"], &path.child("action"), errors);
        exit_codes(rule, &path.child("exitCodes"), errors);
    }
}

fn exit_codes(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    if rule.get("exitCodes").is_none() {
        return errors.required(path, "must be specified");
    }
    choice(text(rule, "/exitCodes/operator"), &["In", "NotIn"], &path.child("operator"), errors);
    let (values, path) = (items(rule, "/exitCodes/values"), path.child("values"));
    match values.len() {
        0 => errors.invalid(&path, values.to_vec(), "must specify at least one value"),
        count if count > EXIT_CODES_MAX => errors.too_many(&path, count, EXIT_CODES_MAX),
        _ => {}
    }
}
