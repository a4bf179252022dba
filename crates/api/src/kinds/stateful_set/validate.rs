//! What a StatefulSet may be, and become. Main functions: [`whole`], [`update`], [`part`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/>; paths and words are upstream's.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::super::{
    persistent_volume_claim,
    read::{items, text},
    workload::{self, PodWords, SPEC, not_negative, percent},
};
use crate::{field::Errors, meta, names};

const WORDS: PodWords = PodWords {
    required: true,
    empty: "empty selector is invalid for statefulset",
    unreadable: Some(""),
    kind: super::KIND,
};

const POLICIES: &[&str] = &["OrderedReady", "Parallel"];

const RETENTION: &[&str] = &["Retain", "Delete"];

/// What of a spec may change.
const MUTABLE: &[&str] = &[
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn whole(object: &Value, errors: &mut Errors) {
    validate_policy(object, errors);
    validate_strategy(object, errors);
    validate_claims(object, errors);
    not_negative(object, &SPEC, "replicas", errors);
    not_negative(object, &SPEC, "minReadySeconds", errors);
    not_negative(object, &SPEC.child("ordinals"), "start", errors);
    validate_service_name(object, errors);
    workload::validate_pods(&with_claims(object), &WORDS, errors);
}

fn validate_policy(object: &Value, errors: &mut Errors) {
    let at = SPEC.child("podManagementPolicy");
    match text(object, "/spec/podManagementPolicy") {
        "" => errors.required(&at, ""),
        known if POLICIES.contains(&known) => {}
        other => errors.invalid(&at, other, "must be 'OrderedReady' or 'Parallel'"),
    }
}

fn validate_strategy(object: &Value, errors: &mut Errors) {
    let (at, empty) = (SPEC.child("updateStrategy"), json!({}));
    let strategy = object.pointer("/spec/updateStrategy").unwrap_or(&empty);
    match (text(strategy, "/type"), strategy.get("rollingUpdate").filter(|rolling| rolling.is_object())) {
        ("", _) => errors.required(&at, ""),
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid(&at.child("rollingUpdate"), rolling.clone(), why);
        }
        ("RollingUpdate", Some(rolling)) => validate_rolling(object, rolling, errors),
        ("OnDelete" | "RollingUpdate", None) => {}
        _ => errors.invalid(&at, strategy.clone(), "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

fn validate_rolling(object: &Value, rolling: &Value, errors: &mut Errors) {
    let strategy = SPEC.child("updateStrategy");
    let at = strategy.child("rollingUpdate");
    not_negative(object, &at, "partition", errors);
    let Some(most) = rolling.get("maxUnavailable").filter(|most| !most.is_null()) else { return };
    let at = at.child("maxUnavailable");
    percent::validate(most, &at, errors);
    if percent::plain(most) == 0 {
        errors.invalid(&at, most.clone(), "cannot be 0");
    }
    percent::validate_at_most_all(most, &at, errors);
}

fn validate_claims(object: &Value, errors: &mut Errors) {
    let at = SPEC.child("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        let told = object.pointer(&format!("/{at}/{field}").replace('.', "/")).and_then(Value::as_str);
        if let Some(word) = told.filter(|word| !RETENTION.contains(word)) {
            errors.not_supported(&at.child(field), word, RETENTION);
        }
    }
    let at = SPEC.child("volumeClaimTemplates");
    for (index, claim) in items(object, "/spec/volumeClaimTemplates").iter().enumerate() {
        let (at, empty) = (at.index(index), json!({}));
        persistent_volume_claim::validate_spec(claim.get("spec").unwrap_or(&empty), &at.child("spec"), errors);
    }
}

/// Pods are found by names below it.
fn validate_service_name(object: &Value, errors: &mut Errors) {
    let name = text(object, "/spec/serviceName");
    if !name.is_empty() {
        let at = SPEC.child("serviceName");
        names::dns1123_label(name).into_iter().for_each(|why| errors.invalid(&at, name, why));
    }
}

/// The object with a volume in its template for each claim, as its pods have them: containers may mount these.
fn with_claims(object: &Value) -> Cow<'_, Value> {
    let claims = items(object, "/spec/volumeClaimTemplates");
    if claims.is_empty() {
        return Cow::Borrowed(object);
    }
    let named = |volume: &Value| claims.iter().any(|claim| meta::name(claim) == text(volume, "/name"));
    let own = items(object, "/spec/template/spec/volumes").iter().filter(|volume| !named(volume)).cloned();
    let claimed = claims.iter().map(|claim| {
        let name = meta::name(claim);
        json!({ "name": name, "persistentVolumeClaim": { "claimName": name } })
    });
    let volumes: Vec<Value> = own.chain(claimed).collect();
    let mut whole = object.clone();
    if let Some(spec) = whole.pointer_mut("/spec/template/spec") {
        spec["volumes"] = volumes.into();
    }
    Cow::Owned(whole)
}

pub(super) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    const WHY: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                       'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                       'minReadySeconds' are forbidden";
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        if let Some(fields) = spec.as_object_mut() {
            fields.retain(|field, _| !MUTABLE.contains(&field.as_str()));
        }
        spec
    };
    if fixed(new) != fixed(old) {
        errors.forbidden(&SPEC, WHY);
    }
}

pub(super) fn part(part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    if part != "status" {
        return update(new, old, errors);
    }
    const COUNTS: &[&str] = &[
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ];
    const ABOVE: &str = "cannot be greater than status.replicas";
    let limits = [
        ("readyReplicas", "replicas", ABOVE),
        ("currentReplicas", "replicas", ABOVE),
        ("updatedReplicas", "replicas", ABOVE),
        ("availableReplicas", "replicas", ABOVE),
        ("availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas"),
    ];
    workload::validate_counts(new, COUNTS, &limits, errors);
    workload::validate_collisions(new, old, errors);
}
