//! What workload kinds share with pods: defaults and checks of a PodTemplateSpec.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/#PodTemplateSpec>.

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    object_meta,
};

/// Fills in what a PodTemplateSpec leaves open. Type facts have been applied. Doing it again changes nothing.
pub fn default(template: &mut Value) {
    super::default::spec(template);
}

/// Checks a PodTemplateSpec that lies at `path`, such as `spec.template`. What the owner demands beside it
/// (labels that its selector takes, which `restartPolicy`) is for the owner to check.
pub fn validate(template: &Value, path: &Path<'_>, errors: &mut Errors) {
    let map = |name: &str| template.pointer(&format!("/metadata/{name}")).and_then(Value::as_object);
    object_meta::check_labels(map("labels"), &path.child("labels"), errors);
    object_meta::check_annotations(map("annotations"), &path.child("annotations"), errors);
    super::validate::annotations(template, &path.child("annotations"), errors);
    let (none, path) = (Value::Null, path.child("spec"));
    let spec = template.get("spec").unwrap_or(&none);
    super::validate::spec(spec, None, &path, errors);
    if spec.get("ephemeralContainers").is_some() {
        errors.forbidden(&path.child("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}
