//! LimitRange: what single pods and containers of a namespace may ask for. How it acts on a pod is in [`crate::limits`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/limit-range-v1/>.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    quantity::Quantity,
};

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, OWNER_INDEXES, Storage, columns,
    pod::validate::{
        resources::{self, NameCheck},
        words::qualified,
    },
    read::{child, entries, items, text},
};

/// Core v1 LimitRange.
pub static LIMIT_RANGE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "LimitRange",
    list_kind: "LimitRangeList",
    plural: "limitranges",
    singular: "limitrange",
    short_names: &["limits"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.LimitRange",
    storage: Some(Storage { prefix: "core/limitranges", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: columns::DEFAULT,
    hooks: Hooks { default, validate, ..Hooks::NONE },
};

const TYPES: &[&str] = &["Pod", "Container", "PersistentVolumeClaim"];

/// The amounts of an item, by its fields.
const PARTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

/// Containers that say nothing may use the most there is, and ask for what they may use, else for the least.
fn default(range: &mut Value) {
    let limits = range.pointer_mut("/spec/limits").and_then(Value::as_array_mut);
    for item in limits.into_iter().flatten().filter(|item| text(item, "/type") == "Container") {
        fill(item, "default", "/max");
        fill(item, "defaultRequest", "/default");
        fill(item, "defaultRequest", "/min");
    }
}

fn fill(item: &mut Value, part: &str, from: &str) {
    let known: Vec<(String, Value)> = entries(item, from).map(|(name, amount)| (name.into(), amount.clone())).collect();
    if let (false, Some(amounts)) = (known.is_empty(), child(item, part)) {
        known.into_iter().for_each(|(name, amount)| _ = amounts.entry(name).or_insert(amount));
    }
}

fn validate(range: &Value, errors: &mut Errors) {
    let root = Path::new("spec");
    let list = root.child("limits");
    let mut seen = BTreeSet::new();
    for (index, item) in items(range, "/spec/limits").iter().enumerate() {
        let path = list.index(index);
        let kind = text(item, "/type");
        check_type(kind, &path.child("type"), errors);
        if !seen.insert(kind) {
            errors.duplicate(&path.child("type"), kind);
        }
        names(kind, item, &path, errors);
        let names: BTreeSet<&str> =
            PARTS.iter().flat_map(|part| entries(item, &format!("/{part}")).map(|(name, _)| name)).collect();
        names.into_iter().for_each(|name| amounts(item, name, &path, errors));
    }
}

fn check_type(kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let before = errors.0.len();
    qualified(kind, path, errors);
    if errors.0.len() == before && !kind.contains('/') && !TYPES.contains(&kind) {
        errors.invalid(path, kind, "must be a standard limit type or fully qualified");
    }
}

fn names(kind: &str, item: &Value, path: &Path<'_>, errors: &mut Errors) {
    let check: NameCheck = match kind {
        "Pod" | "Container" => resources::container_name,
        _ => |name, path, errors| _ = resources::resource_name(name, path, errors),
    };
    for part in PARTS {
        let field = path.child(part);
        let mut named = entries(item, &format!("/{part}")).peekable();
        if kind == "Pod" && part.starts_with("default") {
            if named.peek().is_some() {
                errors.forbidden(&field, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        named.for_each(|(name, _)| check(name, &field.key(name), errors));
    }
    let has = |part: &str| item.pointer(&format!("/{part}/storage")).is_some();
    if kind == "PersistentVolumeClaim" && !has("min") && !has("max") {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(&path.child("limits"), why);
    }
}

/// How the amounts of one resource stand to each other: lesser part, its word, greater part, its word, the part to blame,
/// and the one whose amount is shown.
const ORDER: [(&str, &str, &str, &str, &str, &str); 6] = [
    ("min", "min value", "max", "max value", "min", "min"),
    ("min", "min value", "defaultRequest", "default request value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request value", "max", "max value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "default request value", "default", "default limit value", "defaultRequest", "defaultRequest"),
    ("min", "min value", "default", "default value", "default", "min"),
    ("default", "default value", "max", "max value", "default", "max"),
];

fn amounts(item: &Value, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let amount = |part: &str| item.get(part)?.get(name).and_then(|amount| Quantity::from_json(amount).ok());
    for (low, low_word, high, high_word, blamed, shown) in ORDER {
        let (Some(less), Some(more)) = (amount(low), amount(high)) else { continue };
        if less > more {
            let why = format!("{low_word} {less} is greater than {high_word} {more}");
            let shown = amount(shown).map_or_else(String::new, |amount| amount.to_string());
            errors.invalid(&path.child(blamed).key(name), shown, why);
        }
    }
    ratio(item, name, path, errors);
    let fixed = name.starts_with("hugepages-") || (name.contains('/') && !name.contains("kubernetes.io/"));
    if let (true, Some(limit), Some(request)) = (fixed, amount("default"), amount("defaultRequest"))
        && limit != request
    {
        let why = format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        errors.invalid(&path.child("defaultRequest").key(name), request.to_string(), why);
    }
}

// Upstream divides so, and clients see the digits.
fn ratio(item: &Value, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let amount = |part: &str| item.get(part)?.get(name).and_then(|amount| Quantity::from_json(amount).ok());
    let Some(ratio) = amount("maxLimitRequestRatio") else { return };
    let field = path.child("maxLimitRequestRatio");
    let field = field.key(name);
    if ratio.milli_value() < 1000 {
        errors.invalid(&field, ratio.to_string(), format!("ratio {ratio} is less than 1"));
    }
    if let (Some(least), Some(most)) = (amount("min"), amount("max")) {
        let possible = most.milli_value() as f64 / least.milli_value() as f64;
        if ratio.milli_value() as f64 / 1000.0 > possible {
            let why = format!("ratio {ratio} is greater than max/min = {possible:.6}");
            errors.invalid(&field, ratio.to_string(), why);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(item: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        validate(&json!({ "spec": { "limits": [item] } }), &mut errors);
        assert_eq!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn containers_are_given_what_is_left_open() {
        let mut range = json!({ "spec": { "limits": [{ "type": "Container", "max": { "cpu": "2" }, "min": { "memory": "1Mi" } }] } });
        default(&mut range);
        let item = &range["spec"]["limits"][0];
        assert_eq!(item["default"], json!({ "cpu": "2" }));
        assert_eq!(item["defaultRequest"], json!({ "cpu": "2", "memory": "1Mi" }));
    }

    #[test]
    fn amounts_are_in_order() {
        check(json!({ "type": "Container", "max": { "cpu": "2" }, "min": { "cpu": "1" } }), &[]);
        check(
            json!({ "type": "Container", "max": { "cpu": "1" }, "min": { "cpu": "2" } }),
            &[r#"spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1"#],
        );
        check(
            json!({ "type": "Pod", "default": { "cpu": "1" } }),
            &["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
        );
        check(
            json!({ "type": "Container", "default": { "cpu": "3" }, "max": { "cpu": "2" } }),
            &[r#"spec.limits[0].default[cpu]: Invalid value: "2": default value 3 is greater than max value 2"#],
        );
        check(
            json!({ "type": "Container", "maxLimitRequestRatio": { "cpu": "800m" } }),
            &[r#"spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "800m": ratio 800m is less than 1"#],
        );
        check(
            json!({ "type": "Other" }),
            &[r#"spec.limits[0].type: Invalid value: "Other": must be a standard limit type or fully qualified"#],
        );
        check(
            json!({ "type": "PersistentVolumeClaim" }),
            &[
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ],
        );
    }
}
