//! What makes a pod one of a StatefulSet's: its name, number, host name and revision. Main functions: [`ordinal_of`], [`make`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-identity>.

use api::{
    kinds::{pod::POD, read::text},
    meta,
};
use serde_json::{Value, json};

use super::claims;
use crate::{Action, Only, Patch, Target, history::template_of, workload::pod_of};

/// Label of a pod: its own name, so that a Service can select it alone.
const NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// Label of a pod: its number.
const INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// Label of a pod: the name of its revision.
const REVISION_LABEL: &str = "controller-revision-hash";

/// The number in a pod's name, if it is a name of this set's pods.
pub(super) fn ordinal_of(set: &Value, pod: &Value) -> Option<i64> {
    let digits = meta::name(pod).strip_prefix(meta::name(set))?.strip_prefix('-')?;
    let ordinal = digits.parse::<i32>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    (digits == ordinal.to_string()).then_some(ordinal.into())
}

/// The name of a set's pod.
pub(super) fn name_of(set: &Value, ordinal: i64) -> String {
    format!("{}-{ordinal}", meta::name(set))
}

/// The name of the revision that a pod was made of.
pub(super) fn revision_of(pod: &Value) -> &str {
    meta::label(pod, REVISION_LABEL).unwrap_or_default()
}

/// A pod of a revision.
pub(super) fn make(set: &Value, revision: &Value, ordinal: i64) -> Action {
    let name = name_of(set, ordinal);
    let mut template = template_of(revision);
    template["metadata"]["labels"][NAME_LABEL] = name.as_str().into();
    template["metadata"]["labels"][INDEX_LABEL] = ordinal.to_string().into();
    template["metadata"]["labels"][REVISION_LABEL] = meta::name(revision).into();
    template["spec"]["hostname"] = name.as_str().into();
    let service = text(set, "/spec/serviceName");
    if !service.is_empty() {
        template["spec"]["subdomain"] = service.into();
    }
    claims::mount(set, ordinal, &mut template["spec"]);
    pod_of(set, &template, name)
}

/// Gives a pod back the label that it is found by.
pub(super) fn repair(pod: &Value) -> Option<Action> {
    if meta::label(pod, NAME_LABEL) == Some(meta::name(pod)) {
        return None;
    }
    let patch = Patch::Merge(json!({ "metadata": { "labels": { NAME_LABEL: meta::name(pod) } } }));
    Some(Action::Patch { target: Target::of(&POD, pod), part: "", patch, only: Only::unchanged(pod) })
}
