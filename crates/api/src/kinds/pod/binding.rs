//! Binding: says which node a pod runs on. Posted to `pods/<name>/binding`, or in the old way to `bindings`.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/>.
//! Main functions: [`validate`], [`bind`].

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::{CREATE, Hooks, Kind, NameRule, columns, read::text},
    Condition, set_condition,
};
use crate::{
    field::{Errors, Path},
    meta,
};

/// Core v1 Binding, answered and forgotten.
pub static BINDING: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Binding",
    list_kind: "",
    plural: "bindings",
    singular: "binding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: CREATE,
    subresources: &[],
    type_name: TYPE,
    storage: None,
    name_rule: NameRule::Any,
    fields: &[],
    indexes: &[],
    columns: columns::DEFAULT,
    hooks: Hooks::NONE,
};

/// Key into the type facts.
pub(super) const TYPE: &str = "io.k8s.api.core.v1.Binding";

/// Checks what is asked for.
pub fn validate(binding: &Value, errors: &mut Errors) {
    let target = Path::new("target");
    let kind = text(binding, "/target/kind");
    if !matches!(kind, "" | "Node") {
        errors.not_supported(&target.child("kind"), kind, &["Node", "<empty>"]);
    }
    if text(binding, "/target/name").is_empty() {
        // Upstream numbers the value's place, not its length; an empty name is all that is refused.
        errors.required(&target.child("name"), "");
    }
}

/// Why a pod cannot be bound; the words follow `Operation cannot be fulfilled on pods/binding "x": `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// It is on its way out.
    #[error("pod {0} is being deleted, cannot be assigned to a host")]
    Deleting(String),
    /// It has a node.
    #[error("pod {0} is already assigned to node {1:?}")]
    Assigned(String, String),
    /// Something holds it back from the schedulers.
    #[error("pod {0} has non-empty .spec.schedulingGates")]
    Gated(String),
}

/// Binds a pod to the node that the binding names, in place.
///
/// # Errors
/// [`BindError`], where it must not be bound.
pub fn bind(pod: &mut Value, binding: &Value, now: Timestamp) -> Result<(), BindError> {
    let name = || meta::name(pod).to_owned();
    if meta::is_being_deleted(pod) {
        return Err(BindError::Deleting(name()));
    }
    let node = text(pod, "/spec/nodeName");
    if !node.is_empty() {
        return Err(BindError::Assigned(name(), node.to_owned()));
    }
    if pod.pointer("/spec/schedulingGates").and_then(Value::as_array).is_some_and(|gates| !gates.is_empty()) {
        return Err(BindError::Gated(name()));
    }
    pod["spec"]["nodeName"] = text(binding, "/target/name").into();
    for field in ["annotations", "labels"] {
        merge(pod, binding, field);
    }
    if let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) {
        // The place kept for it elsewhere is free again.
        status.remove("nominatedNodeName");
    }
    let scheduled = Condition { r#type: "PodScheduled", status: "True", reason: "", message: "" };
    set_condition(pod, scheduled, now);
    Ok(())
}

fn merge(pod: &mut Value, binding: &Value, field: &str) {
    let Some(added) = meta::get(binding).and_then(|metadata| metadata.get(field)).and_then(Value::as_object) else {
        return;
    };
    let mut all = meta::get(pod)
        .and_then(|metadata| metadata.get(field))
        .cloned()
        .unwrap_or_else(|| Value::Object(Default::default()));
    if let Some(all) = all.as_object_mut() {
        all.extend(added.clone());
    }
    meta::set(pod, field, Some(all));
}
