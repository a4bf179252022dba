//! The node: whether a pod fits, what can be allocated, how it is. Main functions: [`admit`], [`plan`].
//! Spec: <https://kubernetes.io/docs/concepts/architecture/nodes/>. Leaves out: eviction of pods, huge pages, device plugins.

use std::collections::BTreeMap;

use serde_json::Value;

mod admit;
pub mod app_armor;
mod conditions;
mod files;

pub use admit::{REJECTED, admit, reason};
pub use app_armor::confine;
pub use conditions::{Facts, NodePlan, Silence, plan};
pub use files::{PodSource, StaticPodError, mirror, static_pod};

/// Quantities by resource, as stored.
pub type ResourceList = BTreeMap<String, Value>;

#[cfg(test)]
mod tests;
