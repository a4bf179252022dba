//! The pods of a DaemonSet: each for one node, and bearing what befalls nodes. Main functions: [`tolerant`], [`make`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations>.

use api::{
    kinds::{
        daemon_set::TEMPLATE_GENERATION,
        read::{child, is_true, items, text},
    },
    meta,
};
use serde_json::{Value, json};

use super::{HASH_LABEL, nodes::Daemons};
use crate::{Action, workload::pod_of};

/// Where a pod's affinity names its node.
pub(super) const TERMS: &str =
    "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

/// Label of a pod: which of the set's templates it has, counted.
pub(super) const GENERATION_LABEL: &str = "pod-template-generation";

/// Annotation of a pod that took the place of one that failed: how many did so one after the other. What waits between
/// them is worked out from it, so that any leader waits the same.
pub(super) const FAILURES: &str = "mesh.dev/daemon-failures";

/// Taints that daemons bear, and whether that is for those on the host's network only.
const BORNE: &[(&str, &str, bool)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute", false),
    ("node.kubernetes.io/unreachable", "NoExecute", false),
    ("node.kubernetes.io/disk-pressure", "NoSchedule", false),
    ("node.kubernetes.io/memory-pressure", "NoSchedule", false),
    ("node.kubernetes.io/pid-pressure", "NoSchedule", false),
    ("node.kubernetes.io/unschedulable", "NoSchedule", false),
    ("node.kubernetes.io/network-unavailable", "NoSchedule", true),
];

/// A set's template with what daemons bear.
pub(super) fn tolerant(set: &Value) -> Value {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    let on_host = is_true(&template, "/spec/hostNetwork");
    let mut tolerations = items(&template, "/spec/tolerations").to_vec();
    for (key, effect, _) in BORNE.iter().filter(|(_, _, host_only)| on_host || !host_only) {
        let same = |one: &Value| {
            text(one, "/key") == *key
                && text(one, "/effect") == *effect
                && text(one, "/operator") == "Exists"
                && text(one, "/value").is_empty()
        };
        let ours = json!({ "key": key, "operator": "Exists", "effect": effect });
        match tolerations.iter_mut().find(|one| same(one)) {
            Some(known) => *known = ours,
            None => tolerations.push(ours),
        }
    }
    template["spec"]["tolerations"] = tolerations.into();
    template
}

/// A pod for a node, in the place of so many that failed.
pub(super) fn make(daemons: &Daemons<'_>, name: String, node: &str, failures: u32) -> Action {
    let mut template = tolerant(daemons.set);
    if let Some(metadata) = child(&mut template, "metadata") {
        let mut labels = metadata.get("labels").cloned().unwrap_or_else(|| json!({}));
        labels[HASH_LABEL] = daemons.hash.into();
        if let Some(number) = meta::annotation(daemons.set, TEMPLATE_GENERATION) {
            labels[GENERATION_LABEL] = number.into();
        }
        metadata.insert("labels".to_owned(), labels);
    }
    if failures > 0 {
        template["metadata"]["annotations"][FAILURES] = failures.to_string().into();
    }
    let only = json!([{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] }]);
    template["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": only });
    pod_of(daemons.set, &template, name)
}

/// How many pods failed one after the other before this one.
pub(super) fn failures(pod: &Value) -> u32 {
    meta::annotation(pod, FAILURES).and_then(|number| number.parse().ok()).unwrap_or_default()
}
