//! Parts of a pod that have a path of their own.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Operations>.
//! Leaves out: what answers `log`, `exec`, `attach`, `portforward` and `proxy` (streams, in `apiserver`).

use serde_json::Value;

use super::{
    super::{
        CREATE, PROXY_VERBS, STATUS_VERBS, Subresource,
        read::{carry_over, child},
    },
    TYPE,
};

/// All of them, sorted by name.
pub(super) const ALL: &[Subresource] = &[
    Subresource { name: "attach", kind: "PodAttachOptions", type_name: "", verbs: CONNECT, ..WHOLE },
    Subresource {
        name: "binding",
        kind: "Binding",
        type_name: super::binding::TYPE,
        verbs: CREATE,
        prepare_update: |_, _| {},
        ..WHOLE
    },
    Subresource { name: "ephemeralcontainers", prepare_update: keep_ephemeral, ..WHOLE },
    Subresource {
        name: "eviction",
        group: "policy",
        version: "v1",
        kind: "Eviction",
        type_name: "io.k8s.api.policy.v1.Eviction",
        verbs: CREATE,
        prepare_update: |_, _| {},
    },
    Subresource { name: "exec", kind: "PodExecOptions", type_name: "", verbs: CONNECT, ..WHOLE },
    Subresource { name: "log", verbs: &["get"], ..WHOLE },
    Subresource { name: "portforward", kind: "PodPortForwardOptions", type_name: "", verbs: CONNECT, ..WHOLE },
    Subresource { name: "proxy", kind: "PodProxyOptions", type_name: "", verbs: PROXY_VERBS, ..WHOLE },
    Subresource { name: "resize", prepare_update: keep_resources, ..WHOLE },
    Subresource { name: "status", prepare_update: keep_status, ..WHOLE },
];

/// Verbs of a stream.
const CONNECT: &[&str] = &["create", "get"];

const WHOLE: Subresource = Subresource {
    name: "",
    group: "",
    version: "",
    kind: "Pod",
    type_name: TYPE,
    verbs: STATUS_VERBS,
    prepare_update: |_, _| {},
};

/// Of the spec only the ephemeral containers are taken.
fn keep_ephemeral(new: &mut Value, old: &Value) {
    let wanted = new.pointer("/spec/ephemeralContainers").cloned();
    carry_over(new, old, "spec");
    carry_over(new, old, "status");
    set(new, "ephemeralContainers", wanted);
    super::count_generation(new, old);
}

/// Of the spec only what containers ask for is taken; of status and metadata nothing.
fn keep_resources(new: &mut Value, old: &Value) {
    let wanted = new.get("spec").cloned().unwrap_or_default();
    carry_over(new, old, "metadata");
    carry_over(new, old, "spec");
    carry_over(new, old, "status");
    for list in ["containers", "initContainers"] {
        let Some(kept) = new.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut) else { continue };
        let asked = wanted.get(list).and_then(Value::as_array);
        for container in kept {
            let named = asked.into_iter().flatten().find(|one| one["name"] == container["name"]);
            let Some(named) = named else { continue };
            carry_over(container, named, "resources");
            carry_over(container, named, "resizePolicy");
        }
    }
    super::count_generation(new, old);
}

/// The spec stays, and so does the pod's own deletion; owners are set elsewhere.
fn keep_status(new: &mut Value, old: &Value) {
    carry_over(new, old, "spec");
    for field in ["deletionTimestamp", "ownerReferences"] {
        let kept = old["metadata"].get(field).cloned();
        crate::meta::set(new, field, kept);
    }
    if let (Some(status), Some(class)) = (child(new, "status"), old.pointer("/status/qosClass")) {
        status.entry("qosClass").or_insert_with(|| class.clone());
    }
}

fn set(pod: &mut Value, field: &str, value: Option<Value>) {
    let Some(spec) = child(pod, "spec") else { return };
    match value {
        Some(value) => _ = spec.insert(field.to_owned(), value),
        None => _ = spec.remove(field),
    }
}
