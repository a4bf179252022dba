//! A cordoned node takes only pods that tolerate it.
//! Spec: <https://kubernetes.io/docs/concepts/architecture/nodes/#manual-node-administration>.

use super::{Filter, Refusal};
use crate::{
    place::{Candidate, Cycle},
    terms::Taint,
};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "NodeUnschedulable", check, explain };

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    let taint =
        || Taint { key: "node.kubernetes.io/unschedulable".into(), value: String::new(), effect: "NoSchedule".into() };
    !on.node.unschedulable || cycle.pod.tolerates(&taint())
}

fn explain(_: &Cycle<'_>, _: &Candidate<'_>) -> Refusal {
    Refusal::lasting("node(s) were unschedulable")
}
