//! Grace: how long a pod is given to end by itself.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>.

use serde_json::Value;

use super::{super::read::text, is_terminal};

/// Seconds a pod is given, of what was asked for. None where nobody has to end it: it has no node, or has ended.
#[must_use]
pub fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    if text(pod, "/spec/nodeName").is_empty() || is_terminal(pod) {
        return 0;
    }
    let own = || pod.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    match asked.or_else(own).unwrap_or(0) {
        // No time at all means at once, so a time before now is the shortest there is.
        ..0 => 1,
        seconds => seconds,
    }
}
