//! ResourceQuota: how much a namespace may hold. What objects count for is in [`crate::quota`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/resource-quota-v1/>.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    field::{Errors, Path},
    quota::{CONFLICTING, SCOPES, Scope, scope_fits},
};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, Storage, Subresource,
    columns::{AGE, NAME},
    pod::validate::resources,
    read::{carry_over, entries, items, text},
};

/// Core v1 ResourceQuota.
pub static RESOURCE_QUOTA: Kind = Kind {
    group: "",
    version: "v1",
    kind: "ResourceQuota",
    list_kind: "ResourceQuotaList",
    plural: "resourcequotas",
    singular: "resourcequota",
    short_names: &["quota"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[STATUS],
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/resourcequotas", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[
        NAME,
        Column::text("Request", "What is used, and may be, but for limits.", 0, |quota, _| uses(quota, false)),
        Column::text("Limit", "What is used of limits, and may be.", 0, |quota, _| uses(quota, true)),
        AGE,
    ],
    hooks: Hooks {
        prepare_create,
        prepare_update: |new, old| carry_over(new, old, "status"),
        validate,
        validate_update,
        validate_part: Some(validate_status),
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.core.v1.ResourceQuota";

const STATUS: Subresource = Subresource {
    name: "status",
    group: "",
    version: "",
    kind: "ResourceQuota",
    type_name: TYPE,
    verbs: STATUS_VERBS,
    prepare_update: |new, old| carry_over(new, old, "spec"),
};

/// `pods: 1/3, requests.cpu: 100m/1`.
fn uses(quota: &Value, limits: bool) -> Value {
    let own = entries(quota, "/status/hard").filter(|(name, _)| name.starts_with("limits.") == limits);
    let mut cells: Vec<String> = own
        .map(|(name, hard)| {
            let used = quota.pointer("/status/used").and_then(|used| used.get(name)).and_then(Value::as_str);
            format!("{name}: {}/{}", used.unwrap_or("0"), hard.as_str().unwrap_or_default())
        })
        .collect();
    cells.sort_unstable();
    cells.join(", ").into()
}

fn prepare_create(quota: &mut Value, _: &Ctx) {
    if let Some(fields) = quota.as_object_mut() {
        fields.remove("status");
    }
}

fn validate(quota: &Value, errors: &mut Errors) {
    let root = Path::new("spec");
    amounts(quota, "/spec/hard", &root.child("hard"), errors);
    plain_scopes(quota, &root.child("scopes"), errors);
    let selector = root.child("scopeSelector");
    selected_scopes(quota, &selector.child("matchExpressions"), errors);
}

fn amounts(quota: &Value, pointer: &str, path: &Path<'_>, errors: &mut Errors) {
    for (name, amount) in entries(quota, pointer) {
        let path = path.key(name);
        resources::quota_name(name, &path, errors);
        resources::amount_value(name, amount, &path, errors);
    }
}

fn plain_scopes(quota: &Value, path: &Path<'_>, errors: &mut Errors) {
    let all = || quota.pointer("/spec/scopes").cloned().unwrap_or_default();
    let named: Vec<&str> = items(quota, "/spec/scopes").iter().filter_map(Value::as_str).collect();
    for scope in &named {
        if !SCOPES.contains(scope) {
            errors.invalid(path, all(), "unsupported scope");
        }
        misfits(quota, scope).for_each(|()| errors.invalid(path, all(), "unsupported scope applied to resource"));
    }
    conflicts(&named).for_each(|()| errors.invalid(path, all(), "conflicting scopes"));
}

fn selected_scopes(quota: &Value, path: &Path<'_>, errors: &mut Errors) {
    let list = "/spec/scopeSelector/matchExpressions";
    let named: Vec<&str> = items(quota, list).iter().map(|one| text(one, "/scopeName")).collect();
    for one in items(quota, list) {
        let scope = text(one, "/scopeName");
        if !SCOPES.contains(&scope) {
            errors.invalid(&path.child("scopeName"), scope, "unsupported scope");
        }
        let selector = || quota.pointer("/spec/scopeSelector").cloned().unwrap_or_default();
        let wrong = "unsupported scope applied to resource";
        misfits(quota, scope).for_each(|()| errors.invalid(path, selector(), wrong));
        operator(scope, one, path, errors);
    }
    let all = || quota.pointer(list).cloned().unwrap_or_default();
    conflicts(&named).for_each(|()| errors.invalid(path, all(), "conflicting scopes"));
}

fn operator(scope: &str, one: &Value, path: &Path<'_>, errors: &mut Errors) {
    let operator = text(one, "/operator");
    let field = path.child("operator");
    if SCOPES.contains(&scope) && !["PriorityClass", "VolumeAttributesClass"].contains(&scope) && operator != "Exists" {
        errors.invalid(&field, operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
    }
    let values = items(one, "/values");
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.required(&path.child("values"), why);
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.invalid(&path.child("values"), values.to_vec(), why);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.invalid(&field, operator, "not a valid selector operator"),
    }
}

/// One for each resource that the scope cannot go with.
fn misfits(quota: &Value, scope: &str) -> impl Iterator<Item = ()> {
    entries(quota, "/spec/hard").filter(move |(name, _)| !scope_fits(scope, name)).map(|_| ())
}

/// One for each pair of scopes that exclude each other.
fn conflicts<'a>(named: &'a [&'a str]) -> impl Iterator<Item = ()> + 'a {
    CONFLICTING.iter().filter(|pair: &&[Scope; 2]| pair.iter().all(|one| named.contains(one))).map(|_| ())
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    let scopes = |quota| -> BTreeSet<String> {
        items(quota, "/spec/scopes").iter().filter_map(Value::as_str).map(Into::into).collect()
    };
    if scopes(new) != scopes(old) {
        let root = Path::new("spec");
        let all = new.pointer("/spec/scopes").cloned().unwrap_or_default();
        errors.invalid(&root.child("scopes"), all, "field is immutable");
    }
}

fn validate_status(_: &str, new: &Value, _: &Value, errors: &mut Errors) {
    let root = Path::new("status");
    for part in ["hard", "used"] {
        amounts(new, &format!("/status/{part}"), &root.child(part), errors);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn check(spec: Value, expect: &[&str]) {
        let mut errors = Errors::new();
        validate(&json!({ "spec": spec }), &mut errors);
        let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn resources_and_scopes_are_sound() {
        check(json!({ "hard": { "pods": "3", "count/deployments.apps": "1", "requests.example.com/gpu": "2" } }), &[]);
        check(
            json!({ "hard": { "x": "1" } }),
            &[
                r#"spec.hard[x]: Invalid value: "x": must be a standard resource type or fully qualified"#,
                r#"spec.hard[x]: Invalid value: "x": must be a standard resource for quota"#,
            ],
        );
        check(
            json!({ "hard": { "pods": "-1" } }),
            &[r#"spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0"#],
        );
        check(json!({ "hard": { "cpu": "1" }, "scopes": ["NotBestEffort", "Terminating"] }), &[]);
        check(
            json!({ "hard": { "secrets": "1" }, "scopes": ["Terminating"] }),
            &[r#"spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource"#],
        );
        check(
            json!({ "scopes": ["BestEffort", "NotBestEffort"] }),
            &[r#"spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes"#],
        );
        let select = |operator: &str, values: Value| {
            json!({ "scopeSelector": { "matchExpressions": [
                { "scopeName": "PriorityClass", "operator": operator, "values": values }
            ] } })
        };
        check(select("In", json!(["high"])), &[]);
        check(
            select("In", json!([])),
            &[
                "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ],
        );
    }

    #[test]
    fn cells_tell_what_is_used() {
        let quota = json!({ "status": {
            "hard": { "pods": "3", "limits.cpu": "2", "cpu": "1" }, "used": { "pods": "1", "cpu": "500m" }
        } });
        let now = Timestamp::UNIX_EPOCH;
        let cells: Vec<Value> = RESOURCE_QUOTA.columns[1..3].iter().map(|column| (column.cell)(&quota, now)).collect();
        assert_eq!(cells, ["cpu: 500m/1, pods: 1/3", "limits.cpu: 0/2"]);
    }

    #[test]
    fn scopes_stay() {
        let mut errors = Errors::new();
        validate_update(&json!({ "spec": { "scopes": ["BestEffort"] } }), &json!({ "spec": {} }), &mut errors);
        assert_eq!(errors.0.len(), 1);
    }
}
