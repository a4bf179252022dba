//! Nodes with more room left are better (upstream: least allocated).
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/>.

use super::{MAX, Score};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const SCORE: Score = Score { weight: 1, all };

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    Some(nodes.iter().map(|one| score(cycle, one)).collect())
}

fn score(cycle: &Cycle<'_>, on: &Candidate<'_>) -> i64 {
    let (pod, there, taken) = (&cycle.pod.usual, &on.node.allocatable, &on.state.usual);
    let both =
        [(there.milli_cpu, taken.milli_cpu + pod.milli_cpu), (there.memory, taken.memory.saturating_add(pod.memory))];
    let (sum, count) = both
        .into_iter()
        .filter(|(there, _)| *there > 0)
        .fold((0, 0), |(sum, count), (there, taken)| (sum + share(there - taken, there), count + 1));
    if count == 0 { 0 } else { sum / count }
}

/// What share of all is left.
fn share(left: i64, all: i64) -> i64 {
    if left <= 0 { 0 } else { i64::try_from(i128::from(left) * i128::from(MAX) / i128::from(all)).unwrap_or(MAX) }
}
