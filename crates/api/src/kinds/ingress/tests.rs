//! Ingresses as tables of wants.

use serde_json::json;

use super::*;
use crate::field::Errors;

fn check(spec: Value, expect: &[&str]) {
    let mut errors = Errors::default();
    validate::ingress(&json!({ "metadata": { "name": "a" }, "spec": spec }), &mut errors);
    let found: Vec<String> = errors.causes().iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
    assert_eq!(found, expect, "{spec}");
}

fn path(kind: &str, path: &str) -> Value {
    let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
    json!({ "rules": [{ "http": { "paths": [{ "path": path, "pathType": kind, "backend": backend }] } }] })
}

#[test]
fn something_must_be_led_somewhere() {
    check(json!({}), &["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]);
    check(json!({ "defaultBackend": { "service": { "name": "web", "port": { "name": "http" } } } }), &[]);
    check(
        json!({ "defaultBackend": { "service": { "port": { "name": "http", "number": 1 } } } }),
        &[
            "spec.defaultBackend.service.name: Required value",
            r#"spec.defaultBackend: Invalid value: "": cannot set both port name & port number"#,
        ],
    );
    check(
        json!({ "defaultBackend": { "service": { "name": "web" } } }),
        &["spec.defaultBackend: Required value: port name or number is required"],
    );
    check(
        json!({ "defaultBackend": {} }),
        &[r#"spec.defaultBackend: Invalid value: "": resource or service backend is required"#],
    );
    check(json!({ "defaultBackend": { "resource": { "kind": "Bucket", "name": "b" } } }), &[]);
    check(json!({ "rules": [{ "http": {} }] }), &["spec.rules[0].http.paths: Required value"]);
}

#[test]
fn paths_are_what_they_seem() {
    const AT: &str = "spec.rules[0].http.paths[0]";
    check(path("Prefix", "/a/b"), &[]);
    check(path("ImplementationSpecific", ""), &[]);
    check(path("Exact", ""), &[&format!(r#"{AT}.path: Invalid value: "": must be an absolute path"#)]);
    check(path("Exact", "/a//b"), &[&format!(r#"{AT}.path: Invalid value: "/a//b": must not contain '//'"#)]);
    check(path("Prefix", "/a/.."), &[&format!(r#"{AT}.path: Invalid value: "/a/..": cannot end with '/..'"#)]);
    check(
        path("Glob", "/a"),
        &[&format!(
            r#"{AT}.pathType: Unsupported value: "Glob": supported values: "Exact", "ImplementationSpecific", "Prefix""#
        )],
    );
}

#[test]
fn hosts_are_names() {
    let host = |name: &str| {
        let mut spec = path("Prefix", "/");
        spec["rules"][0]["host"] = name.into();
        spec
    };
    check(host("a.example.com"), &[]);
    check(host("*.example.com"), &[]);
    check(
        host("192.0.2.1"),
        &[r#"spec.rules[0].host: Invalid value: "192.0.2.1": must be a DNS name, not an IP address"#],
    );
    let mut spec = path("Prefix", "/");
    spec["tls"] = json!([{ "hosts": ["*."], "secretName": "a" }]);
    check(
        spec,
        &[
            r#"spec.tls[0].hosts[0]: Invalid value: "*.": a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"#,
        ],
    );
}

#[test]
fn columns_are_short() {
    let rules: Vec<Value> = ["a", "b", "c", "d", "e"].iter().map(|host| json!({ "host": host })).collect();
    assert_eq!(hosts(&json!({ "spec": { "rules": rules } })), "a,b,c + 2 more...");
    assert_eq!(hosts(&json!({ "spec": { "rules": [{ "host": "a" }] } })), "a");
    assert_eq!(hosts(&json!({})), "*");
    let points =
        json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.10" }, { "ip": "192.0.2.11" }] } } });
    assert_eq!(address(&points), "192.0.2.10,19...");
}
