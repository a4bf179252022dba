//! Where the claims of a StatefulSet's pods will be made and followed. Main function: [`refusal`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage>.
//!
//! PersistentVolumeClaims are not served yet, so that a set that wants some gets no pod: one without its storage would look
//! like one that has it.

use api::kinds::read::items;
use serde_json::Value;

/// Why a set's pods cannot have what they claim.
pub(super) fn refusal(set: &Value) -> Option<&'static str> {
    let claims = items(set, "/spec/volumeClaimTemplates");
    (!claims.is_empty()).then_some(
        "PersistentVolumeClaims are not served by this cluster yet: take spec.volumeClaimTemplates out, and give \
         spec.template.spec.volumes an emptyDir or hostPath of that name",
    )
}
