//! ReplicaSet. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replica-set-v1/>.

use serde_json::{Value, json};

use crate::field::Errors;

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, SelectableField, Storage, Subresource,
    columns::{AGE, NAME},
    read::carry_over,
    workload::{self, CONTAINERS, IMAGES, SELECTOR, SPEC, count, fill, not_negative, number, scale},
};

/// ReplicaSet of apps/v1.
pub static REPLICA_SET: Kind = Kind {
    group: "apps",
    version: "v1",
    kind: "ReplicaSet",
    list_kind: "ReplicaSetList",
    plural: "replicasets",
    singular: "replicaset",
    short_names: &["rs"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: PARTS,
    type_name: TYPE,
    storage: Some(Storage { prefix: "apps/replicasets", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[SelectableField {
        label: "status.replicas",
        stored: "status.replicas",
        pointers: &["/status/replicas"],
        default: "0",
    }],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update: workload::prepare_update,
        validate,
        validate_update: workload::validate_selector_stays,
        validate_part: Some(validate_part),
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.apps.v1.ReplicaSet";

const PARTS: &[Subresource] =
    &[scale::part(workload::prepare_update), workload::status("ReplicaSet", TYPE, prepare_status)];

/// What is shown of a kind that keeps a number of pods.
pub(super) const COLUMNS: &[Column] = &[
    NAME,
    number("Desired", "Pods wanted.", |object, _| count(object, "/spec/replicas").into()),
    number("Current", "Pods there are.", |object, _| count(object, "/status/replicas").into()),
    number("Ready", "Pods that are ready.", |object, _| count(object, "/status/readyReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn default(object: &mut Value) {
    fill(object, "replicas", 1);
    workload::default_template(object);
}

/// Without pods yet.
pub(super) fn prepare_create(object: &mut Value, _: &Ctx) {
    workload::prepare_create(object, json!({ "replicas": 0 }));
}

/// Only the status changes.
pub(super) fn prepare_status(new: &mut Value, old: &Value) {
    carry_over(new, old, "spec");
}

fn validate(object: &Value, errors: &mut Errors) {
    not_negative(object, &SPEC, "replicas", errors);
    not_negative(object, &SPEC, "minReadySeconds", errors);
    workload::validate_pods(object, &workload::REPLICATED, errors);
}

fn validate_part(part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    match part {
        "status" => validate_status(new, errors),
        _ => workload::validate_selector_stays(new, old, errors),
    }
}

/// The counts of a status.
pub(super) fn validate_status(new: &Value, errors: &mut Errors) {
    const COUNTS: &[&str] = &[
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
    ];
    const ABOVE: &str = "cannot be greater than status.replicas";
    let limits = [
        ("fullyLabeledReplicas", "replicas", ABOVE),
        ("readyReplicas", "replicas", ABOVE),
        ("availableReplicas", "replicas", ABOVE),
        ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
    ];
    workload::validate_counts(new, COUNTS, &limits, errors);
}
