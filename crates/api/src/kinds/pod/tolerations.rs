//! How long a pod bears a node that is gone, unless it says otherwise. Spec:
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions>.

use serde_json::{Value, json};

use super::super::read::{child, items, text};

/// Seconds it bears a node that is not ready: upstream's.
const NOT_READY_SECONDS: i64 = 300;

/// Seconds it bears a node that nobody reaches: less than upstream's, since three parties agree before a node is called so.
const UNREACHABLE_SECONDS: i64 = 10;

/// Adds what is missing. Doing it again changes nothing. Also done on updates, since whoever applies a pod again leaves
/// out what he did not write.
pub fn fill(pod: &mut Value) {
    let wanted =
        [("node.kubernetes.io/not-ready", NOT_READY_SECONDS), ("node.kubernetes.io/unreachable", UNREACHABLE_SECONDS)];
    for (key, seconds) in wanted {
        let bears = |toleration: &Value| {
            let (known, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
            (known.is_empty() || known == key) && (effect.is_empty() || effect == "NoExecute")
        };
        if items(pod, "/spec/tolerations").iter().any(bears) {
            continue;
        }
        let own = json!({ "effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": seconds });
        let Some(spec) = child(pod, "spec") else { return };
        if let Some(list) = spec.entry("tolerations").or_insert_with(|| json!([])).as_array_mut() {
            list.push(own);
        }
    }
}
