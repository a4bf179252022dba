//! Where a pod may run: tolerations, affinity, spreading. Spec:
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>,
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.

use serde_json::Value;

use super::{
    super::super::read::{items, text},
    words::{self, optional, qualified},
};
use crate::{
    field::{Errors, Path},
    names, selector,
};

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A list of tolerations.
pub(super) fn tolerations(list: &[Value], path: &Path<'_>, errors: &mut Errors) {
    for (index, toleration) in list.iter().enumerate() {
        let path = path.index(index);
        let field = |name: &str| toleration.get(name).and_then(Value::as_str).unwrap_or_default();
        let (key, operator, value, effect) = (field("key"), field("operator"), field("value"), field("effect"));
        if !key.is_empty() {
            qualified(key, &path.child("key"), errors);
        } else if operator != "Exists" {
            let why = r#"operator must be Exists when `key` is empty, which means "match all values and all keys""#;
            errors.invalid(&path.child("operator"), operator, why);
        }
        if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&path.child("effect"), effect, why);
        }
        let messages = names::label_value(value);
        match operator {
            "Equal" | "" if !messages.is_empty() => {
                errors.invalid(&path.child("operator"), value, messages.join(";"));
            }
            "Equal" | "" => {}
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                errors.invalid(&path.child("operator"), value, why);
            }
            "Exists" => {}
            other => errors.not_supported(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            errors.not_supported(&path.child("effect"), effect, EFFECTS);
        }
    }
}

