//! Fills aggregated ClusterRoles with the rules of those their selectors choose.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles>.

use api::kinds::rbac::CLUSTER_ROLE;
use auth::rbac::{Rule, aggregate::desired_rules};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Action, Change, Controller, Key, Kinds, Only, Patch, Plan, Target, View, Watch, change, view::Object};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "cluster-role-aggregation",
    account: "clusterrole-aggregation-controller",
    watches: &[Watch { kinds: Kinds::One(&CLUSTER_ROLE), keys }],
    facts: change::no_facts,
    reconcile,
};

/// Any role may be part of any other: one key stands for all, so that a burst of changes is one run.
fn keys(_: &dyn Change, keys: &mut Vec<Key>) {
    keys.push(Key::default());
}

fn reconcile(view: &dyn View, _: &Key, _: Timestamp) -> Plan {
    let roles: Vec<Object> = view.list(&CLUSTER_ROLE, "").collect();
    let all: Vec<&Value> = roles.iter().map(|role| &**role).collect();
    let actions = all.iter().filter_map(|role| fill(role, &all));
    Plan { actions: actions.collect(), wake_at: None }
}

/// The change that an aggregated role needs.
fn fill(role: &Value, all: &[&Value]) -> Option<Action> {
    let rules = desired_rules(role, all)?;
    if rules == Rule::of_role(role) {
        return None;
    }
    let rules: Vec<Value> = rules.iter().map(Rule::to_value).collect();
    Some(Action::Patch {
        target: Target::of(&CLUSTER_ROLE, role),
        part: "",
        patch: Patch::Merge(json!({ "rules": rules })),
        only: Only::unchanged(role),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    fn part(resource: &str) -> Value {
        let rules = json!([{ "verbs": ["get"], "apiGroups": [""], "resources": [resource] }]);
        json!({ "metadata": { "labels": { "part": "yes" } }, "rules": rules })
    }

    fn whole(rules: &Value) -> Value {
        let selectors = json!([{ "matchLabels": { "part": "yes" } }]);
        json!({ "aggregationRule": { "clusterRoleSelectors": selectors }, "rules": rules })
    }

    fn check(rules: &Value, expect: &[&str]) {
        let world = World::default()
            .with(&CLUSTER_ROLE, "", "p1", part("pods"))
            .with(&CLUSTER_ROLE, "", "p2", part("nodes"))
            .with(&CLUSTER_ROLE, "", "other", json!({ "rules": [] }))
            .with(&CLUSTER_ROLE, "", "whole", whole(rules));
        assert_eq!(world.told(&CONTROLLER, &Key::default()), expect);
    }

    #[test]
    fn an_aggregated_role_holds_the_rules_of_its_parts() {
        let (pods, nodes) = (part("pods")["rules"][0].clone(), part("nodes")["rules"][0].clone());
        let patch = format!("patch clusterroles whole {{\"rules\":[{pods},{nodes}]}}");
        check(&json!([]), &[&patch]);
        check(&Value::Null, &[&patch]);
        check(&json!([nodes]), &[&patch]);
        check(&json!([pods, nodes]), &[]);
    }
}
