//! Variables of a container's environment, and references to fields. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables> and
//! <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>.

use serde_json::Value;

use super::{
    super::super::read::{items, text},
    words::{all, present, qualified, subdomain, unreserved},
};
use crate::{
    field::{Errors, Path},
    names,
    quantity::Quantity,
};

/// Fields of a pod that a variable may have.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of a pod that a file may have.
pub(super) const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Fields that any reference may name, before it is asked whether this one may.
const KNOWN: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    // What clients before v1 called `spec.nodeName`.
    "spec.host",
];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const HUGE_PAGES: [&str; 2] = ["limits.hugepages-", "requests.hugepages-"];

const SIZES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

type Check = fn(&Value, &Path<'_>, &mut Errors);

/// Sources of a variable's value, and their checks.
const SOURCES: &[(&str, Check)] = &[
    ("fieldRef", |source, path, errors| field_ref(source, FIELDS, path, errors)),
    ("resourceFieldRef", |source, path, errors| resource_ref(source, false, path, errors)),
    ("configMapKeyRef", key_ref),
    ("secretKeyRef", key_ref),
    ("fileKeyRef", file_ref),
];

/// `env`.
pub(super) fn variables(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (index, variable) in items(container, "/env").iter().enumerate() {
        let path = path.index(index);
        match text(variable, "/name") {
            "" => errors.required(&path.child("name"), ""),
            name => all(names::env_var(name), name, &path.child("name"), errors),
        }
        if let Some(from) = variable.get("valueFrom") {
            value_from(variable, from, &path.child("valueFrom"), errors);
        }
    }
}

fn value_from(variable: &Value, from: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut count = 0;
    for (name, check) in SOURCES {
        if let Some(source) = from.get(*name) {
            count += 1;
            check(source, &path.child(name), errors);
        }
    }
    let why = match count {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if !text(variable, "/value").is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.invalid(path, "", why);
}

/// `envFrom`.
pub(super) fn sources(container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path;
    for (index, source) in items(container, "/envFrom").iter().enumerate() {
        let path = list.index(index);
        match text(source, "/prefix") {
            "" => {}
            prefix => all(names::env_var(prefix), prefix, &path.child("prefix"), errors),
        }
        let named = ["configMapRef", "secretRef"].into_iter().filter(|name| source.get(name).is_some());
        let count = named.clone().count();
        for name in named {
            object_name(text(source, &format!("/{name}/name")), &path.child(name).child("name"), errors);
        }
        match count {
            0 => errors.invalid(list, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(list, "", "may not have more than one field specified at a time"),
        }
    }
}

fn object_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    match name {
        "" => errors.required(path, ""),
        // A trailing dash is let pass here; upstream checks it as a prefix.
        name => all(names::dns1123_subdomain(&names::mask_trailing_dash(name)), name, path, errors),
    }
}

fn key_ref(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    subdomain(text(source, "/name"), &path.child("name"), errors);
    match text(source, "/key") {
        "" => errors.required(&path.child("key"), ""),
        key => all(names::config_map_key(key), key, &path.child("key"), errors),
    }
}

fn file_ref(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    present(text(source, "/volumeName"), &path.child("volumeName"), errors);
    let file = text(source, "/path");
    present(file, &path.child("path"), errors);
    unreserved(file, &path.child("path"), errors);
    match text(source, "/key") {
        "" => errors.required(&path.child("key"), ""),
        key => all(names::env_var(key), key, &path.child("key"), errors),
    }
}

/// A reference to a field of the pod.
pub(super) fn field_ref(source: &Value, allowed: &[&str], path: &Path<'_>, errors: &mut Errors) {
    let (version, field) = (text(source, "/apiVersion"), text(source, "/fieldPath"));
    if version.is_empty() {
        return errors.required(&path.child("apiVersion"), "");
    }
    if field.is_empty() {
        return errors.required(&path.child("fieldPath"), "");
    }
    let subscript = field.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    let known = subscript.map_or(field, |(base, _)| base);
    if version != "v1" {
        let why = format!("error converting fieldPath: unsupported pod version: {version}");
        return errors.invalid(&path.child("fieldPath"), field, why);
    }
    let subscripted = matches!(known, "metadata.annotations" | "metadata.labels");
    if !KNOWN.contains(&known) || (subscript.is_some() && !subscripted) {
        let why = match subscript {
            Some(_) => format!("error converting fieldPath: field label does not support subscript: {field}"),
            None => format!("error converting fieldPath: field label not supported: {field}"),
        };
        return errors.invalid(&path.child("fieldPath"), field, why);
    }
    match subscript {
        Some(("metadata.annotations", key)) => qualified(&key.to_lowercase(), path, errors),
        Some((_, key)) => qualified(key, path, errors),
        None if allowed.contains(&field) => {}
        None => errors.not_supported(&path.child("fieldPath"), field, allowed),
    }
}

/// A reference to what a container asks for; one in a volume has to name the container.
pub(super) fn resource_ref(source: &Value, in_volume: bool, path: &Path<'_>, errors: &mut Errors) {
    let resource = text(source, "/resource");
    let huge = HUGE_PAGES.iter().any(|prefix| resource.starts_with(prefix));
    if in_volume && text(source, "/containerName").is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.not_supported(&path.child("resource"), resource, RESOURCES);
    }
    divisor(source, resource, &path.child("divisor"), errors);
}

fn divisor(source: &Value, resource: &str, path: &Path<'_>, errors: &mut Errors) {
    let Some(divisor) = source.get("divisor").and_then(|value| Quantity::from_json(value).ok()) else { return };
    let (allowed, words, what) = match resource.split_once('.').map_or("", |(_, name)| name) {
        "cpu" => (&["1m", "1"][..], "1m and 1".to_owned(), "cpu"),
        "memory" => (SIZES, SIZES.join(", "), "memory"),
        "ephemeral-storage" => (SIZES, SIZES.join(", "), "local ephemeral storage"),
        other if other.starts_with("hugepages-") => (SIZES, SIZES.join(", "), "hugepages"),
        _ => return,
    };
    if !divisor.is_zero() && !allowed.contains(&divisor.to_string().as_str()) {
        errors.invalid(path, resource, format!("only divisor's values {words} are supported with the {what} resource"));
    }
}
