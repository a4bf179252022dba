//! Events of pods: reasons and texts as upstream's. Main type: [`PodEvent`].

use serde_json::{Value, json};

use crate::model::{Kind, Pod};

/// An event to record. The recorder adds time, source and counts; equal ones are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEvent {
    /// `Warning`, or else `Normal`.
    pub warning: bool,
    /// As `Pulled`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `involvedObject.fieldPath`, as `spec.containers{web}`; empty for the pod itself.
    pub field_path: String,
}

impl PodEvent {
    /// `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.warning { "Warning" } else { "Normal" }
    }

    /// About the pod.
    pub(crate) fn of_pod(warning: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning, reason, message: message.into(), field_path: String::new() }
    }

    /// About a container.
    pub(crate) fn of(
        warning: bool,
        reason: &'static str,
        (kind, name): (Kind, &str),
        message: impl Into<String>,
    ) -> Self {
        Self { warning, reason, message: message.into(), field_path: field_path(kind, name) }
    }

    /// `involvedObject` of an event about a pod.
    #[must_use]
    pub fn involved_object(&self, pod: &Pod, resource_version: &str) -> Value {
        let meta = &pod.metadata;
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod", "name": meta.name, "namespace": meta.namespace, "uid": meta.uid,
            "resourceVersion": resource_version,
        });
        if !self.field_path.is_empty() {
            object["fieldPath"] = self.field_path.as_str().into();
        }
        object
    }
}

/// As `spec.containers{web}`.
#[must_use]
pub fn field_path(kind: Kind, name: &str) -> String {
    format!("spec.{}{{{name}}}", kind.field())
}
