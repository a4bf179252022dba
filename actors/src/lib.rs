//! Who runs it: supervised actors, one file each, and the node that wires them.

pub mod admission;
pub mod api;
pub mod backup;
pub mod boot;
mod chaos;
pub mod config;
pub mod context;
pub mod controllers;
pub mod dataplane;
pub mod drain;
pub mod echo;
pub mod home;
pub mod host;
pub mod images;
pub mod kubelet;
pub mod liveness;
pub mod local_volumes;
pub mod metrics;
pub mod node;
pub mod node_api;
pub mod peers;
pub mod queue;
pub mod recover;
pub mod removal;
pub mod restore;
pub mod rpc;
pub mod scheduler;
pub mod secrets;
pub mod stage;
pub mod streams;
pub mod voters;

pub use config::Config;
pub use consensus::Status as Group;
pub use node::{Entrance, Node, Origin, StartError};
pub use stage::Stage;
