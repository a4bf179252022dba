//! No two pods of a node take the same of its ports.
//! Spec: `hostPort` of <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#ports>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "NodePorts", check, explain };

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    let taken = &on.state.ports;
    cycle.pod.ports.iter().all(|port| !taken.keys().any(|other| port.clashes(other)))
}

fn explain(_: &Cycle<'_>, _: &Candidate<'_>) -> Refusal {
    Refusal::passing("node(s) didn't have free ports for the requested pod ports")
}
