//! Filters: which nodes will not do for a pod. Main type: [`Filter`].
//! Spec: <https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins>.

use crate::place::{Candidate, Cycle};

pub(crate) mod affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_unschedulable;
mod resources;
mod taints;
pub(crate) mod topology;
mod volume_binding;
mod volume_restrictions;

/// One rule.
pub(crate) struct Filter {
    /// As the upstream scheduler names it.
    pub(crate) name: &'static str,
    /// Whether a node will do.
    pub(crate) check: fn(&Cycle<'_>, &Candidate<'_>) -> bool,
    /// Why it will not; asked only about nodes that failed the check.
    pub(crate) explain: fn(&Cycle<'_>, &Candidate<'_>) -> Refusal,
}

/// Why a node will not do.
pub(crate) struct Refusal {
    pub(crate) reasons: Vec<String>,
    /// It would stay so if all pods left the node.
    pub(crate) lasting: bool,
}

impl Refusal {
    fn passing(reason: &str) -> Self {
        Self { reasons: vec![reason.to_owned()], lasting: false }
    }

    fn lasting(reason: &str) -> Self {
        Self { lasting: true, ..Self::passing(reason) }
    }
}

/// Every filter. The first that refuses a node is the one that is told, so their order is upstream's.
pub(crate) const FILTERS: &[Filter] = &[
    node_unschedulable::FILTER,
    node_name::FILTER,
    taints::FILTER,
    node_affinity::FILTER,
    node_ports::FILTER,
    resources::FILTER,
    volume_restrictions::FILTER,
    volume_binding::FILTER,
    topology::FILTER,
    affinity::FILTER,
];
