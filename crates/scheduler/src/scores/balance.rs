//! Nodes whose CPU and memory would be used in like shares are better.
//! Spec: `NodeResourcesBalancedAllocation` of <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>.

use super::Score;
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const SCORE: Score = Score { weight: 1, all };

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    let pod = &cycle.pod.requests;
    if pod.milli_cpu == 0 && pod.memory == 0 {
        return None;
    }
    let score = |one: &Candidate<'_>| {
        let (there, taken) = (&one.node.allocatable, &one.state.requested);
        let shares = [
            share(taken.milli_cpu + pod.milli_cpu, there.milli_cpu),
            share(taken.memory.saturating_add(pod.memory), there.memory),
        ];
        match shares {
            [Some(cpu), Some(memory)] => 100.0 * (1.0 - (cpu - memory).abs() / 2.0),
            _ => 100.0,
        }
    };
    Some(nodes.iter().map(|one| score(one) as i64).collect())
}

fn share(taken: i64, there: i64) -> Option<f64> {
    (there > 0).then(|| (taken as f64 / there as f64).min(1.0))
}
