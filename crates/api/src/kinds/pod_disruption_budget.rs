//! PodDisruptionBudget: how many pods of a set may be taken away on purpose at a time. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/>.
//! Leaves out policy/v1beta1, which is served no longer.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{field::Errors, meta, selector};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME},
    read::{carry_over, items, plain, text},
    workload::{self, SPEC, STATUS, count, not_negative, number, percent},
};

/// PodDisruptionBudget of policy/v1.
pub static POD_DISRUPTION_BUDGET: Kind = Kind {
    group: "policy",
    version: "v1",
    kind: "PodDisruptionBudget",
    list_kind: "PodDisruptionBudgetList",
    plural: "poddisruptionbudgets",
    singular: "poddisruptionbudget",
    short_names: &["pdb"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status("PodDisruptionBudget", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "policy/poddisruptionbudgets", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        prepare_create,
        prepare_update: workload::prepare_update,
        validate,
        validate_part: Some(validate_part),
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.policy.v1.PodDisruptionBudget";

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Min Available", "Pods that must stay healthy.", 0, |budget, _| bound(budget, "/spec/minAvailable")),
    Column::text("Max Unavailable", "Pods that need not be healthy.", 0, |budget, _| {
        bound(budget, "/spec/maxUnavailable")
    }),
    number("Allowed Disruptions", "Pods that may be evicted now.", |budget, _| {
        count(budget, "/status/disruptionsAllowed").into()
    }),
    AGE,
];

/// Condition that says whether a pod may be evicted now.
pub const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// Its reason where the controller could not find out.
pub const SYNC_FAILED: &str = "SyncFailed";

/// What becomes of pods that are not ready.
const UNHEALTHY: &[&str] = &["AlwaysAllow", "IfHealthyBudget"];

/// Numbers of the status, none of them ever left out but the generation.
const COUNTS: &[&str] = &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"];

/// The pods it protects: none without a selector, all of the namespace under an empty one. A selector that cannot be read
/// protects nothing.
#[must_use]
pub fn selects(budget: &Value, pod: &Value) -> bool {
    let labels: Vec<(&str, &str)> = meta::labels(pod).collect();
    workload::selector(budget).matches(&labels)
}

/// Says in the conditions whether the status as it is lets a pod be evicted.
pub fn set_allowed(budget: &mut Value, now: Timestamp) {
    let (status, reason) = match count(budget, "/status/disruptionsAllowed") {
        ..=0 => ("False", "InsufficientPods"),
        _ => ("True", "SufficientPods"),
    };
    set_condition(budget, status, reason, "", now);
}

/// Says that the budget could not be worked out, so that nothing may be evicted.
pub fn set_failed(budget: &mut Value, why: &str, now: Timestamp) {
    budget["status"]["disruptionsAllowed"] = 0.into();
    set_condition(budget, "False", SYNC_FAILED, why, now);
}

/// The condition [`DISRUPTION_ALLOWED`], where there is one.
#[must_use]
pub fn condition(budget: &Value) -> Option<&Value> {
    items(budget, "/status/conditions").iter().find(|one| text(one, "/type") == DISRUPTION_ALLOWED)
}

/// The time of its last change is kept while its status stays the same.
fn set_condition(budget: &mut Value, status: &str, reason: &str, message: &str, now: Timestamp) {
    let since = condition(budget).filter(|one| text(one, "/status") == status);
    let since = since.map_or_else(|| meta::time(now), |one| text(one, "/lastTransitionTime").to_owned());
    let mut condition = json!({
        "type": DISRUPTION_ALLOWED, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    let observed = count(budget, "/status/observedGeneration");
    if observed != 0 {
        condition["observedGeneration"] = observed.into();
    }
    let mut all = items(budget, "/status/conditions").to_vec();
    match all.iter_mut().find(|one| text(one, "/type") == DISRUPTION_ALLOWED) {
        Some(present) => *present = condition,
        None => all.push(condition),
    }
    budget["status"]["conditions"] = all.into();
}

fn bound(budget: &Value, pointer: &str) -> Value {
    budget.pointer(pointer).map(plain).filter(|bound| !bound.is_empty()).unwrap_or_else(|| "N/A".to_owned()).into()
}

fn prepare_create(budget: &mut Value, _: &Ctx) {
    let nothing = COUNTS.iter().map(|field| ((*field).to_owned(), Value::from(0)));
    workload::prepare_create(budget, nothing.collect());
}

fn validate(budget: &Value, errors: &mut Errors) {
    let given = |field: &str| budget.pointer(&format!("/spec/{field}")).filter(|value| !value.is_null());
    if given("minAvailable").is_some() && given("maxUnavailable").is_some() {
        let spec = budget.get("spec").cloned().unwrap_or_default();
        errors.invalid(&SPEC, spec, "minAvailable and maxUnavailable cannot be both set");
    }
    for field in ["minAvailable", "maxUnavailable"] {
        if let Some(value) = given(field) {
            percent::validate(value, &SPEC.child(field), errors);
            percent::validate_at_most_all(value, &SPEC.child(field), errors);
        }
    }
    if let Some(selector) = given("selector") {
        selector::validate(selector, &SPEC.child("selector"), errors);
    }
    if let Some(policy) = given("unhealthyPodEvictionPolicy").filter(|policy| !UNHEALTHY.contains(&&*plain(policy))) {
        errors.not_supported(&SPEC.child("unhealthyPodEvictionPolicy"), policy.clone(), UNHEALTHY);
    }
}

fn validate_part(part: &str, new: &Value, _: &Value, errors: &mut Errors) {
    if part == "status" {
        COUNTS.iter().for_each(|field| not_negative(new, &STATUS, field, errors));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        validate(&json!({ "spec": spec }), &mut errors);
        let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn a_budget_is_one_bound_that_makes_sense() {
        check(json!({}), &[]);
        check(json!({ "minAvailable": 0, "selector": {} }), &[]);
        check(json!({ "maxUnavailable": "100%", "unhealthyPodEvictionPolicy": "AlwaysAllow" }), &[]);
        check(
            json!({ "minAvailable": 1, "maxUnavailable": 1 }),
            &[concat!(
                r#"spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: "#,
                "minAvailable and maxUnavailable cannot be both set"
            )],
        );
        check(
            json!({ "minAvailable": -1 }),
            &["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
        );
        check(
            json!({ "maxUnavailable": "101%" }),
            &[r#"spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%"#],
        );
        check(
            json!({ "unhealthyPodEvictionPolicy": "Never" }),
            &[concat!(
                r#"spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": "#,
                r#"supported values: "AlwaysAllow", "IfHealthyBudget""#
            )],
        );
    }

    #[test]
    fn cells_tell_both_bounds() {
        let budget = json!({ "spec": { "minAvailable": "50%" }, "status": { "disruptionsAllowed": 2 } });
        let now = Timestamp::UNIX_EPOCH;
        let cells: Vec<Value> = COLUMNS[1..4].iter().map(|column| (column.cell)(&budget, now)).collect();
        assert_eq!(cells, [json!("50%"), json!("N/A"), json!(2)]);
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_change() {
        let mut budget = json!({ "status": { "disruptionsAllowed": 1, "observedGeneration": 3 } });
        let at = |budget: &mut Value, allowed: i64, second: i64| {
            budget["status"]["disruptionsAllowed"] = allowed.into();
            set_allowed(budget, Timestamp::from_second(second).unwrap());
            let one = condition(budget).cloned().unwrap();
            (text(&one, "/reason").to_owned(), text(&one, "/lastTransitionTime").to_owned())
        };
        assert_eq!(at(&mut budget, 1, 0), ("SufficientPods".into(), "1970-01-01T00:00:00Z".into()));
        assert_eq!(at(&mut budget, 2, 9), ("SufficientPods".into(), "1970-01-01T00:00:00Z".into()));
        assert_eq!(at(&mut budget, 0, 9), ("InsufficientPods".into(), "1970-01-01T00:00:09Z".into()));
        set_failed(&mut budget, "why", Timestamp::UNIX_EPOCH);
        assert_eq!(text(condition(&budget).unwrap(), "/message"), "why");
        assert_eq!(items(&budget, "/status/conditions").len(), 1);
    }

    #[test]
    fn an_empty_selector_takes_all_pods_and_none_takes_none() {
        let pod = json!({ "metadata": { "labels": { "app": "a" } } });
        let check =
            |selector: Value, expect| assert_eq!(selects(&json!({ "spec": { "selector": selector } }), &pod), expect);
        check(json!({}), true);
        check(Value::Null, false);
        check(json!({ "matchLabels": { "app": "a" } }), true);
        check(json!({ "matchLabels": { "app": "b" } }), false);
    }
}
