//! Namespaces end in two steps: first they take in nothing new, then, emptied, they go.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>.
//! This is all the generic path knows of them; what empties them is a controller.

use api::{
    kinds::{Kind, namespace::NAMESPACE},
    meta,
};
use serde_json::{Value, json};

/// What a namespace waits for besides its finalizers: that its content is gone.
const CONTENT: &str = "kubernetes";

/// Label by which selectors find one namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

fn is_namespace(kind: &Kind) -> bool {
    kind.plural == NAMESPACE.plural && kind.group == NAMESPACE.group
}

/// A new object; a namespace is active and will wait for its content.
pub(crate) fn created(kind: &Kind, object: &mut Value) {
    if !is_namespace(kind) {
        return;
    }
    object["status"] = json!({ "phase": "Active" });
    let mut finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|f| f == CONTENT) {
        finalizers.push(CONTENT.into());
    }
    object["spec"] = json!({ "finalizers": finalizers });
    label(object);
}

/// A changed object before its checks; a namespace keeps its name as a label and, but for `finalize`, what it waits for.
pub(crate) fn updated(kind: &Kind, sub: &str, new: &mut Value, old: &Value) {
    if !is_namespace(kind) {
        return;
    }
    label(new);
    if sub != "finalize" {
        new["spec"]["finalizers"] = old["spec"]["finalizers"].clone();
        if new["spec"]["finalizers"].is_null() {
            new["spec"] = json!({});
        }
    }
}

fn label(object: &mut Value) {
    let name = meta::name(object).to_owned();
    if !name.is_empty() && object["metadata"].is_object() {
        object["metadata"]["labels"][NAME_LABEL] = name.into();
    }
}

/// Does anything keep the object (either form) from being removed?
pub(crate) fn pending(kind: &Kind, object: &Value) -> bool {
    let spec = object.pointer("/spec/finalizers").and_then(Value::as_array);
    meta::finalizers(object).next().is_some() || (is_namespace(kind) && spec.is_some_and(|f| !f.is_empty()))
}

/// Deletion has begun.
pub(crate) fn mark(kind: &Kind, object: &mut Value, now: &str) {
    meta::set_deletion_timestamp(object, now);
    meta::set(object, "deletionGracePeriodSeconds", Some(json!(0)));
    let generation = meta::generation(object);
    if generation > 0 {
        meta::set_generation(object, generation + 1);
    }
    if is_namespace(kind) {
        meta::set(object, "deletionGracePeriodSeconds", None);
        object["status"]["phase"] = json!("Terminating");
    }
}
