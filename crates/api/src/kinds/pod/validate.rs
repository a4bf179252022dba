//! What a pod may be. Main functions: [`pod`], [`spec`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>; paths and words are upstream's.
//!
//! Its parts: `container` (all three sorts), `env`, `mount`, `probe`, `remote`, `resources`, `scheduling`, `security`, `volume`,
//! `words`. Leaves out what a Windows pod may not have, and deprecated annotations for seccomp and AppArmor.

use serde_json::Value;

use super::super::read::{entries, is_true, items, text};
use crate::{
    field::{Errors, Path},
    meta,
};

mod container;
mod env;
mod mount;
mod probe;
pub(in crate::kinds) mod remote;
pub(in crate::kinds) mod resources;
pub(in crate::kinds) mod scheduling;
mod security;
pub(in crate::kinds) mod volume;
pub(in crate::kinds) mod words;

use container::has_spaces_around;
use scheduling::tolerations;
pub(in crate::kinds) use words::qualified;
pub(super) use words::{address, subdomain};

/// What the parts of a spec need to know of the whole.
struct Scope<'a> {
    spec: &'a Value,
    /// The pod around it; none in a template.
    pod: Option<&'a Value>,
    /// Sound volumes.
    volumes: Vec<&'a Value>,
    /// Seconds its containers have to end.
    grace: Option<i64>,
}

/// Annotation that makes a pod the image of one that a node runs by itself.
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";

/// Annotation that says which pod of a set is dispensable.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

const POLICIES: &[&str] = &["Always", "OnFailure", "Never"];

const DNS_POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/// Name servers that a resolver looks at.
const NAMESERVERS_MAX: usize = 3;

/// Domains that a resolver tries.
const SEARCHES_MAX: usize = 32;

/// Characters of all of these, with spaces between.
const SEARCH_CHARACTERS_MAX: usize = 2048;

/// A whole pod.
pub(super) fn pod(pod: &Value, errors: &mut Errors) {
    annotations(pod, &Path::new("metadata").child("annotations"), errors);
    let (path, none) = (Path::new("spec"), Value::Null);
    let body = pod.get("spec").unwrap_or(&none);
    spec(body, Some(pod), &path, errors);
    if text(body, "/serviceAccountName").is_empty() {
        no_tokens(body, &path, errors);
    }
    for list in ["containers", "initContainers"] {
        let path = path.child(list);
        for (index, one) in items(body, &format!("/{list}")).iter().enumerate() {
            has_spaces_around(one, &path.index(index), errors);
        }
    }
}

