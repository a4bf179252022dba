//! What should be: deciders that compare objects and say what to change. Main types: [`Controller`] and [`CONTROLLERS`].
//! Spec: <https://kubernetes.io/docs/concepts/architecture/controller/>.
//!
//! Pure: a decider sees a [`View`] at one revision, a [`Key`] and a time, and returns a [`Plan`]. Who runs it keeps this
//! contract:
//! - a key runs again only on a View at or after the last write made for it, so that a decider never repeats itself
//!   because it reads the past;
//! - a write with an unknown outcome is settled before the key runs again;
//! - all writes are fenced by the leadership term, and a new leader starts only once it has seen all that was
//!   acknowledged before, from a resync, which asks for every key there is;
//! - a key that panics a decider three times is set aside.
//!
//! In return a decider is level-triggered: any key at any time, any number of times, nothing remembered in between.
//! A new controller is one file and one row.

pub mod change;
pub mod cluster_role_aggregation;
pub mod cluster_services;
pub mod cron_job;
pub mod daemon_set;
pub mod deployment;
pub mod disruption;
pub mod endpoint_slice;
pub mod endpoint_slice_mirroring;
pub mod endpoints;
pub mod ephemeral_volume;
pub mod garbage_collector;
mod history;
pub mod job;
pub mod namespace;
pub mod node_lifecycle;
pub mod persistent_volume;
pub mod plan;
pub mod pod_gc;
pub mod replica_set;
pub mod resource_quota;
pub mod root_ca;
pub mod service_account;
mod service_pods;
pub mod stateful_set;
pub mod storage_protection;
pub mod taint_eviction;
pub mod ttl_after_finished;
pub mod view;
mod workload;
#[cfg(test)]
mod world;

use jiff::Timestamp;

pub use change::{Change, Kinds, Watch};
pub use plan::{Action, Event, Only, Patch, Plan, Propagation, Target};
pub use view::{Cluster, Object, View};

/// What a decider is asked about, as its controller understands it; mostly an object's namespace and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace; empty for what is cluster-wide.
    pub namespace: String,
    /// Name within it; controllers of many kinds say the kind here too.
    pub name: String,
}

impl Key {
    /// A key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// One controller.
#[derive(Debug)]
pub struct Controller {
    /// Name, in logs and observations.
    pub name: &'static str,
    /// The ServiceAccount of kube-system as which it acts; `auth::bootstrap` has its role.
    pub account: &'static str,
    /// What wakes it. A resync calls these for every object there is, as if it had just been created.
    pub watches: &'static [Watch],
    /// What facts about the cluster wake, when they change: [`change::no_facts`] for nothing.
    pub facts: fn(&Cluster, &mut Vec<Key>),
    /// Decides what is missing for one key.
    pub reconcile: fn(&dyn View, &Key, Timestamp) -> Plan,
}

/// Every controller.
pub const CONTROLLERS: &[Controller] = &[
    cluster_role_aggregation::CONTROLLER,
    cluster_services::CONTROLLER,
    cron_job::CONTROLLER,
    endpoint_slice::CONTROLLER,
    endpoint_slice_mirroring::CONTROLLER,
    endpoints::CONTROLLER,
    daemon_set::CONTROLLER,
    deployment::CONTROLLER,
    disruption::CONTROLLER,
    ephemeral_volume::CONTROLLER,
    garbage_collector::CONTROLLER,
    job::CONTROLLER,
    namespace::CONTROLLER,
    node_lifecycle::CONTROLLER,
    persistent_volume::CONTROLLER,
    pod_gc::CONTROLLER,
    replica_set::CONTROLLER,
    replica_set::REPLICATION,
    resource_quota::CONTROLLER,
    root_ca::CONTROLLER,
    service_account::CONTROLLER,
    stateful_set::CONTROLLER,
    storage_protection::CLAIMS,
    storage_protection::VOLUMES,
    taint_eviction::CONTROLLER,
    ttl_after_finished::CONTROLLER,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_has_a_role() {
        for controller in CONTROLLERS {
            let known = auth::bootstrap::controllers::CONTROLLERS.iter().any(|(name, _)| *name == controller.account);
            assert!(known, "{} acts as {}", controller.name, controller.account);
        }
    }
}
