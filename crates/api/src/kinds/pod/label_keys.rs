//! Label keys in affinity and spreading rules become part of the rule's selector, with the new pod's own values.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#matchlabelkeys>.

use serde_json::{Map, Value, json};

/// Rules of a spec: pointer to a list, and below each item where the rule is.
const RULES: &[(&str, &str)] = &[
    ("/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution", ""),
    ("/affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution", "/podAffinityTerm"),
    ("/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution", ""),
    ("/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution", "/podAffinityTerm"),
    ("/topologySpreadConstraints", ""),
];

/// Fields with keys, and what they mean in a selector.
const FIELDS: &[(&str, &str)] = &[("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")];

/// Puts keys into selectors. Done once, when a pod is made: a second time would add them again.
pub(super) fn merge(pod: &mut Value) {
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(spec) = pod.get_mut("spec") else { return };
    for (list, rule) in RULES {
        let items = spec.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        items.filter_map(|item| item.pointer_mut(rule)).for_each(|rule| merge_one(rule, &labels));
    }
}

fn merge_one(rule: &mut Value, labels: &Map<String, Value>) {
    let mut added = Vec::new();
    for (field, operator) in FIELDS {
        let keys = rule.get(*field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let known = keys.filter_map(|key| Some((key, labels.get(key)?)));
        added.extend(known.map(|(key, value)| json!({ "key": key, "operator": operator, "values": [value] })));
    }
    // A rule without a selector takes no pod, whatever its keys.
    let Some(selector) = rule.get_mut("labelSelector").and_then(Value::as_object_mut).filter(|_| !added.is_empty())
    else {
        return;
    };
    if let Some(list) = selector.entry("matchExpressions").or_insert_with(|| json!([])).as_array_mut() {
        list.extend(added);
    }
}
