//! Cluster roles that are made of others, chosen by label. Main type: [`Aggregation`].
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles>.

use api::kinds::read::{entries, items, text};
use serde_json::Value;

use super::Rule;

/// Which cluster roles another is made of.
#[derive(Clone, Debug)]
pub struct Aggregation {
    selectors: Vec<Value>,
}

impl Aggregation {
    /// The aggregation of a ClusterRole, if it has one.
    #[must_use]
    pub fn of_role(role: &Value) -> Option<Self> {
        role.get("aggregationRule").filter(|rule| rule.is_object())?;
        Some(Self { selectors: items(role, "/aggregationRule/clusterRoleSelectors").to_vec() })
    }

    /// Whether a cluster role with these labels (a JSON object) is part of it.
    #[must_use]
    pub fn takes(&self, labels: &Value) -> bool {
        self.selectors.iter().any(|selector| matches(selector, labels))
    }
}

/// Rules of several roles, each once, in the order found.
pub fn union<'a>(roles: impl Iterator<Item = &'a [Rule]>) -> Vec<Rule> {
    let mut seen = std::collections::HashSet::new();
    roles.flatten().filter(|rule| seen.insert(*rule)).cloned().collect()
}

/// The rules that an aggregated ClusterRole should hold, given all cluster roles; `None` if it is not aggregated.
#[must_use]
pub fn desired_rules(role: &Value, all: &[&Value]) -> Option<Vec<Rule>> {
    let aggregation = Aggregation::of_role(role)?;
    let name = |role: &Value| api::meta::name(role).to_owned();
    let own = name(role);
    let labels = |role: &Value| role.pointer("/metadata/labels").cloned().unwrap_or_default();
    let mut sources: Vec<&&Value> =
        all.iter().filter(|other| name(other) != own && aggregation.takes(&labels(other))).collect();
    sources.sort_by_key(|role| name(role));
    let rules: Vec<Vec<Rule>> = sources.iter().map(|role| Rule::of_role(role)).collect();
    Some(union(rules.iter().map(Vec::as_slice)))
}

/// Whether a LabelSelector chooses these labels; an unknown operator chooses nothing.
fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = entries(selector, "/matchLabels").all(|(key, value)| label(key) == value.as_str());
    equal
        && items(selector, "/matchExpressions").iter().all(|term| {
            let value = label(text(term, "/key"));
            let listed = || value.is_some_and(|value| items(term, "/values").iter().any(|item| item == value));
            match text(term, "/operator") {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
