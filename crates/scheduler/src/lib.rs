//! Which node a pod runs on. Main types: [`ClusterSnapshot`], [`Pod`], [`Placement`] and [`Unschedulable`].
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/>.
//!
//! Pure: [`place`] is a function of a pod and a snapshot; equal choices are told apart by a hash of the pod's UID. The
//! snapshot is kept up to date one change at a time and holds the sums that placements need, so that a placement costs a
//! small constant for each node. A new rule is one file and one row: a filter in `filters/` says whether a node will do
//! (`check`) and, where it will not, why (`explain`); a score in `scores/` says how well it would do.
//!
//! Leaves out: preemption, resource claims, priorities among pending pods (who queues them decides).

mod amounts;
mod filters;
mod node;
mod place;
mod pod;
mod raw;
mod scores;
mod snapshot;
mod storage;
mod terms;
mod unschedulable;

pub use amounts::Amounts;
pub use node::{Node, NodeError};
pub use place::{Placement, place, reaches};
pub use pod::{HostPort, Pod, PodError};
pub use snapshot::{ClusterSnapshot, NodeState};
pub use storage::{Choice, Storage};
pub use terms::{Labels, NodeTerm, PodTerm, Preference, Spread, Taint, Toleration};
pub use unschedulable::Unschedulable;

#[cfg(test)]
mod tests;
