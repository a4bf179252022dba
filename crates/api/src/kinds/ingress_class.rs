//! IngressClass: which controller acts on Ingresses that name it. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-class-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, NONE},
    read::text,
};
use crate::{
    field::{Errors, Path},
    meta, names,
};

/// IngressClass of networking.k8s.io/v1.
pub static INGRESS_CLASS: Kind = Kind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "IngressClass",
    list_kind: "IngressClassList",
    plural: "ingressclasses",
    singular: "ingressclass",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.networking.v1.IngressClass",
    storage: Some(Storage { prefix: "networking.k8s.io/ingressclasses", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[
        NAME,
        Column::text("Controller", "Who acts on its Ingresses.", 0, |class, _| text(class, "/spec/controller").into()),
        Column::text("Parameters", "Where its settings are.", 0, |class, _| parameters(class).into()),
        AGE,
    ],
    hooks: Hooks { default, prepare_create, prepare_update, validate, validate_update, ..Hooks::NONE },
};

/// On the class of Ingresses that name none.
pub const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

const SPEC: Path<'static> = Path::new("spec");

/// Characters of a controller's name.
const CONTROLLER_MAX: usize = 250;

const SCOPES: &[&str] = &["Cluster", "Namespace"];

fn parameters(class: &Value) -> String {
    let part = |name: &str| text(class, &format!("/spec/parameters/{name}"));
    match (part("kind"), part("apiGroup"), part("name")) {
        ("", _, _) => NONE.to_owned(),
        (kind, "", name) => format!("{kind}/{name}"),
        (kind, group, name) => format!("{kind}.{group}/{name}"),
    }
}

fn given(class: &Value) -> Option<&Value> {
    class.pointer("/spec/parameters").filter(|parameters| parameters.is_object())
}

fn default(class: &mut Value) {
    if given(class).is_some_and(|parameters| parameters.get("scope").is_none_or(Value::is_null)) {
        class["spec"]["parameters"]["scope"] = "Cluster".into();
    }
}

fn prepare_create(class: &mut Value, _: &super::Ctx) {
    meta::set_generation(class, 1);
}

fn prepare_update(new: &mut Value, old: &Value) {
    if new.get("spec") != old.get("spec") {
        meta::set_generation(new, meta::generation(old) + 1);
    }
}

fn validate(class: &Value, errors: &mut Errors) {
    let (controller, path) = (text(class, "/spec/controller"), SPEC.child("controller"));
    if controller.len() > CONTROLLER_MAX {
        errors.too_long(&path, CONTROLLER_MAX);
    }
    check_prefixed(controller, &path, errors);
    let path = SPEC.child("parameters");
    let Some(parameters) = given(class) else { return };
    check_reference(parameters, &path, errors);
    let (namespace, at) = (parameters.get("namespace").and_then(Value::as_str), path.child("namespace"));
    match (text(parameters, "/scope"), namespace) {
        ("Namespace", None) => errors.required(&at, "`parameters.scope` is set to 'Namespace'"),
        ("Namespace", Some(name)) => {
            names::dns1123_label(name).into_iter().for_each(|message| errors.invalid(&at, name, message));
        }
        ("Cluster", Some(_)) => errors.forbidden(&at, "`parameters.scope` is set to 'Cluster'"),
        ("Cluster", None) => {}
        (other, _) => errors.not_supported(&path.child("scope"), other, SCOPES),
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let controller = |class| text(class, "/spec/controller");
    if controller(new) != controller(old) {
        errors.invalid(&SPEC.child("controller"), controller(new), "field is immutable");
    }
}

/// A name within a domain: `example.com/controller`.
fn check_prefixed(name: &str, path: &Path<'_>, errors: &mut Errors) {
    const SHAPE: &str = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    const FORMAT: &str = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    match name.split_once('/') {
        _ if name.is_empty() => errors.required(path, ""),
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            names::dns1123_subdomain(host).into_iter().for_each(|message| errors.invalid(path, host, message));
            if !rest.chars().all(is_plain) {
                errors.invalid(path, rest, FORMAT);
            }
        }
        _ => errors.invalid(path, name, SHAPE),
    }
}

/// A reference to an object by group, kind and name.
pub(super) fn check_reference(reference: &Value, path: &Path<'_>, errors: &mut Errors) {
    let group = text(reference, "/apiGroup");
    if !group.is_empty() {
        let at = path.child("apiGroup");
        names::dns1123_subdomain(group).into_iter().for_each(|message| errors.invalid(&at, group, message));
    }
    for (field, why) in [("kind", "kind is required"), ("name", "name is required")] {
        let at = path.child(field);
        match reference.get(field).and_then(Value::as_str).unwrap_or_default() {
            "" => errors.required(&at, why),
            value => names::path_segment(value).into_iter().for_each(|message| errors.invalid(&at, value, message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value, expect: &[&str]) {
        let mut class = json!({ "metadata": { "name": "a" }, "spec": spec });
        default(&mut class);
        let mut errors = Errors::default();
        validate(&class, &mut errors);
        let found: Vec<String> = errors.causes().iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
        assert_eq!(found, expect, "{spec}");
    }

    #[test]
    fn a_class_names_a_controller_and_settings() {
        check(json!({ "controller": "example.com/a" }), &[]);
        check(json!({}), &["spec.controller: Required value"]);
        check(
            json!({ "controller": "a" }),
            &[r#"spec.controller: Invalid value: "a": must be a domain-prefixed path (such as "acme.io/foo")"#],
        );
        let with = |parameters: Value| json!({ "controller": "example.com/a", "parameters": parameters });
        check(with(json!({ "kind": "K", "name": "n" })), &[]);
        check(with(json!({ "kind": "K", "name": "n", "scope": "Namespace", "namespace": "a" })), &[]);
        check(
            with(json!({ "kind": "K", "scope": "Namespace" })),
            &[
                "spec.parameters.name: Required value: name is required",
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ],
        );
        check(
            with(json!({ "kind": "K", "name": "n", "namespace": "a" })),
            &["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
        );
        check(
            with(json!({ "kind": "K", "name": "n", "scope": "World" })),
            &[r#"spec.parameters.scope: Unsupported value: "World": supported values: "Cluster", "Namespace""#],
        );
    }
}