/// `affinity`.
pub(super) fn affinity(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(affinity) = spec.get("affinity") else { return };
    if let Some(node) = affinity.get("nodeAffinity") {
        node_affinity(node, &path.child("nodeAffinity"), errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if let Some(terms) = affinity.get(kind) {
            pod_affinity(terms, &path.child(kind), errors);
        }
    }
}

fn node_affinity(affinity: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(required) = affinity.get(REQUIRED) {
        node_selector(required, &path.child(REQUIRED), errors);
    }
    let list = path.child(PREFERRED);
    for (index, preferred) in items(affinity, &format!("/{PREFERRED}")).iter().enumerate() {
        let path = list.index(index);
        weight(preferred, &path, errors);
        let none = Value::Null;
        // Values that no label can have have always been let pass where they only prefer.
        node_term(preferred.get("preference").unwrap_or(&none), false, &path.child("preference"), errors);
    }
}

/// A selector of nodes that has to match.
pub(in crate::kinds) fn node_selector(selector: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (list, terms) = (path.child("nodeSelectorTerms"), items(selector, "/nodeSelectorTerms"));
    if terms.is_empty() {
        errors.required(&list, "must have at least one node selector term");
    }
    terms.iter().enumerate().for_each(|(index, term)| node_term(term, true, &list.index(index), errors));
}

fn weight(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    let weight = term.get("weight").and_then(Value::as_i64).unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

fn node_term(term: &Value, strict: bool, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child("matchExpressions");
    for (index, one) in items(term, "/matchExpressions").iter().enumerate() {
        expression(one, strict, &list.index(index), errors);
    }
    let list = path.child("matchFields");
    for (index, one) in items(term, "/matchFields").iter().enumerate() {
        field(one, &list.index(index), errors);
    }
}

fn expression(one: &Value, strict: bool, path: &Path<'_>, errors: &mut Errors) {
    let (operator, values) = (text(one, "/operator"), items(one, "/values"));
    match (operator, values.len()) {
        ("In" | "NotIn", 0) => {
            errors.required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        ("Exists" | "DoesNotExist", 1..) => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(&path.child("values"), why);
        }
        ("Gt" | "Lt", count) if count != 1 => {
            errors.required(&path.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt", _) => {}
        _ => errors.invalid(&path.child("operator"), operator, "not a valid selector operator"),
    }
    qualified(text(one, "/key"), &path.child("key"), errors);
    let list = path.child("values");
    for (index, value) in values.iter().enumerate().filter(|_| strict) {
        let value = value.as_str().unwrap_or_default();
        words::all(names::label_value(value), value, &list.index(index), errors);
    }
}

fn field(one: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (key, operator, values) = (text(one, "/key"), text(one, "/operator"), items(one, "/values"));
    match operator {
        "In" | "NotIn" if values.len() != 1 => {
            let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.required(&path.child("values"), why);
        }
        "In" | "NotIn" => {}
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    if key != "metadata.name" {
        return errors.invalid(&path.child("key"), key, "not a valid field selector key");
    }
    let list = path.child("values");
    for (index, value) in values.iter().enumerate() {
        words::subdomain(value.as_str().unwrap_or_default(), &list.index(index), errors);
    }
}

fn pod_affinity(affinity: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = path.child(REQUIRED);
    for (index, term) in items(affinity, &format!("/{REQUIRED}")).iter().enumerate() {
        pod_term(term, &list.index(index), errors);
    }
    let list = path.child(PREFERRED);
    for (index, weighted) in items(affinity, &format!("/{PREFERRED}")).iter().enumerate() {
        let path = list.index(index);
        weight(weighted, &path, errors);
        let none = Value::Null;
        pod_term(weighted.get("podAffinityTerm").unwrap_or(&none), &path.child("podAffinityTerm"), errors);
    }
}

fn pod_term(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    for name in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = term.get(name) {
            selector::validate(selector, &path.child(name), errors);
        }
    }
    for namespace in items(term, "/namespaces").iter().filter_map(Value::as_str) {
        words::label(namespace, &path.child("namespace"), errors);
    }
    keys(term, path, errors);
    let key = text(term, "/topologyKey");
    if key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    qualified(key, &path.child("topologyKey"), errors);
}

/// `matchLabelKeys` and `mismatchLabelKeys` of an affinity term.
fn keys(term: &Value, path: &Path<'_>, errors: &mut Errors) {
    for name in ["matchLabelKeys", "mismatchLabelKeys"] {
        let (keys, path) = (items(term, &format!("/{name}")), path.child(name));
        if !keys.is_empty() && term.get("labelSelector").is_none() {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            qualified(key.as_str().unwrap_or_default(), &path.index(index), errors);
        }
    }
    for (index, key) in items(term, "/matchLabelKeys").iter().enumerate() {
        // Once for the key itself, which a new pod's selector has been given.
        if selected(term, key.as_str().unwrap_or_default()) > 1 {
            errors.invalid(&path.index(index), key.clone(), "exists in both matchLabelKeys and labelSelector");
        }
    }
    let (mismatched, path) = (items(term, "/mismatchLabelKeys"), path.child("matchLabelKeys"));
    for (index, key) in items(term, "/matchLabelKeys").iter().enumerate().filter(|(_, key)| mismatched.contains(key)) {
        errors.invalid(&path.index(index), key.clone(), "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}

/// How often a rule's selector names a label.
fn selected(rule: &Value, key: &str) -> usize {
    let named = rule.pointer("/labelSelector/matchLabels").is_some_and(|labels| labels.get(key).is_some());
    let expressions = items(rule, "/labelSelector/matchExpressions");
    usize::from(named) + expressions.iter().filter(|one| text(one, "/key") == key).count()
}

/// `topologySpreadConstraints`; `of_pod`: their keys have been put into the selectors.
pub(super) fn spread(spec: &Value, of_pod: bool, path: &Path<'_>, errors: &mut Errors) {
    let constraints = items(spec, "/topologySpreadConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        let number = |field: &str| constraint.get(field).and_then(Value::as_i64);
        let (key, action) = (text(constraint, "/topologyKey"), text(constraint, "/whenUnsatisfiable"));
        if let Some(skew) = Some(number("maxSkew").unwrap_or_default()).filter(|skew| *skew <= 0) {
            errors.invalid(&path.child("maxSkew"), skew, "must be greater than zero");
        }
        if key.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            errors.not_supported(&path.child("whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
        }
        let same = |other: &Value| text(other, "/topologyKey") == key && text(other, "/whenUnsatisfiable") == action;
        if constraints[index + 1..].iter().any(same) {
            errors.duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), format!("{{{key}, {action}}}"));
        }
        min_domains(number("minDomains"), action, &path.child("minDomains"), errors);
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional(constraint.get(policy), &["Honor", "Ignore"], &path.child(policy), errors);
        }
        spread_keys(constraint, usize::from(of_pod), &path.child("matchLabelKeys"), errors);
        if let Some(labels) = constraint.get("labelSelector") {
            selector::validate(labels, &path.child("labelSelector"), errors);
        }
    }
}

fn min_domains(number: Option<i64>, action: &str, path: &Path<'_>, errors: &mut Errors) {
    let Some(number) = number else { return };
    if number <= 0 {
        errors.invalid(path, number, "must be greater than zero");
    }
    if action != "DoNotSchedule" {
        let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.invalid(path, number, why);
    }
}

fn spread_keys(constraint: &Value, given: usize, path: &Path<'_>, errors: &mut Errors) {
    let keys = items(constraint, "/matchLabelKeys");
    if !keys.is_empty() && constraint.get("labelSelector").is_none() {
        errors.forbidden(path, "must not be specified when labelSelector is not set");
    }
    for (index, key) in keys.iter().enumerate() {
        let key = key.as_str().unwrap_or_default();
        qualified(key, &path.index(index), errors);
        if selected(constraint, key) > given {
            errors.invalid(&path.index(index), key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}
