//! Pods are near those they need, and far from those they or others will not have near. Main type: [`Neighbours`].
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity>.

use std::collections::HashMap;

use super::{Filter, Refusal};
use crate::{
    node::Node,
    place::{Candidate, Cycle},
    pod::Pod,
    snapshot::{Class, ClusterSnapshot},
    terms::{PodTerm, label},
};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "InterPodAffinity", check, explain };

/// Pods in domains: by topology key and value.
type Domains<'a> = HashMap<(&'a str, &'a str), i64>;

/// Where the pods are that a pod needs or will not have near, and those that will not have it.
#[derive(Default)]
pub(crate) struct Neighbours<'a> {
    needed: Domains<'a>,
    unwanted: Domains<'a>,
    unwelcome: Domains<'a>,
    /// It needs pods like itself, so that the first of them may go anywhere.
    first: bool,
}

/// Whether a term of one pod means another.
pub(crate) fn means(term: &PodTerm, other: &Pod, snapshot: &ClusterSnapshot) -> bool {
    term.matches(&other.namespace, snapshot.labels_of_namespace(&other.namespace), &other.labels)
}

/// The domains of a class's pods under a topology key, and how many are there.
pub(crate) fn domains<'a>(
    class: &'a Class,
    key: &'a str,
    snapshot: &'a ClusterSnapshot,
) -> impl Iterator<Item = ((&'a str, &'a str), i64)> {
    let domain = move |slot: usize| label(&snapshot.node_at(slot)?.labels, key);
    class.nodes.iter().filter_map(move |(slot, count)| Some(((key, domain(*slot)?), *count)))
}

impl<'a> Neighbours<'a> {
    pub(crate) fn of(pod: &'a Pod, snapshot: &'a ClusterSnapshot) -> Self {
        let mut all = Self::default();
        for class in snapshot.classes().wishing() {
            for term in class.like.far.iter().filter(|term| means(term, pod, snapshot)) {
                add(&mut all.unwelcome, class, term, snapshot);
            }
        }
        if pod.near.is_empty() && pod.far.is_empty() {
            return all;
        }
        for class in snapshot.classes().all() {
            if !pod.near.is_empty() && pod.near.iter().all(|term| means(term, &class.like, snapshot)) {
                pod.near.iter().for_each(|term| add(&mut all.needed, class, term, snapshot));
            }
            for term in pod.far.iter().filter(|term| means(term, &class.like, snapshot)) {
                add(&mut all.unwanted, class, term, snapshot);
            }
        }
        all.first = all.needed.is_empty() && pod.near.iter().all(|term| means(term, pod, snapshot));
        all
    }

    fn welcome(&self, node: &Node) -> bool {
        let there = |(key, value): &(String, String)| self.unwelcome.contains_key(&(key.as_str(), value.as_str()));
        self.unwelcome.is_empty() || !node.labels.iter().any(there)
    }

    fn near(&self, pod: &Pod, node: &Node) -> bool {
        let domain = |term: &'_ PodTerm| label(&node.labels, &term.topology_key);
        let there = |term: &PodTerm| {
            domain(term)
                .is_some_and(|value| self.first || self.needed.contains_key(&(term.topology_key.as_str(), value)))
        };
        pod.near.iter().all(there)
    }

    fn far(&self, pod: &Pod, node: &Node) -> bool {
        let there = |term: &PodTerm| {
            label(&node.labels, &term.topology_key)
                .is_some_and(|value| self.unwanted.contains_key(&(term.topology_key.as_str(), value)))
        };
        !pod.far.iter().any(there)
    }
}

fn add<'a>(to: &mut Domains<'a>, class: &'a Class, term: &'a PodTerm, snapshot: &'a ClusterSnapshot) {
    for (domain, count) in domains(class, &term.topology_key, snapshot) {
        *to.entry(domain).or_default() += count;
    }
}

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    let all = &cycle.neighbours;
    all.near(cycle.pod, on.node) && all.far(cycle.pod, on.node) && all.welcome(on.node)
}

fn explain(cycle: &Cycle<'_>, on: &Candidate<'_>) -> Refusal {
    let all = &cycle.neighbours;
    if !all.near(cycle.pod, on.node) {
        return Refusal::lasting("node(s) didn't match pod affinity rules");
    }
    if !all.far(cycle.pod, on.node) {
        return Refusal::passing("node(s) didn't match pod anti-affinity rules");
    }
    Refusal::passing("node(s) didn't satisfy existing pods anti-affinity rules")
}
