//! What a Job says of pods that fail, and of when enough have succeeded: checks. Main functions: [`failure`], [`success`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy>.

use serde_json::Value;

use super::super::{
    pod::validate::qualified,
    read::{items, text},
    workload::NOT_NEGATIVE,
};
use super::indexes;
use crate::field::{Errors, Kind, Path};

/// Most rules of either policy.
const RULES: usize = 20;

/// Most exit codes of a rule.
const CODES: usize = 255;

/// Most conditions of a rule.
const CONDITIONS: usize = 20;

/// Most bytes of the indexes of a rule.
const INDEXES_BYTES: usize = 64 * 1024;

const ACTIONS: &[&str] = &["Count", "FailIndex", "FailJob", "Ignore"];

const OPERATORS: &[&str] = &["In", "NotIn"];

const STATUSES: &[&str] = &["False", "True", "Unknown"];

/// `podFailurePolicy`.
pub(super) fn failure(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = spec.get("podFailurePolicy").filter(|policy| policy.is_object()) else { return };
    let (rules, path) = (items(policy, "/rules"), path.child("rules"));
    if rules.len() > RULES {
        errors.too_many(&path, rules.len(), RULES);
    }
    for (index, rule) in rules.iter().enumerate() {
        failure_rule(spec, rule, &path.index(index), errors);
    }
}

fn failure_rule(spec: &Value, rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let at = path.child("action");
    match text(rule, "/action") {
        "FailIndex" if spec.get("backoffLimitPerIndex").is_none_or(Value::is_null) => {
            errors.invalid(&at, "FailIndex", "requires the backoffLimitPerIndex to be set");
        }
        action => one_of(action, ACTIONS, &at, errors),
    }
    let codes = rule.get("onExitCodes").filter(|codes| codes.is_object());
    if let Some(codes) = codes {
        exit_codes(spec, codes, &path.child("onExitCodes"), errors);
    }
    let patterns = items(rule, "/onPodConditions");
    conditions(patterns, &path.child("onPodConditions"), errors);
    let why = match (codes, patterns) {
        (Some(_), [_, ..]) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (None, []) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.push(Kind::Invalid, path, None, why);
}

/// A word that has to be there, and to be one of these.
fn one_of(word: &str, allowed: &[&str], path: &Path<'_>, errors: &mut Errors) {
    let quoted = || allowed.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(" ");
    match word {
        "" => errors.required(path, format!("valid values: [{}]", quoted())),
        word if !allowed.contains(&word) => errors.not_supported(path, word, allowed),
        _ => {}
    }
}

fn conditions(patterns: &[Value], path: &Path<'_>, errors: &mut Errors) {
    if patterns.len() > CONDITIONS {
        errors.too_many(path, patterns.len(), CONDITIONS);
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let path = path.index(index);
        qualified(text(pattern, "/type"), &path.child("type"), errors);
        one_of(text(pattern, "/status"), STATUSES, &path.child("status"), errors);
    }
}

fn exit_codes(spec: &Value, wanted: &Value, path: &Path<'_>, errors: &mut Errors) {
    let operator = text(wanted, "/operator");
    one_of(operator, OPERATORS, &path.child("operator"), errors);
    let containers = ["/template/spec/containers", "/template/spec/initContainers"];
    let mut names = containers.iter().flat_map(|list| items(spec, list)).map(|one| text(one, "/name"));
    if let Some(name) = wanted.get("containerName").and_then(Value::as_str)
        && !names.any(|known| known == name)
    {
        let why = "must be one of the container or initContainer names in the pod template";
        errors.invalid(&path.child("containerName"), name, why);
    }
    let (values, path) = (items(wanted, "/values"), path.child("values"));
    if values.is_empty() {
        errors.invalid(&path, wanted.get("values").cloned().unwrap_or_default(), "at least one value is required");
    } else if values.len() > CODES {
        errors.too_many(&path, values.len(), CODES);
    }
    for (index, value) in values.iter().enumerate() {
        if operator == "In" && value == 0 {
            errors.invalid(&path.index(index), value.clone(), "must not be 0 for the In operator");
        }
        if values[..index].contains(value) {
            errors.duplicate(&path.index(index), value.clone());
        }
    }
    if !values.is_sorted_by_key(Value::as_i64) {
        errors.invalid(&path, values.to_vec(), "must be ordered");
    }
}

/// `successPolicy`.
pub(super) fn success(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(policy) = spec.get("successPolicy").filter(|policy| policy.is_object()) else { return };
    if text(spec, "/completionMode") != "Indexed" {
        return errors.invalid(path, policy.clone(), "requires indexed completion mode");
    }
    let (rules, path) = (items(policy, "/rules"), path.child("rules"));
    if rules.is_empty() {
        errors.required(&path, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > RULES {
        errors.too_many(&path, rules.len(), RULES);
    }
    let completions = spec.get("completions").and_then(Value::as_i64).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        success_rule(rule, completions, &path.index(index), errors);
    }
}

fn success_rule(rule: &Value, completions: i64, path: &Path<'_>, errors: &mut Errors) {
    let indexes = rule.get("succeededIndexes").and_then(Value::as_str);
    let count = rule.get("succeededCount").and_then(Value::as_i64);
    if indexes.is_none() && count.is_none() {
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let total = indexes.map(|text| succeeded_indexes(text, completions, &path.child("succeededIndexes"), errors));
    let Some(count) = count else { return };
    let path = path.child("succeededCount");
    if count < 0 {
        errors.invalid(&path, count, NOT_NEGATIVE);
    }
    if count > completions {
        let why = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.invalid(&path, count, why);
    }
    if let Some(total) = total.filter(|total| count > *total) {
        let why = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.invalid(&path, count, why);
    }
}

/// How many they are; none where they cannot be read.
fn succeeded_indexes(text: &str, completions: i64, path: &Path<'_>, errors: &mut Errors) -> i64 {
    if text.len() > INDEXES_BYTES {
        errors.too_long(path, INDEXES_BYTES);
    }
    indexes::check(text, completions).unwrap_or_else(|why| {
        errors.invalid(path, text, format!("error parsing succeededIndexes: {why}"));
        0
    })
}
