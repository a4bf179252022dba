//! What of a pod may change, and through which part. Main functions: [`spec`], [`part`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement>,
//! <https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/>.

use serde_json::{Value, json};

use super::{
    super::read::{items, text},
    validate,
};
use crate::{
    field::{Errors, Path},
    gotext, meta,
};

mod resize;
mod status;

const SPEC: Path<'static> = Path::new("spec");

/// What users may change, as upstream tells them.
const CHANGEABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Lists of containers whose images may change.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// Differences that a message names.
const DIFFERENCES_MAX: usize = 16;

/// A change of the pod itself.
pub(super) fn spec(new: &Value, old: &Value, errors: &mut Errors) {
    annotations(new, old, errors);
    for list in CONTAINERS {
        if !same_containers(new, old, list, errors) {
            return;
        }
    }
    if !deadline(new, old, errors) {
        return;
    }
    tolerations(new, old, errors);
    gates(new, old, errors);
    let munged = munged(new, old, errors);
    let (left, right) = (old.get("spec").unwrap_or(&Value::Null), munged.get("spec").unwrap_or(&Value::Null));
    if left != right {
        let why = format!("pod updates may not change fields other than {CHANGEABLE}\n{}", difference(left, right));
        errors.forbidden(&SPEC, why);
    }
}

/// A change that came through a part.
pub(super) fn part(part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    match part {
        "status" => status::check(new, old, errors),
        "ephemeralcontainers" => ephemeral(new, old, errors),
        "resize" => resize::check(new, old, errors),
        _ => spec(new, old, errors),
    }
}

/// Annotations that bind a pod to where it came from.
fn annotations(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::new("metadata");
    let path = path.child("annotations");
    let path = path.key(validate::MIRROR);
    match (meta::annotation(old, validate::MIRROR), meta::annotation(new, validate::MIRROR)) {
        (Some(old), new) if new != Some(old) => {
            errors.forbidden(&path, "may not remove or update mirror pod annotation")
        }
        (None, Some(_)) => errors.forbidden(&path, "may not add mirror pod annotation"),
        _ => {}
    }
}

fn same_containers(new: &Value, old: &Value, list: &str, errors: &mut Errors) -> bool {
    let (pointer, path) = (format!("/spec/{list}"), SPEC.child(list));
    let (now, before) = (items(new, &pointer).len(), items(old, &pointer).len());
    if now != before {
        errors.forbidden(&path, "pod updates may not add or remove containers");
    }
    now == before
}

