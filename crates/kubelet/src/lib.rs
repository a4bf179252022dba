//! What a node agent does, decided without a clock or I/O: [`pod::plan`] compares a pod with what runs and says which
//! steps come next and what its status is; [`node`] says whether a pod fits and how the node is.
//!
//! Spec: the kubelet of Kubernetes 1.36, <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>. Everything follows
//! from what is observed and from [`History`]: an agent that restarts goes on where the old one ended.
//! Leaves out: running the steps (`actors`); volumes that need a driver; in-place resize; user namespaces; eviction by pressure.

pub mod env;
pub mod event;
pub mod history;
pub mod image;
pub mod model;
pub mod node;
pub mod observed;
pub mod pod;
pub mod probe;
pub mod resources;
pub mod security;
pub mod spec;
pub mod status;
pub mod step;
pub mod text;
pub mod volume;

pub use history::History;
pub use observed::Observed;
pub use pod::{Input, Plan};
pub use step::{Lane, LaneKey, Outcome, Step, StepResult};
