//! Defaults and rules of roles and bindings.

use serde_json::Value;

use super::GROUP;
use crate::{
    field::{Errors, Path},
    kinds::read::{items, text},
    names,
};

pub(super) fn role(role: &Value, errors: &mut Errors) {
    rules(role, true, errors);
}

pub(super) fn cluster_role(role: &Value, errors: &mut Errors) {
    rules(role, false, errors);
    let aggregation = role.get("aggregationRule").filter(|rule| rule.is_object());
    if aggregation.is_some_and(|rule| items(rule, "/clusterRoleSelectors").is_empty()) {
        let path = Path::new("aggregationRule");
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.required(&path.child("clusterRoleSelectors"), why);
    }
}

fn rules(role: &Value, namespaced: bool, errors: &mut Errors) {
    let path = Path::new("rules");
    for (index, item) in items(role, "/rules").iter().enumerate() {
        rule(item, &path.index(index), namespaced, errors);
    }
}

fn rule(rule: &Value, path: &Path<'_>, namespaced: bool, errors: &mut Errors) {
    let empty = |pointer: &str| items(rule, pointer).is_empty();
    if empty("/verbs") {
        errors.required(&path.child("verbs"), "verbs must contain at least one value");
    }
    if !empty("/nonResourceURLs") {
        let (path, urls) = (path.child("nonResourceURLs"), &rule["nonResourceURLs"]);
        if namespaced {
            errors.invalid(&path, urls.clone(), "namespaced rules cannot apply to non-resource URLs");
        }
        if !(empty("/apiGroups") && empty("/resources") && empty("/resourceNames")) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(&path, urls.clone(), why);
        }
        return;
    }
    if empty("/apiGroups") {
        errors.required(&path.child("apiGroups"), "resource rules must supply at least one api group");
    }
    if empty("/resources") {
        errors.required(&path.child("resources"), "resource rules must supply at least one resource");
    }
}

pub(super) fn default_binding(binding: &mut Value) {
    let fill = |value: &mut Value| {
        if text(value, "/apiGroup").is_empty() && value.is_object() {
            value["apiGroup"] = GROUP.into();
        }
    };
    if let Some(role_ref) = binding.get_mut("roleRef") {
        fill(role_ref);
    }
    let subjects = binding.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if matches!(text(subject, "/kind"), "User" | "Group") {
            fill(subject);
        }
    }
}

pub(super) fn role_binding(binding: &Value, errors: &mut Errors) {
    role_ref(binding, &["ClusterRole", "Role"], errors);
    subjects(binding, true, errors);
}

pub(super) fn cluster_role_binding(binding: &Value, errors: &mut Errors) {
    role_ref(binding, &["ClusterRole"], errors);
    subjects(binding, false, errors);
}

pub(super) fn binding_update(new: &Value, old: &Value, errors: &mut Errors) {
    if new.get("roleRef") != old.get("roleRef") {
        let role_ref = new.get("roleRef").cloned().unwrap_or_default();
        errors.invalid(&Path::new("roleRef"), role_ref, "cannot change roleRef");
    }
}

fn role_ref(binding: &Value, kinds: &[&str], errors: &mut Errors) {
    let path = Path::new("roleRef");
    let get = |pointer: &str| text(binding, pointer).to_owned();
    let (group, kind, name) = (get("/roleRef/apiGroup"), get("/roleRef/kind"), get("/roleRef/name"));
    if group != GROUP {
        errors.not_supported(&path.child("apiGroup"), group, &[GROUP]);
    }
    if !kinds.contains(&kind.as_str()) {
        errors.not_supported(&path.child("kind"), kind, kinds);
    }
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    for message in names::path_segment(&name) {
        errors.invalid(&path.child("name"), name.as_str(), message);
    }
}

fn subjects(binding: &Value, namespaced: bool, errors: &mut Errors) {
    let path = Path::new("subjects");
    for (index, item) in items(binding, "/subjects").iter().enumerate() {
        subject(item, &path.index(index), namespaced, errors);
    }
}

fn subject(subject: &Value, path: &Path<'_>, namespaced: bool, errors: &mut Errors) {
    let (group, kind, name) = (text(subject, "/apiGroup"), text(subject, "/kind"), text(subject, "/name"));
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    match kind {
        "ServiceAccount" => {
            let messages = if name.is_empty() { Vec::new() } else { names::dns1123_subdomain(name) };
            messages.into_iter().for_each(|message| errors.invalid(&path.child("name"), name, message));
            if !group.is_empty() {
                errors.not_supported(&path.child("apiGroup"), group, &[""]);
            }
            if !namespaced && text(subject, "/namespace").is_empty() {
                errors.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" if group != GROUP => errors.not_supported(&path.child("apiGroup"), group, &[GROUP]),
        "User" | "Group" => {}
        _ => errors.not_supported(&path.child("kind"), kind, &["ServiceAccount", "User", "Group"]),
    }
}
