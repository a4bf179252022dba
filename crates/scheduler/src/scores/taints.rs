//! Nodes with fewer taints that the pod would rather avoid are better.
//! Spec: `PreferNoSchedule` of <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.

use super::{MAX, Score, stretched};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const SCORE: Score = Score { weight: 3, all };

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    let avoided = |one: &Candidate<'_>| {
        let taints = one.node.taints.iter();
        taints.filter(|taint| taint.effect == "PreferNoSchedule" && !cycle.pod.tolerates(taint)).count()
    };
    let counts: Vec<i64> = nodes.iter().map(|one| i64::try_from(avoided(one)).unwrap_or(i64::MAX)).collect();
    if counts.iter().all(|count| *count == 0) {
        return None;
    }
    Some(stretched(counts.into_iter()).into_iter().map(|score| MAX - score).collect())
}
