//! What workload kinds share with pods: defaults and checks of a PodTemplateSpec.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/#PodTemplateSpec>.

use serde_json::Value;

use crate::field::{Errors, Path};

/// Fills in what a PodTemplateSpec leaves open. Type facts have been applied. Doing it again changes nothing.
pub fn default(template: &mut Value) {
    super::default::spec(template);
}

/// Checks a PodTemplateSpec that lies at `path`, such as `spec.template`. What the owner demands beside it
/// (labels that its selector takes, which `restartPolicy`) is for the owner to check.
pub fn validate(_template: &Value, _path: &Path<'_>, _errors: &mut Errors) {}