/// It may be set, and become shorter.
fn deadline(new: &Value, old: &Value, errors: &mut Errors) -> bool {
    let path = SPEC.child("activeDeadlineSeconds");
    let seconds = |pod: &Value| pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
    match (seconds(new), seconds(old)) {
        (Some(now), _) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            errors.invalid(&path, now, format!("must be between 0 and {}, inclusive", i32::MAX));
            false
        }
        (Some(now), Some(before)) if before < now => {
            errors.invalid(&path, now, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            errors.invalid(&path, Value::Null, "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

fn tolerations(new: &Value, old: &Value, errors: &mut Errors) {
    let (path, list) = (SPEC.child("tolerations"), items(new, "/spec/tolerations"));
    let without_time = |toleration: &Value| {
        let mut plain = toleration.clone();
        plain.as_object_mut().map(|fields| fields.remove("tolerationSeconds"));
        plain
    };
    let kept = |old: &Value| list.iter().any(|new| without_time(new) == without_time(old));
    if !items(old, "/spec/tolerations").iter().all(kept) {
        errors.forbidden(&path, "existing toleration can not be modified except its tolerationSeconds");
    }
}

fn gates(new: &Value, old: &Value, errors: &mut Errors) {
    let (path, before) = (SPEC.child("schedulingGates"), items(old, "/spec/schedulingGates"));
    for (index, gate) in items(new, "/spec/schedulingGates").iter().enumerate() {
        let name = text(gate, "/name");
        if !before.iter().any(|known| text(known, "/name") == name) {
            let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.forbidden(&path.index(index).child("name"), why);
        }
    }
}

/// The new pod with everything that may change put back.
fn munged(new: &Value, old: &Value, errors: &mut Errors) -> Value {
    let mut munged = json!({ "spec": new.get("spec").cloned().unwrap_or_default() });
    for list in CONTAINERS {
        let before = items(old, &format!("/spec/{list}"));
        let now = munged.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for (container, before) in now.into_iter().flatten().zip(before) {
            put_back(container, before, "image");
        }
    }
    let none = Value::Null;
    let before = old.get("spec").unwrap_or(&none);
    let Some(spec) = munged.get_mut("spec") else { return munged };
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        put_back(spec, before, field);
    }
    let grace = |spec: &Value| spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if grace(before).is_some_and(|seconds| seconds < 0) && grace(spec) == Some(1) {
        put_back(spec, before, "terminationGracePeriodSeconds");
    }
    if !items(old, "/spec/schedulingGates").is_empty() {
        narrowed(spec, before, errors);
    }
    munged
}

fn put_back(new: &mut Value, old: &Value, field: &str) {
    super::super::read::carry_over(new, old, field);
}

/// While a pod is held back from the schedulers, where it may run can become narrower.
fn narrowed(spec: &mut Value, before: &Value, errors: &mut Errors) {
    let empty = json!({});
    let selector = spec.get("nodeSelector").unwrap_or(&empty);
    let old = before.get("nodeSelector").unwrap_or(&empty);
    let kept = old.as_object().is_none_or(|old| old.iter().all(|(key, value)| selector.get(key) == Some(value)));
    if !kept {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.invalid(&SPEC.child("nodeSelector"), selector.clone(), why);
    }
    put_back(spec, before, "nodeSelector");
    node_affinity(spec, before, errors);
    let (own, other) = (spec.get("affinity").cloned(), before.get("affinity"));
    let mut affinity = own.unwrap_or_else(|| json!({}));
    put_back(&mut affinity, other.unwrap_or(&empty), "nodeAffinity");
    if other.is_none() && affinity == empty {
        spec.as_object_mut().map(|spec| spec.remove("affinity"));
    } else {
        spec["affinity"] = affinity;
    }
}

fn node_affinity(spec: &Value, before: &Value, errors: &mut Errors) {
    const TERMS: &str = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let (affinity, list) = (SPEC.child("affinity"), "requiredDuringSchedulingIgnoredDuringExecution");
    let path = affinity.child("nodeAffinity");
    let path = path.child(list);
    let path = path.child("nodeSelectorTerms");
    let (new, old) = (items(spec, TERMS), items(before, TERMS));
    if !old.is_empty() && old.len() != new.len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return errors.invalid(&path, new.to_vec(), why);
    }
    for (index, (new, old)) in new.iter().zip(old).enumerate() {
        let was_empty = ["/matchExpressions", "/matchFields"].iter().all(|list| items(old, list).is_empty());
        let only_more = ["/matchExpressions", "/matchFields"].iter().all(|list| {
            let (new, old) = (items(new, list), items(old, list));
            if was_empty { new.is_empty() } else { new.starts_with(old) }
        });
        if !only_more {
            errors.invalid(&path.index(index), new.clone(), "only additions are allowed (no mutations or deletions)");
        }
    }
}

/// Ephemeral containers come; they neither go nor change.
fn ephemeral(new: &Value, old: &Value, errors: &mut Errors) {
    annotations(new, old, errors);
    if meta::annotation(old, validate::MIRROR).is_some() {
        errors.0.clear();
        return errors.forbidden(&Path::new(""), "static pods do not support ephemeral containers");
    }
    let (path, list) = (SPEC.child("ephemeralContainers"), items(new, "/spec/ephemeralContainers"));
    for before in items(old, "/spec/ephemeralContainers") {
        let name = gotext::quote(text(before, "/name"));
        match list.iter().find(|one| text(one, "/name") == text(before, "/name")) {
            None => errors.forbidden(&path, format!("existing ephemeral containers {name} may not be removed\n")),
            Some(now) if now != before => {
                let told = difference(before, now);
                errors.forbidden(&path, format!("existing ephemeral containers {name} may not be changed\n{told}"));
            }
            Some(_) => {}
        }
    }
}

/// What differs, a line for each side of each place.
pub(in crate::kinds) fn difference(old: &Value, new: &Value) -> String {
    let mut lines = Vec::new();
    compare(old, new, &mut String::new(), &mut lines);
    if lines.len() > 2 * DIFFERENCES_MAX {
        lines.truncate(2 * DIFFERENCES_MAX);
        lines.push("  ...".to_owned());
    }
    lines.join("\n")
}

/// Depth is bounded by the parser.
fn compare(old: &Value, new: &Value, place: &mut String, lines: &mut Vec<String>) {
    let length = place.len();
    match (old, new) {
        (Value::Object(left), Value::Object(right)) => {
            let added = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(added) {
                place.push_str(if length == 0 { "" } else { "." });
                place.push_str(key);
                compare(left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null), place, lines);
                place.truncate(length);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                place.push_str(&format!("[{index}]"));
                compare(left, right, place, lines);
                place.truncate(length);
            }
        }
        (left, right) if left == right => {}
        (left, right) => {
            let sides = [("-", left), ("+", right)].into_iter().filter(|(_, side)| !side.is_null());
            lines.extend(sides.map(|(sign, side)| format!("{sign} {place}: {}", gotext::json(side))));
        }
    }
}

#[cfg(test)]
mod tests;
