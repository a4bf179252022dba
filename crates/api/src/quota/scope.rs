//! Scopes of a quota: which of a namespace's pods and claims it counts. Main function: [`in_scope`]. Spec:
//! <https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes>.

use serde_json::Value;

use super::{OF_CLAIMS, same};
use crate::{
    kinds::{
        Kind,
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM,
        pod::{POD, qos},
        read::{items, text},
    },
    selector::{Operator, Requirement},
};

/// Which of a namespace's pods or claims a quota counts.
pub type Scope = &'static str;

/// The scopes there are.
pub const SCOPES: &[Scope] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    CLAIM_SCOPE,
];

/// The scope of claims, where all others are of pods.
const CLAIM_SCOPE: Scope = "VolumeAttributesClass";

/// Scopes of which a pod is always in one only.
pub const CONFLICTING: &[[Scope; 2]] = &[["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// Resources of pods that a scope can go with.
const COMPUTE: &[&str] = &["cpu", "memory", "limits.cpu", "limits.memory", "pods", "requests.cpu", "requests.memory"];

/// Whether a scope can limit a resource; resources of other domains fit anywhere.
#[must_use]
pub fn scope_fits(scope: &str, resource: &str) -> bool {
    resource.contains('/')
        || match scope {
            "BestEffort" => resource == "pods",
            CLAIM_SCOPE => OF_CLAIMS.contains(&resource),
            scope if SCOPES.contains(&scope) => COMPUTE.contains(&resource),
            _ => true,
        }
}

/// Whether a quota's scopes take this object in; those with scopes count pods or claims only.
#[must_use]
pub fn in_scope(quota: &Value, kind: &Kind, object: &Value) -> bool {
    let plain = items(quota, "/spec/scopes").iter().filter_map(Value::as_str);
    let mut plain = plain.map(|scope| (scope, "Exists", &[] as &[Value]));
    let selected = items(quota, "/spec/scopeSelector/matchExpressions").iter();
    let mut selected = selected.map(|one| (text(one, "/scopeName"), text(one, "/operator"), items(one, "/values")));
    let fits = |(scope, operator, values)| match kind {
        kind if same(kind, &POD) => pod_in(object, scope, operator, values),
        kind if same(kind, &PERSISTENT_VOLUME_CLAIM) => scope == CLAIM_SCOPE && claim_in(object, operator, values),
        _ => false,
    };
    plain.all(fits) && selected.all(fits)
}

fn pod_in(pod: &Value, scope: &str, operator: &str, values: &[Value]) -> bool {
    let ends = pod.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds >= 0);
    let best_effort = || qos::class(pod) == "BestEffort";
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort(),
        "NotBestEffort" => !best_effort(),
        "PriorityClass" => class_in(scope, text(pod, "/spec/priorityClassName"), operator, values),
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

/// Where a claim goes from one class of attributes to another, both count.
fn claim_in(claim: &Value, operator: &str, values: &[Value]) -> bool {
    const CLASSES: [&str; 3] = [
        "/spec/volumeAttributesClassName",
        "/status/currentVolumeAttributesClassName",
        "/status/modifyVolumeStatus/targetVolumeAttributesClassName",
    ];
    let mut named = CLASSES.iter().map(|pointer| text(claim, pointer)).filter(|class| !class.is_empty()).peekable();
    match named.peek() {
        None => class_in(CLAIM_SCOPE, "", operator, values),
        Some(_) => named.any(|class| class_in(CLAIM_SCOPE, class, operator, values)),
    }
}

fn class_in(scope: &str, class: &str, operator: &str, values: &[Value]) -> bool {
    let operator = match operator {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => Operator::Exists,
    };
    let values = values.iter().filter_map(Value::as_str).map(Into::into).collect();
    let class = Some(class).filter(|class| !class.is_empty());
    Requirement { key: scope.into(), operator, values }.holds(class)
}

fn crosses_namespaces(pod: &Value) -> bool {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    ["podAffinity", "podAntiAffinity"].iter().any(|which| {
        let list = |when: &str| items(pod, &format!("/spec/affinity/{which}/{when}")).to_vec();
        let required = list(REQUIRED).into_iter();
        let preferred = list(PREFERRED).into_iter().filter_map(|one| one.get("podAffinityTerm").cloned());
        required.chain(preferred).any(|term| {
            !items(&term, "/namespaces").is_empty() || term.get("namespaceSelector").is_some_and(|one| !one.is_null())
        })
    })
}
