//! Checks of an Ingress; the words are upstream's. Main function: [`ingress`].

use std::net::IpAddr;

use serde_json::Value;

use crate::{
    address,
    field::{Errors, Path},
    kinds::{
        ingress_class::check_reference,
        port,
        read::{items, text},
    },
    meta, names,
};

use super::CLASS_ANNOTATION;

const SPEC: Path<'static> = Path::new("spec");
const PATH_TYPES: &[&str] = &["Exact", "ImplementationSpecific", "Prefix"];
const ABSOLUTE: &str = "must be an absolute path";

/// What a path of type `Exact` or `Prefix` must not hold, as it would not be what it seems.
const NOT_WITHIN: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
const NOT_AT_THE_END: &[&str] = &["/..", "/."];

/// Checks an Ingress by itself.
pub(super) fn ingress(ingress: &Value, errors: &mut Errors) {
    let class = ingress.pointer("/spec/ingressClassName").and_then(Value::as_str);
    // Upstream says so of new ones only: an old object has to stay changeable.
    if let (Some(old), Some(_), true) =
        (meta::annotation(ingress, CLASS_ANNOTATION), class, text(ingress, "/metadata/resourceVersion").is_empty())
    {
        let path = Path::new("annotations");
        errors.invalid(&path.child(CLASS_ANNOTATION), old, "can not be set when the class field is also set");
    }
    let backend = ingress.pointer("/spec/defaultBackend").filter(|backend| backend.is_object());
    let rules = items(ingress, "/spec/rules");
    match backend {
        Some(given) => check_backend(given, &SPEC.child("defaultBackend"), errors),
        None if rules.is_empty() => {
            let rules = ingress.pointer("/spec/rules").cloned().unwrap_or_default();
            errors.invalid(&SPEC, rules, "either `defaultBackend` or `rules` must be specified");
        }
        None => {}
    }
    let path = SPEC.child("rules");
    rules.iter().enumerate().for_each(|(index, rule)| check_rule(rule, &path.index(index), errors));
    let path = SPEC.child("tls");
    items(ingress, "/spec/tls").iter().enumerate().for_each(|(index, tls)| check_tls(tls, &path.index(index), errors));
    if let Some(class) = class {
        let path = SPEC.child("ingressClassName");
        names::dns1123_subdomain(class).into_iter().for_each(|message| errors.invalid(&path, class, message));
    }
}

fn check_host(host: &str, path: &Path<'_>, errors: &mut Errors) {
    let messages =
        if host.contains('*') { names::wildcard_dns1123_subdomain(host) } else { names::dns1123_subdomain(host) };
    messages.into_iter().for_each(|message| errors.invalid(path, host, message));
}

fn check_rule(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (host, at) = (text(rule, "/host"), path.child("host"));
    if host.parse::<IpAddr>().is_ok() {
        errors.invalid(&at, host, "must be a DNS name, not an IP address");
    }
    if !host.is_empty() {
        check_host(host, &at, errors);
    }
    let Some(http) = rule.get("http").filter(|http| http.is_object()) else { return };
    let path = path.child("http");
    let (path, paths) = (path.child("paths"), items(http, "/paths"));
    if paths.is_empty() {
        errors.required(&path, "");
    }
    paths.iter().enumerate().for_each(|(index, one)| check_path(one, &path.index(index), errors));
}

fn check_path(one: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (wanted, at, kind) = (text(one, "/path"), path.child("path"), path.child("pathType"));
    match one.get("pathType").and_then(Value::as_str) {
        None => errors.required(&kind, "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !wanted.starts_with('/') {
                errors.invalid(&at, wanted, ABSOLUTE);
            }
            for part in NOT_WITHIN.iter().filter(|part| wanted.contains(**part)) {
                errors.invalid(&at, wanted, format!("must not contain '{part}'"));
            }
            for end in NOT_AT_THE_END.iter().filter(|end| wanted.ends_with(**end)) {
                errors.invalid(&at, wanted, format!("cannot end with '{end}'"));
            }
        }
        Some("ImplementationSpecific") => {
            if !wanted.is_empty() && !wanted.starts_with('/') {
                errors.invalid(&at, wanted, ABSOLUTE);
            }
        }
        Some(other) => errors.not_supported(&kind, other, PATH_TYPES),
    }
    check_backend(one.get("backend").unwrap_or(&Value::Null), &path.child("backend"), errors);
}

fn check_backend(backend: &Value, path: &Path<'_>, errors: &mut Errors) {
    let part = |name: &str| backend.get(name).filter(|part| part.is_object());
    match (part("resource"), part("service")) {
        (Some(_), Some(_)) => errors.invalid(path, "", "cannot set both resource and service backends"),
        (Some(resource), None) => check_reference(resource, &path.child("resource"), errors),
        (None, Some(service)) => check_service(service, path, errors),
        (None, None) => errors.invalid(path, "", "resource or service backend is required"),
    }
}

fn check_service(service: &Value, path: &Path<'_>, errors: &mut Errors) {
    let at = path.child("service");
    let (name, name_at, port_at) = (text(service, "/name"), at.child("name"), at.child("port"));
    match name {
        "" => errors.required(&name_at, ""),
        name => names::dns1035_label(name).into_iter().for_each(|message| errors.invalid(&name_at, name, message)),
    }
    let number = service.pointer("/port/number").and_then(Value::as_i64).filter(|number| *number != 0);
    match (text(service, "/port/name"), number) {
        ("", None) => errors.required(path, "port name or number is required"),
        ("", Some(number)) => port::check_number(number, &port_at.child("number"), errors),
        (name, None) => {
            let at = port_at.child("name");
            port::port_name(name).into_iter().for_each(|message| errors.invalid(&at, name, message));
        }
        _ => errors.invalid(path, "", "cannot set both port name & port number"),
    }
}

fn check_tls(tls: &Value, path: &Path<'_>, errors: &mut Errors) {
    let hosts = path.child("hosts");
    for (index, host) in items(tls, "/hosts").iter().enumerate() {
        check_host(host.as_str().unwrap_or_default(), &hosts.index(index), errors);
    }
    let (secret, at) = (text(tls, "/secretName"), path.child("secretName"));
    if !secret.is_empty() {
        names::dns1123_subdomain(secret).into_iter().for_each(|message| errors.invalid(&at, secret, message));
    }
}

/// `(part, new, old)`: checks what came through the status.
pub(super) fn status(_: &str, new: &Value, _: &Value, errors: &mut Errors) {
    let path = Path::new("status");
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    for (index, point) in items(new, "/status/loadBalancer/ingress").iter().enumerate() {
        let (ip, host) = (text(point, "/ip"), text(point, "/hostname"));
        let at = path.index(index);
        if let (false, Err(why)) = (ip.is_empty(), address::ip(ip)) {
            errors.invalid(&at.child("ip"), ip, why);
        }
        let at = at.child("hostname");
        if !host.is_empty() {
            names::dns1123_subdomain(host).into_iter().for_each(|message| errors.invalid(&at, host, message));
        }
        if host.parse::<IpAddr>().is_ok() {
            errors.invalid(&at, host, "must be a DNS name, not an IP address");
        }
    }
}
