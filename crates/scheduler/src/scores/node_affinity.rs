//! Nodes that the pod would like are better.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity-weight>.

use super::{Score, stretched};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const SCORE: Score = Score { weight: 2, all };

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    let liked = &cycle.pod.liked_nodes;
    if liked.is_empty() {
        return None;
    }
    let sum = |one: &Candidate<'_>| -> i64 {
        liked.iter().filter(|liked| liked.term.matches(one.node)).map(|liked| liked.weight).sum()
    };
    Some(stretched(nodes.iter().map(sum)))
}
