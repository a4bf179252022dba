//! Pod: its row in the kinds table and what is peculiar to it on the way in.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>.
//!
//! Its parts: [`template`] (what workload kinds share with it), `default`, `validate`, `update` (what may change),
//! `qos`, `table` (what kubectl prints), `subresource` (`status`, `log`, ...), `deletion` (grace), [`binding`].
//! Leaves out: admission, which needs other objects (`apiserver`); running it (`kubelet`).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{field::Errors, meta};

use super::{
    ALL_VERBS, Ctx, Hooks, Index, Kind, NameRule, OWNER_INDEX, SelectableField, Storage,
    read::{carry_over, items, owner_uids, text},
};

pub mod amounts;
pub mod binding;
pub mod deletion;
pub mod qos;
pub mod template;
pub mod tolerations;
pub mod warnings;

mod default;
mod label_keys;
mod subresource;
mod table;
pub(super) mod update;
pub(super) mod validate;

/// Core v1 Pod.
pub static POD: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Pod",
    list_kind: "PodList",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: subresource::ALL,
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/pods", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: FIELDS,
    indexes: &[
        Index { name: OWNER_INDEX, values: owner_uids },
        Index { name: NODE_INDEX, values: |pod| vec![text(pod, "/spec/nodeName").to_owned()] },
        Index { name: CLAIM_INDEX, values: claims_of },
    ],
    columns: table::COLUMNS,
    hooks: Hooks {
        default: default::pod,
        prepare_create,
        prepare_update,
        stamp: |_, _, _| {},
        validate,
        validate_update: update::spec,
        validate_part: Some(update::part),
        warnings: warnings::pod,
        grace: Some(deletion::grace),
    },
};

/// Key into the type facts.
const TYPE: &str = "io.k8s.api.core.v1.Pod";

/// Name of the index by node; also the field label that uses it. Pods without a node are under the empty value.
pub const NODE_INDEX: &str = "spec.nodeName";

/// Name of the index by the claims that a pod uses: `<namespace>/<name>`.
pub const CLAIM_INDEX: &str = "claim";

const FIELDS: &[SelectableField] = &[
    field("spec.nodeName", "spec.nodeName", &["/spec/nodeName"], ""),
    // What clients before v1 called it.
    field("spec.host", "spec.nodeName", &["/spec/nodeName"], ""),
    field("spec.restartPolicy", "spec.restartPolicy", &["/spec/restartPolicy"], ""),
    field("spec.schedulerName", "spec.schedulerName", &["/spec/schedulerName"], ""),
    field("spec.serviceAccountName", "spec.serviceAccountName", &["/spec/serviceAccountName"], ""),
    field("spec.hostNetwork", "spec.hostNetwork", &["/spec/hostNetwork"], "false"),
    field("status.phase", "status.phase", &["/status/phase"], ""),
    field("status.podIP", "status.podIP", &["/status/podIPs/0/ip"], ""),
    field("status.podIPs", "status.podIPs", &["/status/podIPs/0/ip"], ""),
    field("status.nominatedNodeName", "status.nominatedNodeName", &["/status/nominatedNodeName"], ""),
];

const fn field(
    label: &'static str,
    stored: &'static str,
    pointers: &'static [&'static str],
    default: &'static str,
) -> SelectableField {
    SelectableField { label, stored, pointers, default }
}

fn claims_of(pod: &Value) -> Vec<String> {
    let names = items(pod, "/spec/volumes").iter().filter_map(|volume| claim_name(pod, volume));
    names.map(|name| format!("{}/{name}", meta::namespace(pod))).collect()
}

/// The name of the claim that one of a pod's volumes is of: one that it names, or one that is made for it alone.
#[must_use]
pub fn claim_name(pod: &Value, volume: &Value) -> Option<String> {
    if let Some(claim) = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str) {
        return Some(claim.to_owned());
    }
    let made = volume.get("ephemeral").is_some_and(Value::is_object);
    made.then(|| ephemeral_claim(meta::name(pod), text(volume, "/name")))
}

/// The name of the claim that is made for an ephemeral volume of a pod.
/// Spec: <https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#persistentvolumeclaim-naming>.
#[must_use]
pub fn ephemeral_claim(pod: &str, volume: &str) -> String {
    format!("{pod}-{volume}")
}

/// Has it ended for good, by itself?
#[must_use]
pub fn is_terminal(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Makes a condition say this. Its `lastTransitionTime` is `now` where the status is another than before.
pub fn set_condition(pod: &mut Value, condition: Condition<'_>, now: Timestamp) {
    let Some(status) = super::read::child(pod, "status") else { return };
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else { return };
    let mut new = condition.to_json(Some(now));
    match list.iter_mut().find(|known| text(known, "/type") == condition.r#type) {
        Some(known) => {
            if text(known, "/status") == condition.status {
                new["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            *known = new;
        }
        None => list.push(new),
    }
}

/// What a pod's condition says.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// Which one: `PodScheduled`, `DisruptionTarget`, ...
    pub r#type: &'a str,
    /// `True`, `False` or `Unknown`.
    pub status: &'a str,
    /// A word for machines; may be empty.
    pub reason: &'a str,
    /// For people; may be empty.
    pub message: &'a str,
}

impl Condition<'_> {
    fn to_json(self, since: Option<Timestamp>) -> Value {
        let mut json = json!({ "type": self.r#type, "status": self.status });
        if let Some(since) = since {
            json["lastTransitionTime"] = meta::time(since).into();
        }
        for (name, value) in [("reason", self.reason), ("message", self.message)] {
            if !value.is_empty() {
                json[name] = value.into();
            }
        }
        json
    }
}

/// Why a pod with scheduling gates is not scheduled.
const GATED: Condition<'static> = Condition {
    r#type: "PodScheduled",
    status: "False",
    reason: "SchedulingGated",
    message: "Scheduling is blocked due to non-empty scheduling gates",
};

fn prepare_create(pod: &mut Value, _: &Ctx) {
    let class = qos::class(pod);
    pod["status"] = json!({ "phase": "Pending", "qosClass": class });
    if !super::read::items(pod, "/spec/schedulingGates").is_empty() {
        pod["status"]["conditions"] = json!([GATED.to_json(None)]);
    }
    label_keys::merge(pod);
    meta::set_generation(pod, 1);
}

/// Fields of the spec that admission set; who writes a pod back without them means no harm.
const ADMITTED: [&str; 2] = ["priority", "preemptionPolicy"];

fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
    for field in ADMITTED {
        let known = old.get("spec").and_then(|spec| spec.get(field));
        if let (Some(spec), Some(known)) = (new.get_mut("spec").and_then(Value::as_object_mut), known) {
            spec.entry(field).or_insert_with(|| known.clone());
        }
    }
    tolerations::fill(new);
    count_generation(new, old);
}

/// A changed spec is a new generation.
fn count_generation(new: &mut Value, old: &Value) {
    if new.get("spec") != old.get("spec") {
        meta::set_generation(new, meta::generation(old) + 1);
    }
}

fn validate(pod: &Value, errors: &mut Errors) {
    validate::pod(pod, errors);
    // Only what is stored has a version.
    if meta::resource_version(pod).is_empty() {
        validate::new(pod, errors);
    }
}

#[cfg(test)]
mod tests;
