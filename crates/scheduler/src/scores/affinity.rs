//! Nodes near pods that the pod likes, and that like it, are better; near those they dislike, worse.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity>.

use std::collections::HashMap;

use super::{MAX, Score};
use crate::{
    filters::affinity::{domains, means},
    place::{Candidate, Cycle},
    snapshot::Class,
    terms::{PodTerm, label},
};

/// The row.
pub(super) const SCORE: Score = Score { weight: 2, all };

/// What it is worth to be near a pod that requires it.
const REQUIRED: i64 = 1;

/// Sums of weights, by topology key and value.
type Sums<'a> = HashMap<(&'a str, &'a str), i64>;

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    let sums = sums(cycle);
    if sums.is_empty() {
        return None;
    }
    let keys: std::collections::BTreeSet<&str> = sums.keys().map(|(key, _)| *key).collect();
    let score = |one: &Candidate<'_>| -> i64 {
        let here = keys.iter().filter_map(|key| Some((*key, label(&one.node.labels, key)?)));
        here.filter_map(|domain| sums.get(&domain)).sum()
    };
    let scores: Vec<i64> = nodes.iter().map(score).collect();
    let (least, most) = (scores.iter().copied().min()?, scores.iter().copied().max()?);
    let stretch = |score: i64| if most > least { MAX * (score - least) / (most - least) } else { 0 };
    Some(scores.into_iter().map(stretch).collect())
}

fn sums<'a>(cycle: &'a Cycle<'a>) -> Sums<'a> {
    let (pod, snapshot) = (cycle.pod, cycle.snapshot);
    let mut sums = Sums::new();
    let mut add = |class: &'a Class, term: &'a PodTerm, weight: i64| {
        for (domain, count) in domains(class, &term.topology_key, snapshot) {
            *sums.entry(domain).or_default() += weight * count;
        }
    };
    if !pod.liked_pods.is_empty() {
        for class in snapshot.classes().all() {
            for liked in pod.liked_pods.iter().filter(|liked| means(&liked.term, &class.like, snapshot)) {
                add(class, &liked.term, liked.weight);
            }
        }
    }
    for class in snapshot.classes().wishing() {
        for term in class.like.near.iter().filter(|term| means(term, pod, snapshot)) {
            add(class, term, REQUIRED);
        }
        for liked in class.like.liked_pods.iter().filter(|liked| means(&liked.term, pod, snapshot)) {
            add(class, &liked.term, liked.weight);
        }
    }
    sums
}
