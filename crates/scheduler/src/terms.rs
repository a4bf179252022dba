//! What pods ask of nodes and of each other, ready to be matched. Main types: [`NodeTerm`], [`PodTerm`], [`Spread`] and
//! [`Toleration`]. Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/>,
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use api::selector::{self, Operator, Requirement};
use serde_json::Value;

use crate::{node::Node, raw};

/// Labels, sorted by key.
pub type Labels = Vec<(String, String)>;

/// The value of a label.
pub(crate) fn label<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    let found = labels.binary_search_by(|(own, _)| own.as_str().cmp(key)).ok()?;
    Some(labels[found].1.as_str())
}

/// The labels of an object.
pub(crate) fn sorted(labels: BTreeMap<String, String>) -> Labels {
    labels.into_iter().collect()
}

/// Conditions on a node that must all hold. A term without any selects no node.
#[derive(Clone, Debug, Default)]
pub struct NodeTerm {
    labels: Vec<Requirement>,
    /// On the node's name: the values, and whether it must be one of them.
    names: Vec<(BTreeSet<String>, bool)>,
    /// It is malformed, so that nothing meets it.
    broken: bool,
}

impl NodeTerm {
    pub(crate) fn of(raw: &raw::NodeSelectorTerm) -> Self {
        let mut term =
            Self { broken: raw.match_expressions.is_empty() && raw.match_fields.is_empty(), ..Self::default() };
        for expression in &raw.match_expressions {
            match requirement(expression) {
                Some(requirement) => term.labels.push(requirement),
                None => term.broken = true,
            }
        }
        for field in &raw.match_fields {
            let values = field.values.iter().cloned().collect();
            match (field.key.as_str(), field.operator.as_str()) {
                ("metadata.name", "In") => term.names.push((values, true)),
                ("metadata.name", "NotIn") => term.names.push((values, false)),
                _ => term.broken = true,
            }
        }
        term
    }

    /// Whether a node meets it.
    #[must_use]
    pub fn matches(&self, node: &Node) -> bool {
        !self.broken
            && self.labels.iter().all(|one| one.matches(&node.labels))
            && self.names.iter().all(|(names, among)| names.contains(&node.name) == *among)
    }

    /// The only nodes that can meet it, where it names them.
    pub(crate) fn named(&self) -> Option<BTreeSet<&str>> {
        let mut lists = self.names.iter().filter(|(_, among)| *among).map(|(names, _)| names);
        let first: BTreeSet<&str> = lists.next()?.iter().map(String::as_str).collect();
        Some(lists.fold(first, |left, names| left.into_iter().filter(|name| names.contains(*name)).collect()))
    }
}

fn requirement(raw: &raw::Requirement) -> Option<Requirement> {
    let operator = match raw.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return None,
    };
    Requirement::new(&raw.key, operator, raw.values.clone()).ok()
}

/// A node term and how much it is worth.
#[derive(Clone, Debug)]
pub struct Preference<T> {
    /// 1 to 100.
    pub weight: i64,
    /// What is preferred.
    pub term: T,
}

/// Other pods in whose topology domain a pod wants to be, or not to be.
#[derive(Clone, Debug)]
pub struct PodTerm {
    selector: selector::Labels,
    namespaces: BTreeSet<String>,
    namespace_selector: Option<selector::Labels>,
    /// The label of nodes that makes the domains.
    pub topology_key: String,
}

impl PodTerm {
    /// A term of a pod of this namespace with these labels.
    pub(crate) fn of(raw: &raw::AffinityTerm, namespace: &str, labels: &Labels) -> Self {
        let mut namespaces: BTreeSet<String> = raw.namespaces.iter().cloned().collect();
        if namespaces.is_empty() && raw.namespace_selector.is_none() {
            namespaces.insert(namespace.to_owned());
        }
        let same = values_of(&raw.match_label_keys, labels, Operator::In);
        let other = values_of(&raw.mismatch_label_keys, labels, Operator::NotIn);
        Self {
            selector: read(&raw.label_selector, same.chain(other)),
            namespaces,
            namespace_selector: raw.namespace_selector.as_ref().map(|selector| read(selector, iter::empty())),
            topology_key: raw.topology_key.clone(),
        }
    }

