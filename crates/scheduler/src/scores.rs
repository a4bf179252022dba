//! Scores: which of the nodes that will do is best for a pod. Main type: [`Score`].
//! Spec: <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>.

use crate::place::{Candidate, Cycle};

mod affinity;
mod balance;
mod images;
mod node_affinity;
mod room;
mod spreading;
mod taints;

/// The best score of one rule.
const MAX: i64 = 100;

/// One rule.
pub(crate) struct Score {
    /// How much it counts beside others.
    weight: i64,
    /// A score from 0 to [`MAX`] for each node, in their order; `None` where the rule has nothing to say.
    all: fn(&Cycle<'_>, &[Candidate<'_>]) -> Option<Vec<i64>>,
}

/// Every score, with upstream's weights.
const SCORES: &[Score] = &[
    taints::SCORE,
    node_affinity::SCORE,
    room::SCORE,
    spreading::SCORE,
    affinity::SCORE,
    balance::SCORE,
    images::SCORE,
];

/// The weighted sums for these nodes.
pub(crate) fn totals(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Vec<i64> {
    let mut totals = vec![0; nodes.len()];
    for score in SCORES {
        for (total, one) in totals.iter_mut().zip((score.all)(cycle, nodes).into_iter().flatten()) {
            *total += score.weight * one;
        }
    }
    totals
}

/// Stretches scores so that the largest is [`MAX`].
fn stretched(scores: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut scores: Vec<i64> = scores.collect();
    let largest = scores.iter().copied().max().unwrap_or_default();
    if largest > 0 {
        scores.iter_mut().for_each(|score| *score = MAX * *score / largest);
    }
    scores
}
