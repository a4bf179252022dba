//! What is written into conditions on behalf of a kubelet that does not speak.

use api::{
    kinds::read::{items, text},
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Conditions that a kubelet keeps.
const KEPT: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// The node's conditions where all that its kubelet keeps are unknown; `None` where they say so already.
pub(super) fn unknown(node: &Value, now: Timestamp) -> Option<Vec<Value>> {
    let mut conditions = items(node, "/status/conditions").to_vec();
    let mut changed = false;
    for name in KEPT {
        let at = meta::time(now);
        match conditions.iter_mut().find(|condition| text(condition, "/type") == name) {
            Some(known) if text(known, "/status") == "Unknown" => continue,
            Some(known) => {
                known["status"] = "Unknown".into();
                known["reason"] = "NodeStatusUnknown".into();
                known["message"] = "Kubelet stopped posting node status.".into();
                known["lastTransitionTime"] = at.into();
            }
            None => conditions.push(json!({
                "type": name, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.", "lastTransitionTime": at,
            })),
        }
        changed = true;
    }
    changed.then_some(conditions)
}

/// A pod's conditions where it is not ready; `None` where they do not say that it is.
pub(super) fn not_ready(pod: &Value, now: Timestamp) -> Option<Vec<Value>> {
    let mut conditions = items(pod, "/status/conditions").to_vec();
    let ready = |condition: &&mut Value| text(condition, "/type") == "Ready" && text(condition, "/status") == "True";
    let ready = conditions.iter_mut().find(ready)?;
    ready["status"] = "False".into();
    ready["lastTransitionTime"] = meta::time(now).into();
    Some(conditions)
}
