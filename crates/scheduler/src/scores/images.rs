//! Nodes that have the pod's images are better, the more the larger these are.
//! Spec: `ImageLocality` of <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>.

use super::{MAX, Score};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const SCORE: Score = Score { weight: 1, all };

/// Images below this are pulled before anybody notices.
const SMALL: i64 = 23 << 20;

/// Per container: above this more makes no difference.
const LARGE: i64 = 1000 << 20;

fn all(cycle: &Cycle<'_>, nodes: &[Candidate<'_>]) -> Option<Vec<i64>> {
    let images = &cycle.pod.images;
    if images.iter().all(|name| cycle.snapshot.nodes_with_image(name) == 0) {
        return None;
    }
    let large = LARGE * i64::try_from(images.len()).unwrap_or(1);
    let score = |one: &Candidate<'_>| {
        let sum: i64 = images.iter().map(|name| worth(cycle, one, name)).sum();
        MAX * (sum.clamp(SMALL, large) - SMALL) / (large - SMALL)
    };
    Some(nodes.iter().map(score).collect())
}

/// An image that is on few nodes counts less, so that pods do not all go where the first one went.
fn worth(cycle: &Cycle<'_>, on: &Candidate<'_>, name: &str) -> i64 {
    let spread = cycle.snapshot.nodes_with_image(name) as f64 / cycle.snapshot.len() as f64;
    on.node.image(name).map_or(0, |bytes| (bytes as f64 * spread) as i64)
}
