//! `scale`: how many pods there are to be, and are, of any kind that counts them. A view of the object, not stored.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/>, `Scale` of
//! autoscaling/v1.

use serde_json::{Value, json};

use crate::{
    field::{Errors, Path},
    kinds::{STATUS_VERBS, Subresource, read::child},
    meta,
};

/// The name of the part.
pub const NAME: &str = "scale";

/// Key into the type facts.
pub const TYPE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// The part of a kind whose counts lie at `spec.replicas` and `status.replicas`.
pub(in crate::kinds) const fn part(prepare_update: fn(&mut Value, &Value)) -> Subresource {
    Subresource {
        name: NAME,
        group: "autoscaling",
        version: "v1",
        kind: "Scale",
        type_name: TYPE,
        verbs: STATUS_VERBS,
        prepare_update,
    }
}

/// The Scale of an object.
#[must_use]
pub fn of(object: &Value) -> Value {
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {},
        "spec": {}, "status": { "replicas": super::count(object, "/status/replicas") },
    });
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        meta::set_text(&mut scale, field, meta::text(object, field));
    }
    let wanted = super::count(object, "/spec/replicas");
    if wanted != 0 {
        scale["spec"]["replicas"] = wanted.into();
    }
    let selector = super::selector(object).to_string();
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// Makes an object as large as a Scale says; its preconditions go over too.
pub fn apply(object: &mut Value, scale: &Value) {
    for field in ["uid", "resourceVersion"] {
        if !meta::text(scale, field).is_empty() {
            meta::set_text(object, field, meta::text(scale, field));
        }
    }
    if let Some(spec) = child(object, "spec") {
        spec.insert("replicas".to_owned(), super::count(scale, "/spec/replicas").into());
    }
}

/// Checks a Scale.
pub fn validate(scale: &Value, errors: &mut Errors) {
    super::not_negative(scale, &Path::new("spec"), "replicas", errors);
}
