//! A pod that names its node goes there and nowhere else.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "NodeName", check, explain };

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    cycle.pod.node.is_empty() || cycle.pod.node == on.node.name
}

fn explain(_: &Cycle<'_>, _: &Candidate<'_>) -> Refusal {
    Refusal::lasting("node(s) didn't match the requested node name")
}
