//! Pods are spread evenly over topology domains, where that is required. Main type: [`Spreading`].
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>.

use std::collections::HashMap;

use super::{Filter, Refusal};
use crate::{
    node::Node,
    place::{Candidate, Cycle},
    pod::Pod,
    snapshot::{Class, ClusterSnapshot},
    terms::{Spread, label},
};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "PodTopologySpread", check, explain };

/// The required constraints of a pod, and how its kind is spread now.
pub(crate) struct Spreading<'a>(Vec<Constraint<'a>>);

struct Constraint<'a> {
    spread: &'a Spread,
    domains: HashMap<&'a str, i64>,
    /// Pods in the emptiest domain.
    least: i64,
    /// 1 where the pod is one of those counted.
    own: i64,
}

/// Whether a node's pods count under a constraint.
pub(crate) fn counts(spread: &Spread, pod: &Pod, node: &Node) -> bool {
    (!spread.honors_affinity || pod.may_choose(node)) && (!spread.honors_taints || pod.repelled_by(node).is_none())
}

/// Classes of the pod's namespace that a constraint counts.
pub(crate) fn counted<'a>(
    spread: &'a Spread,
    pod: &Pod,
    snapshot: &'a ClusterSnapshot,
) -> impl Iterator<Item = &'a Class> {
    let all = snapshot.classes().within(&pod.namespace);
    all.filter(|class| !class.like.deleting && spread.selector.matches(&class.like.labels))
}

impl<'a> Spreading<'a> {
    pub(crate) fn of(pod: &'a Pod, snapshot: &'a ClusterSnapshot) -> Self {
        let required: Vec<&Spread> = pod.spread.iter().filter(|spread| spread.required).collect();
        let has_all = |node: &Node| required.iter().all(|spread| label(&node.labels, &spread.topology_key).is_some());
        let constraint = |spread: &'a Spread| {
            let within = |node: &'a Node| {
                label(&node.labels, &spread.topology_key).filter(|_| has_all(node) && counts(spread, pod, node))
            };
            let mut domains: HashMap<&str, i64> =
                snapshot.nodes().filter_map(|(_, node)| within(node)).map(|domain| (domain, 0)).collect();
            for (slot, count) in counted(spread, pod, snapshot).flat_map(|class| &class.nodes) {
                if let Some(domain) = snapshot.node_at(*slot).and_then(within) {
                    *domains.entry(domain).or_default() += count;
                }
            }
            let few = i64::try_from(domains.len()).is_ok_and(|there| there < spread.min_domains);
            let least = if few { 0 } else { domains.values().copied().min().unwrap_or_default() };
            Constraint { spread, domains, least, own: i64::from(spread.selector.matches(&pod.labels)) }
        };
        Self(required.iter().map(|spread| constraint(spread)).collect())
    }
}

impl Constraint<'_> {
    /// `None` where the node is in no domain.
    fn holds(&self, node: &Node) -> Option<bool> {
        let domain = label(&node.labels, &self.spread.topology_key)?;
        let there = self.domains.get(domain).copied().unwrap_or_default();
        Some(there + self.own - self.least <= self.spread.max_skew)
    }
}

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    cycle.spreading.0.iter().all(|constraint| constraint.holds(on.node) == Some(true))
}

fn explain(cycle: &Cycle<'_>, on: &Candidate<'_>) -> Refusal {
    let broken = cycle.spreading.0.iter().map(|constraint| constraint.holds(on.node)).find(|held| *held != Some(true));
    match broken {
        Some(None) => Refusal::lasting("node(s) didn't match pod topology spread constraints (missing required label)"),
        _ => Refusal::passing("node(s) didn't match pod topology spread constraints"),
    }
}
