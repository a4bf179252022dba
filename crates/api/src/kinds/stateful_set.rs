//! StatefulSet. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/stateful-set-v1/>; its checks
//! are in `validate`.

use serde_json::{Value, json};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage, Subresource,
    columns::{AGE, NAME},
    persistent_volume_claim,
    read::{carry_over, child, text},
    workload::{self, CONTAINERS, IMAGES, count, fill, scale},
};

mod validate;

/// StatefulSet of apps/v1.
pub static STATEFUL_SET: Kind = Kind {
    group: "apps",
    version: "v1",
    kind: KIND,
    list_kind: "StatefulSetList",
    plural: "statefulsets",
    singular: "statefulset",
    short_names: &["sts"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: PARTS,
    type_name: TYPE,
    storage: Some(Storage { prefix: "apps/statefulsets", other: None }),
    name_rule: NameRule::DnsLabel,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update: workload::prepare_update,
        validate: validate::whole,
        validate_update: validate::update,
        validate_part: Some(validate::part),
        ..Hooks::NONE
    },
};

const KIND: &str = "StatefulSet";

const TYPE: &str = "io.k8s.api.apps.v1.StatefulSet";

const PARTS: &[Subresource] =
    &[scale::part(workload::prepare_update), workload::status(KIND, TYPE, |new, old| carry_over(new, old, "spec"))];

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", "Pods that are ready, of those wanted.", 0, |object, _| {
        format!("{}/{}", count(object, "/status/readyReplicas"), count(object, "/spec/replicas")).into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
];

/// Old templates kept to go back to.
const HISTORY: i64 = 10;

fn default(object: &mut Value) {
    fill(object, "podManagementPolicy", "OrderedReady");
    fill(object, "replicas", 1);
    fill(object, "revisionHistoryLimit", HISTORY);
    fill(object, "serviceName", "");
    fill(object, "updateStrategy", json!({}));
    fill(object, "persistentVolumeClaimRetentionPolicy", json!({}));
    workload::default_template(object);
    let Some(spec) = object.get_mut("spec") else { return };
    if let Some(strategy) = spec.get_mut("updateStrategy") {
        default_strategy(strategy);
    }
    if let Some(policy) = child(spec, "persistentVolumeClaimRetentionPolicy") {
        for field in ["whenDeleted", "whenScaled"] {
            policy.entry(field).or_insert_with(|| "Retain".into());
        }
    }
    let claims = spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut);
    claims.into_iter().flatten().for_each(default_claim);
}

/// A partition is there where a rolling update is told of, or nothing is told.
fn default_strategy(strategy: &mut Value) {
    if text(strategy, "/type").is_empty() {
        strategy["type"] = "RollingUpdate".into();
        child(strategy, "rollingUpdate");
    }
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut)
    {
        rolling.entry("partition").or_insert_with(|| 0.into());
    }
}

/// What a claim is, if it does not say.
fn default_claim(claim: &mut Value) {
    let Some(fields) = claim.as_object_mut() else { return };
    fields.entry("apiVersion").or_insert_with(|| "v1".into());
    fields.entry("kind").or_insert_with(|| "PersistentVolumeClaim".into());
    persistent_volume_claim::default_spec(claim);
    if let Some(status) = child(claim, "status") {
        status.entry("phase").or_insert_with(|| "Pending".into());
    }
}

fn prepare_create(object: &mut Value, _: &Ctx) {
    workload::prepare_create(object, json!({ "availableReplicas": 0, "replicas": 0 }));
}

#[cfg(test)]
mod tests;
