//! Deployment. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/>.

use serde_json::{Value, json};

use crate::{field::Errors, meta};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage, Subresource,
    columns::{AGE, NAME},
    read::{carry_over, child, text},
    workload::{self, CONTAINERS, IMAGES, SELECTOR, SPEC, count, fill, not_negative, number, percent, scale},
};

/// Deployment of apps/v1.
pub static DEPLOYMENT: Kind = Kind {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    list_kind: "DeploymentList",
    plural: "deployments",
    singular: "deployment",
    short_names: &["deploy"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: PARTS,
    type_name: TYPE,
    storage: Some(Storage { prefix: "apps/deployments", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update,
        validate,
        validate_update: workload::validate_selector_stays,
        validate_part: Some(validate_part),
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.apps.v1.Deployment";

const PARTS: &[Subresource] = &[scale::part(prepare_update), workload::status("Deployment", TYPE, prepare_status)];

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", "Pods that are ready, of those wanted.", 0, |object, _| {
        format!("{}/{}", count(object, "/status/readyReplicas"), count(object, "/spec/replicas")).into()
    }),
    number("Up-to-date", "Pods of the newest template.", |object, _| count(object, "/status/updatedReplicas").into()),
    number("Available", "Pods ready for long enough.", |object, _| count(object, "/status/availableReplicas").into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

/// The two ways to replace pods.
const STRATEGIES: &[&str] = &["Recreate", "RollingUpdate"];

/// By how many pods a rolling update may be above and below what is wanted.
const SHARE: &str = "25%";

/// Old ReplicaSets kept to go back to.
const HISTORY: i64 = 10;

/// Seconds without progress after which a rollout counts as failed.
const DEADLINE_SECONDS: i64 = 600;

fn default(object: &mut Value) {
    fill(object, "replicas", 1);
    fill(object, "revisionHistoryLimit", HISTORY);
    fill(object, "progressDeadlineSeconds", DEADLINE_SECONDS);
    fill(object, "strategy", json!({}));
    workload::default_template(object);
    let Some(strategy) = object.pointer_mut("/spec/strategy").and_then(Value::as_object_mut) else { return };
    let kind = strategy.entry("type").or_insert_with(|| "RollingUpdate".into());
    if kind == "" {
        *kind = "RollingUpdate".into();
    }
    if kind != "RollingUpdate" {
        return;
    }
    let Some(strategy) = object.pointer_mut("/spec/strategy") else { return };
    if let Some(rolling) = child(strategy, "rollingUpdate") {
        rolling.entry("maxUnavailable").or_insert_with(|| SHARE.into());
        rolling.entry("maxSurge").or_insert_with(|| SHARE.into());
    }
}

fn prepare_create(object: &mut Value, _: &Ctx) {
    workload::prepare_create(object, json!({}));
}

/// Annotations reach the ReplicaSets, so that a change of them is a new generation too.
fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
    let annotations = |object: &Value| object.pointer("/metadata/annotations").cloned();
    if new.get("spec") != old.get("spec") || annotations(new) != annotations(old) {
        meta::set_generation(new, meta::generation(old) + 1);
    }
}

fn prepare_status(new: &mut Value, old: &Value) {
    carry_over(new, old, "spec");
    let labels = old.pointer("/metadata/labels").cloned();
    meta::set(new, "labels", labels);
}

fn validate(object: &Value, errors: &mut Errors) {
    not_negative(object, &SPEC, "replicas", errors);
    workload::validate_pods(object, &workload::REPLICATED, errors);
    validate_strategy(object, errors);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        not_negative(object, &SPEC, field, errors);
    }
    let deadline = object.pointer("/spec/progressDeadlineSeconds").and_then(Value::as_i64);
    if let Some(deadline) = deadline.filter(|deadline| *deadline <= count(object, "/spec/minReadySeconds")) {
        errors.invalid(&SPEC.child("progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds");
    }
}

fn validate_strategy(object: &Value, errors: &mut Errors) {
    let (at, empty) = (SPEC.child("strategy"), json!({}));
    let strategy = object.pointer("/spec/strategy").unwrap_or(&empty);
    let rolling = strategy.get("rollingUpdate").filter(|rolling| rolling.is_object());
    match (text(strategy, "/type"), rolling) {
        ("Recreate", Some(_)) => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            errors.forbidden(&at.child("rollingUpdate"), why);
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            errors.required(&at.child("rollingUpdate"), "this should be defaulted and never be nil");
        }
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, errors),
        _ => errors.not_supported(&at, strategy.clone(), STRATEGIES),
    }
}

fn validate_rolling(rolling: &Value, errors: &mut Errors) {
    let (strategy, nothing) = (SPEC.child("strategy"), Value::from(0));
    let at = strategy.child("rollingUpdate");
    let value = |field: &str| rolling.get(field).unwrap_or(&nothing);
    let (unavailable, surge) = (value("maxUnavailable"), value("maxSurge"));
    percent::validate(unavailable, &at.child("maxUnavailable"), errors);
    percent::validate(surge, &at.child("maxSurge"), errors);
    if percent::plain(unavailable) == 0 && percent::plain(surge) == 0 {
        let why = "may not be 0 when `maxSurge` is 0";
        errors.invalid(&at.child("maxUnavailable"), unavailable.clone(), why);
    }
    percent::validate_at_most_all(unavailable, &at.child("maxUnavailable"), errors);
}

fn validate_part(part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    if part != "status" {
        return workload::validate_selector_stays(new, old, errors);
    }
    const COUNTS: &[&str] = &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    const ABOVE: &str = "cannot be greater than status.replicas";
    let limits = [
        ("updatedReplicas", "replicas", ABOVE),
        ("readyReplicas", "replicas", ABOVE),
        ("availableReplicas", "replicas", ABOVE),
        ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
    ];
    workload::validate_counts(new, COUNTS, &limits, errors);
    workload::validate_collisions(new, old, errors);
}
