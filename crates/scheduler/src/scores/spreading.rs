//! Nodes in domains with fewer pods of the same kind are better: as the pod's constraints ask, or, where it has none, its
//! controller's pods over nodes and zones.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>.
//! Leaves out: pods that have no controller but are in one Service; upstream spreads those too.

use std::collections::HashMap;

use super::{MAX, Score};
use crate::{
    filters::topology::{counted, counts},
    node::Node,
    place::{Candidate, Cycle},
    pod::Pod,
    snapshot::{Class, Slot},
    terms::{Spread, label},
};

/// The row.
pub(super) const SCORE: Score = Score { weight: 2, all };

/// The label whose domains are single nodes.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What is wanted of pods that say nothing: topology key and skew.
const USUAL: [(&str, i64); 2] = [(HOSTNAME, 3), ("topology.kubernetes.io/zone", 5)];

/// One constraint and how pods are spread now.
struct Constraint<'a> {
    key: &'a str,
    max_skew: i64,
    /// Pods by domain, of the domains that are in question.
    domains: HashMap<&'a str, i64>,
    /// Pods by node, where each node is a domain.
    nodes: HashMap<Slot, i64>,
    /// Evens out that a key with many domains has fewer pods in each.
    weight: f64,
}

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    let pod = cycle.pod;
    if pod.spread.is_empty() {
        if pod.controller.is_empty() {
            return None;
        }
        let alike = |_: &Spread| {
            let within = cycle.snapshot.classes().within(&pod.namespace);
            within.filter(|class| !class.like.deleting && class.like.controller == pod.controller).collect()
        };
        let usual = usual();
        return Some(normalized(&scores(cycle, nodes, &usual, false, alike)));
    }
    let wished: Vec<Spread> = pod.spread.iter().filter(|spread| !spread.required).cloned().collect();
    if wished.is_empty() {
        return None;
    }
    let scores = scores(cycle, nodes, &wished, true, |spread| counted(spread, pod, cycle.snapshot).collect());
    Some(normalized(&scores))
}

fn usual() -> Vec<Spread> {
    let of = |(key, max_skew): (&str, i64)| Spread {
        topology_key: key.to_owned(),
        max_skew,
        min_domains: 1,
        required: false,
        honors_affinity: true,
        honors_taints: false,
        selector: api::selector::Labels::nothing(),
    };
    USUAL.into_iter().map(of).collect()
}

/// How full the domains of each node are; `None` for a node that is out of the question. With `strict`, a node needs the
/// labels of all constraints.
fn scores<'a>(
    cycle: &'a Cycle<'a>,
    nodes: &[Candidate<'a>],
    spreads: &'a [Spread],
    strict: bool,
    alike: impl Fn(&'a Spread) -> Vec<&'a Class>,
) -> Vec<Option<i64>> {
    let has_all = |node: &Node| !strict || spreads.iter().all(|one| label(&node.labels, &one.topology_key).is_some());
    let known: Vec<&Candidate<'_>> = nodes.iter().filter(|one| has_all(one.node)).collect();
    let counting = |spread: &'a Spread| constraint(cycle, &known, spread, &alike(spread), &has_all);
    let constraints: Vec<Constraint<'_>> = spreads.iter().map(counting).collect();
    let sum = |one: &Candidate<'_>| -> f64 { constraints.iter().filter_map(|constraint| constraint.score(one)).sum() };
    nodes.iter().map(|one| has_all(one.node).then(|| sum(one).round() as i64)).collect()
}

fn constraint<'a>(
    cycle: &'a Cycle<'a>,
    known: &[&Candidate<'a>],
    spread: &'a Spread,
    alike: &[&'a Class],
    has_all: &dyn Fn(&Node) -> bool,
) -> Constraint<'a> {
    let (key, per_node) = (spread.topology_key.as_str(), spread.topology_key == HOSTNAME);
    let mut domains: HashMap<&str, i64> = HashMap::new();
    if !per_node {
        domains.extend(known.iter().filter_map(|one| label(&one.node.labels, key)).map(|domain| (domain, 0)));
    }
    let size = if per_node { known.len() } else { domains.len() };
    let mut nodes = HashMap::new();
    for (slot, count) in alike.iter().flat_map(|class| &class.nodes) {
        if per_node {
            *nodes.entry(*slot).or_default() += count;
        } else if let Some(domain) = domain(cycle.pod, cycle.snapshot.node_at(*slot), spread, has_all)
            && let Some(there) = domains.get_mut(domain)
        {
            *there += count;
        }
    }
    Constraint { key, max_skew: spread.max_skew, domains, nodes, weight: ((size + 2) as f64).ln() }
}

/// The domain in which a node's pods count.
fn domain<'a>(pod: &Pod, node: Option<&'a Node>, spread: &Spread, has_all: &dyn Fn(&Node) -> bool) -> Option<&'a str> {
    let node = node.filter(|node| has_all(node) && counts(spread, pod, node))?;
    label(&node.labels, &spread.topology_key)
}

impl Constraint<'_> {
    fn score(&self, on: &Candidate<'_>) -> Option<f64> {
        let domain = label(&on.node.labels, self.key)?;
        let count = match self.key {
            HOSTNAME => self.nodes.get(&on.state.slot).copied().unwrap_or_default(),
            _ => self.domains.get(domain).copied().unwrap_or_default(),
        };
        Some(count as f64 * self.weight + (self.max_skew - 1) as f64)
    }
}

/// The emptier the better.
fn normalized(scores: &[Option<i64>]) -> Vec<i64> {
    let known = || scores.iter().copied().flatten();
    let (least, most) = (known().min().unwrap_or_default(), known().max().unwrap_or_default());
    let one = |score: i64| if most == 0 { MAX } else { MAX * (most + least - score) / most };
    scores.iter().map(|score| score.map_or(0, one)).collect()
}