    /// Whether it means pods of this namespace (which has labels of its own) with these labels.
    pub(crate) fn matches(&self, namespace: &str, of_namespace: &Labels, labels: &Labels) -> bool {
        let by_labels = || self.namespace_selector.as_ref().is_some_and(|selector| selector.matches(of_namespace));
        (self.namespaces.contains(namespace) || by_labels()) && self.selector.matches(labels)
    }
}

/// A LabelSelector object and more conditions. What cannot be read selects nothing, as does what is absent.
fn read(object: &Value, more: impl Iterator<Item = Requirement>) -> selector::Labels {
    match selector::Labels::from_object(object) {
        Ok(own) if object.is_object() => selector::Labels::of(own.requirements().iter().cloned().chain(more).collect()),
        _ => selector::Labels::nothing(),
    }
}

fn values_of<'a>(keys: &'a [String], labels: &'a Labels, operator: Operator) -> impl Iterator<Item = Requirement> + 'a {
    let value = |key: &'a String| Some((key, label(labels, key)?));
    keys.iter()
        .filter_map(value)
        .filter_map(move |(key, value)| Requirement::new(key, operator, vec![value.to_owned()]).ok())
}

/// How evenly pods are to be spread over domains.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The label of nodes that makes the domains.
    pub topology_key: String,
    /// By how many pods domains may differ; at least 1.
    pub max_skew: i64,
    /// Domains that must be there for the least of them to count; fewer count as empty.
    pub min_domains: i64,
    /// Whether a node that breaks it is refused, not only scored lower.
    pub required: bool,
    /// Whether nodes that the pod's node affinity excludes do not count.
    pub honors_affinity: bool,
    /// Whether nodes with taints that the pod does not tolerate do not count.
    pub honors_taints: bool,
    /// Whose pods are counted.
    pub selector: selector::Labels,
}

impl Spread {
    pub(crate) fn of(raw: &raw::SpreadConstraint, labels: &Labels) -> Self {
        Self {
            topology_key: raw.topology_key.clone(),
            max_skew: raw.max_skew.max(1),
            min_domains: raw.min_domains.unwrap_or(1),
            required: raw.when_unsatisfiable == "DoNotSchedule",
            honors_affinity: raw.node_affinity_policy != "Ignore",
            honors_taints: raw.node_taints_policy == "Honor",
            selector: read(&raw.label_selector, values_of(&raw.match_label_keys, labels, Operator::In)),
        }
    }
}

/// What keeps pods off a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// What lets a pod onto a tainted node. Empty fields match everything.
#[derive(Clone, Debug, Default)]
pub struct Toleration {
    key: String,
    operator: String,
    value: String,
    effect: String,
}

impl Toleration {
    pub(crate) fn of(raw: raw::Toleration) -> Self {
        let raw::Toleration { key, operator, value, effect } = raw;
        Self { key, operator, value, effect }
    }

    /// Whether it covers a taint.
    #[must_use]
    pub fn covers(&self, taint: &Taint) -> bool {
        let field = |own: &str, other: &str| own.is_empty() || own == other;
        let value = match self.operator.as_str() {
            "" | "Equal" => self.value == taint.value,
            "Exists" => true,
            "Gt" => self.compares(taint, |taint, own| taint > own),
            "Lt" => self.compares(taint, |taint, own| taint < own),
            _ => false,
        };
        field(&self.effect, &taint.effect) && field(&self.key, &taint.key) && value
    }

    fn compares(&self, taint: &Taint, holds: fn(i64, i64) -> bool) -> bool {
        taint.value.parse().ok().zip(self.value.parse().ok()).is_some_and(|(taint, own)| holds(taint, own))
    }
}
