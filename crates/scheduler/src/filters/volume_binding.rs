//! A node reaches the volumes of a pod's claims, or finds some for those that wait for it.
//! Spec: <https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "VolumeBinding", check, explain };

fn check(cycle: &Cycle<'_>, on: &Candidate<'_>) -> bool {
    cycle.storage.on(on.node).is_ok()
}

fn explain(cycle: &Cycle<'_>, on: &Candidate<'_>) -> Refusal {
    cycle.storage.on(on.node).err().map_or(Refusal { reasons: vec![], lasting: true }, Refusal::lasting)
}
