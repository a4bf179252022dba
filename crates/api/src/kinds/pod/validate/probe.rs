//! Probes and lifecycle handlers of a container. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Probe>.

use serde_json::Value;

use super::{
    super::super::read::{items, text},
    Scope,
    words::{header, not_negative, port, port_number, present},
};
use crate::field::{Errors, Path};

type Check = fn(&Scope<'_>, &Value, &Path<'_>, &mut Errors);

/// Handlers in the order they are looked at, and their checks.
const HANDLERS: &[(&str, Check)] =
    &[("exec", exec), ("httpGet", http_get), ("tcpSocket", tcp_socket), ("grpc", grpc), ("sleep", sleep)];

const NUMBERS: &[&str] =
    &["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

/// All of a container that goes on running.
pub(super) fn all(scope: &Scope<'_>, container: &Value, path: &Path<'_>, errors: &mut Errors) {
    let lifecycle = path.child("lifecycle");
    for name in ["postStart", "preStop"] {
        if let Some(found) = container.get("lifecycle").and_then(|lifecycle| lifecycle.get(name)) {
            handler(scope, found, &lifecycle.child(name), errors);
        }
    }
    if let Some(stop) = container.pointer("/lifecycle/stopSignal") {
        stop_signal(scope, stop, &lifecycle.child("stopSignal"), errors);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get(name) {
            probe(scope, found, name, &path.child(name), errors);
        }
    }
}

/// What a signal is called depends on the system, so that has to be said.
fn stop_signal(scope: &Scope<'_>, signal: &Value, path: &Path<'_>, errors: &mut Errors) {
    if text(scope.spec, "/os/name").is_empty() && signal.as_str().is_some_and(|signal| !signal.is_empty()) {
        errors.forbidden(path, "may not be set for containers with empty `spec.os.name`");
    }
}

fn probe(scope: &Scope<'_>, probe: &Value, name: &str, path: &Path<'_>, errors: &mut Errors) {
    handler(scope, probe, path, errors);
    for field in NUMBERS {
        not_negative(number(probe, field), &path.child(field), errors);
    }
    let grace = probe.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    let field = path.child("terminationGracePeriodSeconds");
    if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
        errors.invalid(&field, seconds, "must be greater than 0");
    }
    match (name, grace, number(probe, "successThreshold")) {
        ("readinessProbe", Some(seconds), _) => errors.invalid(&field, seconds, "must not be set for readinessProbes"),
        ("readinessProbe", ..) | (_, _, 1) => {}
        (_, _, other) => errors.invalid(&path.child("successThreshold"), other, "must be 1"),
    }
}

fn number(object: &Value, field: &str) -> i64 {
    object.get(field).and_then(Value::as_i64).unwrap_or_default()
}

fn handler(scope: &Scope<'_>, handler: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut given = HANDLERS.iter().filter_map(|(name, check)| Some((name, check, handler.get(*name)?)));
    match given.next() {
        Some((name, check, action)) => check(scope, action, &path.child(name), errors),
        None => errors.required(path, "must specify a handler type"),
    }
    given.for_each(|(name, ..)| errors.forbidden(&path.child(name), "may not specify more than 1 handler type"));
}

fn exec(_: &Scope<'_>, action: &Value, path: &Path<'_>, errors: &mut Errors) {
    if items(action, "/command").is_empty() {
        errors.required(&path.child("command"), "");
    }
}

fn http_get(_: &Scope<'_>, action: &Value, path: &Path<'_>, errors: &mut Errors) {
    present(text(action, "/path"), &path.child("path"), errors);
    port(action.get("port"), &path.child("port"), errors);
    match text(action, "/scheme") {
        "HTTP" | "HTTPS" => {}
        other => errors.not_supported(&path.child("scheme"), other, &["HTTP", "HTTPS"]),
    }
    for name in items(action, "/httpHeaders").iter().map(|one| text(one, "/name")) {
        if let Some(why) = header(name) {
            errors.invalid(&path.child("httpHeaders"), name, why);
        }
    }
}

fn tcp_socket(_: &Scope<'_>, action: &Value, path: &Path<'_>, errors: &mut Errors) {
    port(action.get("port"), &path.child("port"), errors);
}

fn grpc(_: &Scope<'_>, action: &Value, path: &Path<'_>, errors: &mut Errors) {
    port_number(number(action, "port"), &path.child("port"), errors);
}

fn sleep(scope: &Scope<'_>, action: &Value, path: &Path<'_>, errors: &mut Errors) {
    let seconds = number(action, "seconds");
    if let Some(grace) = scope.grace.filter(|grace| seconds < 0 || seconds > *grace) {
        let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid(path, seconds, why);
    }
}
