//! A tainted node takes only pods that tolerate all taints which keep pods off.
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "TaintToleration", check, explain };

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    cycle.pod.repelled_by(on.node).is_none()
}

fn explain(_: &Cycle<'_>, _: &Candidate<'_>) -> Refusal {
    Refusal::lasting("node(s) had untolerated taint(s)")
}