/// What only a new pod may not have.
pub(super) fn new(pod: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    if pod.pointer("/spec/ephemeralContainers").is_some() {
        errors.forbidden(&path.child("ephemeralContainers"), "cannot be set on create");
    }
    if !text(pod, "/spec/nodeName").is_empty() && !items(pod, "/spec/schedulingGates").is_empty() {
        errors.forbidden(&path.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
}

/// Annotations of a pod or a template that mean something.
pub(super) fn annotations(owner: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(value) = meta::annotation(owner, MIRROR).filter(|_| text(owner, "/spec/nodeName").is_empty()) {
        errors.invalid(&path.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set");
    }
    let cost = |text: &&str| text.parse::<i32>().is_err() || text.starts_with('+') || is_padded(text);
    if let Some(value) = meta::annotation(owner, DELETION_COST).filter(cost) {
        errors.invalid(&path.key(DELETION_COST), value, "must be a 32bit integer");
    }
}

/// `007`, `-0`: no number as it is written back.
fn is_padded(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (digits.len() > 1 && digits.starts_with('0')) || text == "-0"
}

fn no_tokens(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("volumes");
    for (index, volume) in items(spec, "/volumes").iter().enumerate() {
        let (path, source) = (list.index(index), "serviceAccountToken");
        let (path, sources) = (path.child("projected"), items(volume, "/projected/sources"));
        let path = path.child("sources");
        for (index, _) in sources.iter().enumerate().filter(|(_, one)| one.get(source).is_some()) {
            let why = "must not be specified when serviceAccountName is not set";
            errors.forbidden(&path.index(index).child(source), why);
        }
    }
}

/// The spec of a pod, or of a template where `pod` is none.
pub(super) fn spec(spec: &Value, pod: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    let grace = spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if grace.is_none() {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volume::all(spec, pod, &path.child("volumes"), errors);
    resources::pod_claims(spec, &path.child("resourceClaims"), errors);
    let scope = Scope { spec, pod, volumes, grace };
    container::all(&scope, path, errors);
    resources::of_pod(spec, &path.child("resources"), errors);
    host_ports(&scope, path, errors);
    words::choice(text(spec, "/restartPolicy"), POLICIES, &path.child("restartPolicy"), errors);
    words::choice(text(spec, "/dnsPolicy"), DNS_POLICIES, &path.child("dnsPolicy"), errors);
    let selector = spec.get("nodeSelector").and_then(Value::as_object);
    crate::object_meta::check_labels(selector, &path.child("nodeSelector"), errors);
    security::of_pod(spec, &path.child("securityContext"), errors);
    scheduling::affinity(spec, &path.child("affinity"), errors);
    dns_config(spec, &path.child("dnsConfig"), errors);
    gates(spec, path, errors);
    scheduling::spread(spec, pod.is_some(), &path.child("topologySpreadConstraints"), errors);
    security::user_namespace(spec, path, errors);
    names(spec, path, errors);
    rest(spec, path, errors);
}

/// Fields that hold a name: pointer, and whether dots are fine.
const NAMES: &[(&str, bool)] = &[
    ("serviceAccountName", true),
    ("nodeName", true),
    ("hostname", false),
    ("subdomain", false),
    ("priorityClassName", true),
    ("runtimeClassName", true),
];

fn names(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (field, dots) in NAMES {
        let value = spec.get(*field).and_then(Value::as_str);
        let Some(value) = value.filter(|value| !value.is_empty() || *field == "runtimeClassName") else { continue };
        let check = if *dots { words::subdomain } else { words::label };
        check(value, &path.child(field), errors);
    }
}

fn rest(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(seconds) = spec.get("activeDeadlineSeconds").and_then(Value::as_i64) {
        words::within(seconds, (1, i64::from(i32::MAX)), &path.child("activeDeadlineSeconds"), errors);
    }
    tolerations(items(spec, "/tolerations"), &path.child("tolerations"), errors);
    host_aliases(spec, &path.child("hostAliases"), errors);
    if let Some(policy) = spec.get("preemptionPolicy").and_then(Value::as_str) {
        words::choice(policy, &["PreemptLowerPriority", "Never"], &path.child("preemptionPolicy"), errors);
    }
    if spec.get("overhead").is_some() {
        let (overhead, path) = (entries(spec, "/overhead"), path.child("overhead"));
        resources::amounts(overhead, resources::container_name, &path.child("limits"), errors);
    }
    if spec.get("os").is_some() {
        let path = path.child("os");
        match text(spec, "/os/name") {
            "" => errors.required(&path.child("name"), "cannot be empty"),
            "linux" | "windows" => {}
            other => errors.not_supported(&path, other, &["linux", "windows"]),
        }
    }
}

/// In the host's network the port is the host's; a template may leave that open.
fn host_ports(scope: &Scope<'_>, path: &Path<'_>, errors: &mut Errors) {
    if !is_true(scope.spec, "/hostNetwork") {
        return;
    }
    let path = path.child("containers");
    for (index, container) in items(scope.spec, "/containers").iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in items(container, "/ports").iter().enumerate() {
            let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or_default();
            let (host, own) = (number("hostPort"), number("containerPort"));
            if host != own && (scope.pod.is_some() || host != 0) {
                let why = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(&path.index(index).child("hostPort"), host, why);
            }
        }
    }
}

fn dns_config(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let config = spec.get("dnsConfig");
    let list = |name: &str| config.map_or(&[][..], |config| items(config, &format!("/{name}")));
    let servers = list("nameservers");
    if text(spec, "/dnsPolicy") == "None" {
        if config.is_none() {
            return errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers.is_empty() {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(&path.child("nameservers"), why);
        }
    }
    let field = path.child("nameservers");
    if servers.len() > NAMESERVERS_MAX {
        errors.invalid(&field, servers.to_vec(), format!("must not have more than {NAMESERVERS_MAX} nameservers"));
    }
    for (index, server) in servers.iter().enumerate() {
        words::address(server.as_str().unwrap_or_default(), &field.index(index), errors);
    }
    searches(list("searches"), &path.child("searches"), errors);
    for (index, option) in list("options").iter().enumerate() {
        if text(option, "/name").is_empty() {
            errors.required(&path.child("options").index(index), "must not be empty");
        }
    }
}

fn searches(searches: &[Value], path: &Path<'_>, errors: &mut Errors) {
    if searches.len() > SEARCHES_MAX {
        errors.invalid(path, searches.to_vec(), format!("must not have more than {SEARCHES_MAX} search paths"));
    }
    let domains: Vec<&str> = searches.iter().filter_map(Value::as_str).collect();
    if domains.join(" ").len() > SEARCH_CHARACTERS_MAX {
        let most = SEARCH_CHARACTERS_MAX;
        let why = format!("must not have more than {most} characters (including spaces) in the search list");
        errors.invalid(path, searches.to_vec(), why);
    }
    for (index, domain) in domains.into_iter().enumerate().filter(|(_, domain)| *domain != ".") {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        search(domain, &path.index(index), errors);
    }
}

/// A subdomain whose labels may have underscores, also in front.
fn search(domain: &str, path: &Path<'_>, errors: &mut Errors) {
    const WHY: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let sound = |label: &str| {
        let label = label.strip_prefix('_').unwrap_or(label);
        label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-' || c == '_')
    };
    if domain.len() > crate::names::SUBDOMAIN_MAX {
        errors.invalid(path, domain, format!("must be no more than {} characters", crate::names::SUBDOMAIN_MAX));
    }
    if !domain.split('.').all(sound) {
        errors.invalid(path, domain, WHY);
    }
}

fn gates(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("readinessGates");
    for (index, gate) in items(spec, "/readinessGates").iter().enumerate() {
        words::qualified(text(gate, "/conditionType"), &list.index(index).child("conditionType"), errors);
    }
    let (list, gates) = (path.child("schedulingGates"), items(spec, "/schedulingGates"));
    for (index, gate) in gates.iter().enumerate() {
        let name = text(gate, "/name");
        words::qualified(name, &list.index(index), errors);
        if gates[..index].iter().any(|other| text(other, "/name") == name) {
            errors.duplicate(&list.index(index), name);
        }
    }
}

fn host_aliases(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (index, alias) in items(spec, "/hostAliases").iter().enumerate() {
        let path = path.index(index);
        words::address(text(alias, "/ip"), &path.child("ip"), errors);
        let list = path.child("hostnames");
        for (index, name) in items(alias, "/hostnames").iter().enumerate() {
            words::subdomain(name.as_str().unwrap_or_default(), &list.index(index), errors);
        }
    }
}

#[cfg(test)]
mod tests;
