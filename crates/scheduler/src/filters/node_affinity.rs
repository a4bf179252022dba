//! A node has the labels that the pod's node selector and required node affinity ask for.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "NodeAffinity", check, explain };

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    cycle.pod.may_choose(on.node)
}

fn explain(_: &Cycle<'_>, _: &Candidate<'_>) -> Refusal {
    Refusal::lasting("node(s) didn't match Pod's node affinity/selector")
}
