//! Namespaces end in two steps: first they take in nothing new, then, emptied, they go.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/>.
//! This is all the generic path knows of them; what empties them is the namespace controller.

use api::{
    kinds::{Kind, namespace::NAMESPACE},
    meta,
};
use serde_json::{Value, json};

fn is_namespace(kind: &Kind) -> bool {
    kind.plural == NAMESPACE.plural && kind.group == NAMESPACE.group
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
