//! The node: whether a pod fits, what can be allocated, how it is. Main functions: [`admit`], [`plan`].
//! Spec: <https://kubernetes.io/docs/concepts/architecture/nodes/>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{history::Verdict, model::Pod};

/// Quantities by resource, as stored.
pub type ResourceList = BTreeMap<String, Value>;

/// What the machine says of itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `capacity` of CPU in thousandths.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
    /// Bytes of the disk that pods write to.
    pub disk_bytes: i64,
    /// Most pods.
    pub pods_max: i64,
    /// Kept for the system, by resource.
    pub reserved: ResourceList,
    /// Bytes of memory free for pods.
    pub memory_bytes_free: i64,
    /// Bytes of that disk that are free.
    pub disk_bytes_free: i64,
    /// Its free inodes and all, where it has them.
    pub inodes: Option<(u64, u64)>,
    /// Process ids in use and all, where known.
    pub pids: Option<(u64, u64)>,
    /// Why the runtime does not work, if so.
    pub runtime_error: Option<String>,
    /// Why the pods' network does not work, if so.
    pub network_error: Option<String>,
}

/// What the Node object is to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodePlan {
    /// `status.capacity`.
    pub capacity: ResourceList,
    /// `status.allocatable`.
    pub allocatable: ResourceList,
    /// `status.conditions`, all of them: those of the old ones that are not ours are kept.
    pub conditions: Vec<Value>,
}

/// Capacity, what can be allocated, and conditions. `old` is the `status.conditions` of the Node.
#[must_use]
pub fn plan(facts: &Facts, old: &[Value], now: Timestamp) -> NodePlan {
    let _ = (facts, old, now);
    NodePlan::default()
}

/// Whether a pod that was bound to this node may run here beside those that do.
///
/// # Errors
/// Where it may not: `status.reason` and `status.message` of the failed Pod.
pub fn admit(pod: &Pod, others: &[Pod], node: &Value) -> Result<(), Verdict> {
    let _ = (pod, others, node);
    Ok(())
}
