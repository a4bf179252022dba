//! What a pod's status may become. Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

use serde_json::Value;

use super::super::{
    super::read::{items, text},
    validate,
};
use crate::field::{Errors, Path};

const STATUS: Path<'static> = Path::new("status");

/// Conditions whose names need no domain.
const SYSTEM: &[&str] = &["PodScheduled", "Ready", "Initialized"];

/// Lists of the status of containers; which policy says whether they start again.
const LISTS: &[(&str, Option<&str>)] =
    &[("containerStatuses", None), ("initContainerStatuses", None), ("ephemeralContainerStatuses", Some("Never"))];

/// A change of the status.
pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    super::annotations(new, old, errors);
    conditions(new, errors);
    let nominated = text(new, "/status/nominatedNodeName");
    if !nominated.is_empty() && nominated != text(old, "/status/nominatedNodeName") {
        validate::subdomain(nominated, &STATUS.child("nominatedNodeName"), errors);
    }
    let class = text(new, "/status/qosClass");
    if class != text(old, "/status/qosClass") {
        errors.invalid(&STATUS.child("qosClass"), class, "field is immutable");
    }
    for (list, policy) in LISTS {
        restarts(new, old, list, policy.unwrap_or(text(old, "/spec/restartPolicy")), errors);
    }
    addresses(new, errors);
}

/// Upstream tells of these as if they were metadata.
fn conditions(new: &Value, errors: &mut Errors) {
    let path = Path::new("metadata");
    let path = path.child("conditions");
    for (index, condition) in items(new, "/status/conditions").iter().enumerate() {
        let name = text(condition, "/type");
        if !SYSTEM.contains(&name) {
            validate::qualified(name, &path.index(index).child("Type"), errors);
        }
    }
}

/// What has ended for good stays so.
fn restarts(new: &Value, old: &Value, list: &str, policy: &str, errors: &mut Errors) {
    let (pointer, path) = (format!("/status/{list}"), STATUS.child(list));
    if policy == "Always" {
        return;
    }
    for (index, before) in items(old, &pointer).iter().enumerate() {
        let Some(ended) = before.pointer("/state/terminated") else { continue };
        let failed = ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default() != 0;
        if (failed && policy == "OnFailure") || restarts_itself(old, list, text(before, "/name")) {
            continue;
        }
        let same = |now: &&Value| text(now, "/name") == text(before, "/name");
        let now = items(new, &pointer).iter().find(same);
        if now.is_some_and(|now| now.pointer("/state/terminated").is_none()) {
            errors.forbidden(&path.index(index).child("state"), "may not be transitioned to non-terminated state");
        }
    }
}

/// A container with a restart policy or rules of its own.
fn restarts_itself(pod: &Value, list: &str, name: &str) -> bool {
    let containers = if list == "initContainerStatuses" { "/spec/initContainers" } else { "/spec/containers" };
    let own = items(pod, containers).iter().find(|one| text(one, "/name") == name);
    own.is_some_and(|own| {
        matches!(text(own, "/restartPolicy"), "Always" | "OnFailure") || !items(own, "/restartPolicyRules").is_empty()
    })
}

/// One address of each family at most, and the single one first.
fn addresses(new: &Value, errors: &mut Errors) {
    for (single, list) in [("hostIP", "hostIPs"), ("podIP", "podIPs")] {
        let (path, all) = (STATUS.child(list), items(new, &format!("/status/{list}")));
        let Some(first) = all.first().map(|one| text(one, "/ip")) else { continue };
        if single == "hostIP" && text(new, "/status/hostIP") != first {
            errors.invalid(&path.index(0).child("ip"), first, "must be equal to `hostIP`");
        }
        for (index, one) in all.iter().enumerate() {
            validate::address(text(one, "/ip"), &path.index(index), errors);
            if all[..index].contains(one) {
                errors.duplicate(&path.index(index), one.clone());
            }
        }
        let six = all.iter().filter(|one| text(one, "/ip").contains(':')).count();
        if six > 1 || all.len() - six > 1 {
            errors.invalid(&path, all.to_vec(), "may specify no more than one IP for each IP family");
        }
    }
}
