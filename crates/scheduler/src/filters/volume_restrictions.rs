//! A claim that one pod alone may use is used by no other pod.
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>.

use super::{Filter, Refusal};
use crate::place::{Candidate, Cycle};

/// The row.
pub(super) const FILTER: Filter = Filter { name: "VolumeRestrictions", check, explain };

fn check(cycle: &Cycle<'_>, _: &Candidate<'_>) -> bool {
    !cycle.storage.taken
}

fn explain(_: &Cycle<'_>, _: &Candidate<'_>) -> Refusal {
    Refusal::passing("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode")
}
