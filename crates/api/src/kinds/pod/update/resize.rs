//! Resizing: what containers ask for changes while they run. Spec:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/>.

use serde_json::Value;

use super::{
    super::{
        super::read::{items, text},
        qos, validate,
    },
    CONTAINERS, SPEC,
};
use crate::{
    field::{Errors, Path},
    meta,
    quantity::Quantity,
};

/// CPU and memory of containers change; the class of the pod does not.
pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    let refusal = match old {
        _ if old.pointer("/spec/resources").is_some() => Some("pods with pod-level resources cannot be resized"),
        _ if meta::annotation(old, validate::MIRROR).is_some() => Some("static pods cannot be resized"),
        _ if text(old, "/spec/os/name") == "windows" => Some("windows pods cannot be resized"),
        _ => None,
    };
    if let Some(why) = refusal {
        errors.0.clear();
        return errors.forbidden(&Path::new(""), why);
    }
    if qos::class(new) != text(old, "/status/qosClass") {
        let class = text(new, "/status/qosClass");
        errors.invalid(&SPEC, class, "Pod QOS Class may not change as a result of resizing");
    }
    for list in CONTAINERS {
        let pointer = format!("/spec/{list}");
        let path = SPEC.child(list);
        for (index, (now, before)) in items(new, &pointer).iter().zip(items(old, &pointer)).enumerate() {
            let running = list == "containers" || text(before, "/restartPolicy") == "Always";
            if running {
                resized(now, before, list == "containers", &path.index(index).child("resources"), errors);
            } else if now.get("resources") != before.get("resources") {
                errors.forbidden(&SPEC, "resources for non-sidecar init containers are immutable");
            }
        }
    }
}

fn resized(new: &Value, old: &Value, regular: bool, path: &Path<'_>, errors: &mut Errors) {
    for part in ["requests", "limits"] {
        let amounts = |container: &Value| container.pointer(&format!("/resources/{part}")).cloned().unwrap_or_default();
        let (now, before) = (amounts(new), amounts(old));
        let gone = before.as_object().into_iter().flatten().any(|(name, _)| now.get(name).is_none());
        if gone {
            errors.forbidden(&path.child(part), format!("resource {part} cannot be removed"));
        }
        let other = |name: &&String| !matches!(name.as_str(), "cpu" | "memory") && now.get(*name) != before.get(*name);
        if now.as_object().into_iter().flatten().any(|(name, _)| other(&name)) {
            let of = if regular { "" } else { " for sidecar containers" };
            errors.forbidden(&SPEC, format!("only cpu and memory resources{of} are mutable"));
        }
    }
    memory_limit(new, old, &path.child("limits"), errors);
}

/// Less memory needs a restart, unless it is only asked for at the best effort.
fn memory_limit(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Errors) {
    let limit = |container: &Value| {
        container.pointer("/resources/limits/memory").and_then(|limit| Quantity::from_json(limit).ok())
    };
    let policy = items(new, "/resizePolicy").iter().find(|policy| text(policy, "/resourceName") == "memory");
    let restarts = policy.is_some_and(|policy| text(policy, "/restartPolicy") == "RestartContainer");
    if limit(old).is_none() && limit(new).is_some() && !restarts {
        let why = "memory limits cannot be added unless resizePolicy is RestartContainer";
        errors.forbidden(&path.key("memory"), why);
    }
}
