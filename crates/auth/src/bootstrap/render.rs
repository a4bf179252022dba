//! Rows to objects, and the difference between them and what is there. Main function: [`missing`].
//! What an administrator added stays; what is missing comes back, unless the object says `autoupdate: "false"`.

use api::{
    kinds::read::{child, items},
    meta,
};
use serde_json::{Value, json};

use super::{
    AUTOUPDATE, BindingRow, LABEL, RoleRow, RuleRow,
    controllers::{CONTROLLERS, PREFIX},
    roles::{BINDINGS, NAMESPACED_ROLES, SYSTEM_ROLES},
    users::USER_ROLES,
};
use crate::rbac::{GROUP, Rule, aggregate};

const API_VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Namespace of the controllers' ServiceAccounts.
const SYSTEM_NAMESPACE: &str = "kube-system";

/// What to do about one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is not there.
    Create(Value),
    /// It lacks something; this is the whole new object.
    Update(Value),
    /// Its role is another, and that cannot be changed: delete it, then create this.
    Replace(Value),
}

/// All default roles and bindings, roles first.
#[must_use]
pub fn desired() -> Vec<Value> {
    let rows = USER_ROLES.iter().chain(SYSTEM_ROLES).chain(NAMESPACED_ROLES);
    let mut objects: Vec<Value> = rows.map(role).collect();
    objects.extend(CONTROLLERS.iter().map(|(name, rules)| controller_role(name, rules)));
    fill_aggregated(&mut objects);
    objects.extend(BINDINGS.iter().map(binding));
    objects.extend(CONTROLLERS.iter().map(|(name, _)| controller_binding(name)));
    objects
}

/// What to do so that the defaults are there. `existing` finds an object by kind, namespace and name.
#[must_use]
pub fn missing<'a>(existing: impl Fn(&str, &str, &str) -> Option<&'a Value>) -> Vec<Change> {
    let change = |wanted: Value| match existing(meta::kind(&wanted), meta::namespace(&wanted), meta::name(&wanted)) {
        None => Some(Change::Create(wanted)),
        Some(present) => repair(present, wanted),
    };
    desired().into_iter().filter_map(change).collect()
}

fn repair(present: &Value, wanted: Value) -> Option<Change> {
    if meta::annotation(present, AUTOUPDATE) == Some("false") {
        return None;
    }
    if present.get("roleRef") != wanted.get("roleRef") {
        return Some(Change::Replace(wanted));
    }
    let mut repaired = present.clone();
    for map in ["labels", "annotations"] {
        add_entries(&mut repaired, map, &wanted);
    }
    match wanted.get("aggregationRule") {
        Some(rule) => repaired["aggregationRule"] = rule.clone(),
        None if wanted.get("rules").is_some() => add_rules(&mut repaired, &wanted),
        None => add_items(&mut repaired, "subjects", items(&wanted, "/subjects")),
    }
    (repaired != *present).then_some(Change::Update(repaired))
}

fn add_entries(object: &mut Value, map: &str, wanted: &Value) {
    let Some(wanted) = wanted["metadata"][map].as_object() else { return };
    let Some(present) = object.get_mut("metadata").and_then(|metadata| child(metadata, map)) else { return };
    for (key, value) in wanted {
        present.entry(key.as_str()).or_insert_with(|| value.clone());
    }
}

/// Adds the rules of which some part is not covered yet.
fn add_rules(object: &mut Value, wanted: &Value) {
    let held = Rule::of_role(object);
    let covered = |rule: &Rule| rule.atoms().iter().all(|atom| held.iter().any(|own| own.covers(atom)));
    let lacking: Vec<Value> = Rule::of_role(wanted).iter().filter(|rule| !covered(rule)).map(Rule::to_value).collect();
    add_items(object, "rules", &lacking);
}

fn add_items(object: &mut Value, list: &str, wanted: &[Value]) {
    let present = items(object, &format!("/{list}")).to_vec();
    let lacking: Vec<Value> = wanted.iter().filter(|item| !present.contains(item)).cloned().collect();
    if !lacking.is_empty() {
        object[list] = present.into_iter().chain(lacking).collect();
    }
}

fn fill_aggregated(objects: &mut [Value]) {
    // Each level of aggregation takes a round: view, edit, admin.
    for _ in 0..3 {
        let all = objects.to_vec();
        let all: Vec<&Value> = all.iter().collect();
        for object in objects.iter_mut() {
            if let Some(rules) = aggregate::desired_rules(object, &all) {
                object["rules"] = rules.iter().map(Rule::to_value).collect();
            }
        }
    }
}

fn role(row: &RoleRow) -> Value {
    let kind = if row.namespace.is_empty() { "ClusterRole" } else { "Role" };
    let mut role = object(kind, row.namespace, row.name);
    role["rules"] = row.rules.iter().map(rule).collect();
    if !row.part_of.is_empty() {
        role["metadata"]["labels"][aggregate_label(row.part_of)] = "true".into();
    }
    if !row.made_of.is_empty() {
        let selector = json!({ "matchLabels": { aggregate_label(row.made_of): "true" } });
        role["aggregationRule"] = json!({ "clusterRoleSelectors": [selector] });
    }
    role
}

fn aggregate_label(whole: &str) -> String {
    format!("{GROUP}/aggregate-to-{whole}")
}

fn rule(row: &RuleRow) -> Value {
    let rule = Rule {
        verbs: words(row.verbs),
        api_groups: if row.resources.is_empty() { Vec::new() } else { words(row.groups) },
        resources: if row.resources.is_empty() { Vec::new() } else { words(row.resources) },
        resource_names: if row.names.is_empty() { Vec::new() } else { words(row.names) },
        non_resource_urls: if row.urls.is_empty() { Vec::new() } else { words(row.urls) },
    };
    rule.to_value()
}

/// The words of a row's list, sorted as upstream has them.
pub(crate) fn words(list: &str) -> Vec<String> {
    let mut words: Vec<String> = list.split(',').map(str::to_owned).collect();
    words.sort_unstable();
    words
}

fn binding(row: &BindingRow) -> Value {
    let (kind, role) = match row.namespace {
        "" => ("ClusterRoleBinding", "ClusterRole"),
        _ => ("RoleBinding", "Role"),
    };
    let mut binding = object(kind, row.namespace, row.name);
    binding["roleRef"] = json!({ "apiGroup": GROUP, "kind": role, "name": row.role });
    if !row.subjects.is_empty() {
        binding["subjects"] = row.subjects.iter().map(|(kind, name)| subject(kind, name)).collect();
    }
    binding
}

fn subject(kind: &str, name: &str) -> Value {
    match kind {
        "ServiceAccount" => json!({ "kind": kind, "name": name, "namespace": SYSTEM_NAMESPACE }),
        _ => json!({ "apiGroup": GROUP, "kind": kind, "name": name }),
    }
}

fn controller_role(name: &str, rules: &[RuleRow]) -> Value {
    let mut role = object("ClusterRole", "", &format!("{PREFIX}{name}"));
    role["rules"] = rules.iter().map(rule).collect();
    role
}

fn controller_binding(name: &str) -> Value {
    let role = format!("{PREFIX}{name}");
    let mut binding = object("ClusterRoleBinding", "", &role);
    binding["roleRef"] = json!({ "apiGroup": GROUP, "kind": "ClusterRole", "name": role });
    binding["subjects"] = json!([subject("ServiceAccount", name)]);
    binding
}

fn object(kind: &str, namespace: &str, name: &str) -> Value {
    let mut object = json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": {
        "name": name, "labels": { LABEL.0: LABEL.1 }, "annotations": { AUTOUPDATE: "true" } } });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}
