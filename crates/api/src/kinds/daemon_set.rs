//! DaemonSet. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/daemon-set-v1/>.

use serde_json::{Value, json};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, pairs},
    read::{carry_over, child, text},
    workload::{self, CONTAINERS, IMAGES, PodWords, SELECTOR, SPEC, count, fill, not_negative, number, percent},
};
use crate::{field::Errors, meta};

/// DaemonSet of apps/v1.
pub static DAEMON_SET: Kind = Kind {
    group: "apps",
    version: "v1",
    kind: KIND,
    list_kind: "DaemonSetList",
    plural: "daemonsets",
    singular: "daemonset",
    short_names: &["ds"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status(KIND, TYPE, prepare_status)],
    type_name: TYPE,
    storage: Some(Storage { prefix: "apps/daemonsets", other: None }),
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

const KIND: &str = "DaemonSet";

const TYPE: &str = "io.k8s.api.apps.v1.DaemonSet";

/// Annotation that counts the templates it had; older clients match pods by it.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

const COLUMNS: &[Column] = &[
    NAME,
    number("Desired", "Nodes that should run one of its pods.", |object, _| {
        count(object, "/status/desiredNumberScheduled").into()
    }),
    number("Current", "Of these, nodes that have one.", |object, _| {
        count(object, "/status/currentNumberScheduled").into()
    }),
    number("Ready", "Nodes whose pod is ready.", |object, _| count(object, "/status/numberReady").into()),
    number("Up-to-date", "Nodes with a pod of the newest template.", |object, _| {
        count(object, "/status/updatedNumberScheduled").into()
    }),
    number("Available", "Nodes whose pod has been ready for long enough.", |object, _| {
        count(object, "/status/numberAvailable").into()
    }),
    Column::text("Node Selector", "Labels that its nodes have.", 0, |object, _| {
        pairs(object, "/spec/template/spec/nodeSelector").into()
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

/// The two ways to replace pods.
const STRATEGIES: &[&str] = &["RollingUpdate", "OnDelete"];

/// Old templates kept to go back to.
const HISTORY: i64 = 10;

fn default(object: &mut Value) {
    fill(object, "revisionHistoryLimit", HISTORY);
    fill(object, "updateStrategy", json!({}));
    workload::default_template(object);
    let Some(strategy) = object.pointer_mut("/spec/updateStrategy") else { return };
    if text(strategy, "/type").is_empty() {
        strategy["type"] = "RollingUpdate".into();
    }
    if strategy["type"] != "RollingUpdate" {
        return;
    }
    if let Some(rolling) = child(strategy, "rollingUpdate") {
        rolling.entry("maxUnavailable").or_insert_with(|| 1.into());
        rolling.entry("maxSurge").or_insert_with(|| 0.into());
    }
}

fn prepare_create(object: &mut Value, _: &Ctx) {
    let nobody = json!({
        "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
    });
    workload::prepare_create(object, nobody);
    let templates = template_generation(object).max(1);
    set_template_generation(object, templates);
}

/// Counts templates too, which no client may.
fn prepare_update(new: &mut Value, old: &Value) {
    workload::prepare_update(new, old);
    let template = |object: &Value| object.pointer("/spec/template").cloned();
    let changed = template(new) != template(old);
    set_template_generation(new, template_generation(old) + i64::from(changed));
}

fn prepare_status(new: &mut Value, old: &Value) {
    carry_over(new, old, "spec");
    set_template_generation(new, template_generation(old));
}

fn template_generation(object: &Value) -> i64 {
    meta::annotation(object, TEMPLATE_GENERATION).and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn set_template_generation(object: &mut Value, number: i64) {
    let annotations = object.get_mut("metadata").and_then(|metadata| child(metadata, "annotations"));
    if let Some(annotations) = annotations {
        annotations.insert(TEMPLATE_GENERATION.to_owned(), number.to_string().into());
    }
}

const WORDS: PodWords =
    PodWords { required: false, empty: "empty selector is invalid for daemonset", unreadable: None, kind: KIND };

fn validate(object: &Value, errors: &mut Errors) {
    workload::validate_pods(object, &WORDS, errors);
    not_negative(object, &SPEC, "minReadySeconds", errors);
    validate_strategy(object, errors);
    not_negative(object, &SPEC, "revisionHistoryLimit", errors);
}

fn validate_strategy(object: &Value, errors: &mut Errors) {
    let (at, empty) = (SPEC.child("updateStrategy"), json!({}));
    let strategy = object.pointer("/spec/updateStrategy").unwrap_or(&empty);
    match (text(strategy, "/type"), strategy.get("rollingUpdate").filter(|rolling| rolling.is_object())) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.required(&at.child("rollingUpdate"), ""),
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, errors),
        _ => errors.not_supported(&at, strategy.clone(), STRATEGIES),
    }
}

/// One of the two numbers counts, and one only.
fn validate_rolling(rolling: &Value, errors: &mut Errors) {
    let (strategy, nothing) = (SPEC.child("updateStrategy"), Value::from(0));
    let at = strategy.child("rollingUpdate");
    let value = |field: &str| rolling.get(field).unwrap_or(&nothing);
    let fields = ["maxUnavailable", "maxSurge"];
    fields.iter().for_each(|field| percent::validate(value(field), &at.child(field), errors));
    fields.iter().for_each(|field| percent::validate_at_most_all(value(field), &at.child(field), errors));
    match fields.map(|field| percent::plain(value(field)) != 0) {
        [true, true] => {
            let why = "may not be set when maxUnavailable is non-zero";
            errors.invalid(&at.child("maxSurge"), value("maxSurge").clone(), why);
        }
        [false, false] => errors.required(&at.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}

fn validate_part(part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    if part != "status" {
        return workload::validate_selector_stays(new, old, errors);
    }
    const COUNTS: &[&str] = &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ];
    workload::validate_counts(new, COUNTS, &[], errors);
    workload::validate_collisions(new, old, errors);
}

#[cfg(test)]
mod tests;
