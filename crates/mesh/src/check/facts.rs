//! What a running node knows of itself for `mesh check`; it crosses the admin socket. Main type: [`Facts`].

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::admin::ping::Pinged;
use crate::admin::status::Status;

/// One node, and what it sees of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts {
    /// Its state.
    pub(crate) status: Status,
    /// How long a read took that a quorum confirmed, in ms, or why there was none; absent on a node that is no voter.
    pub(crate) quorum_read: Option<Result<u64, String>>,
    /// Answers of the other members.
    pub(crate) peers: Vec<Pinged>,
    /// Certificates and when they end, in Unix seconds.
    pub(crate) certificates: Vec<(String, i64)>,
    /// Now, by this node's clock, in Unix seconds.
    pub(crate) now: i64,
    /// How long the cluster's DNS took to answer, in microseconds, or why it did not; absent where the node runs no pods.
    pub(crate) dns: Option<Result<u64, String>>,
    /// What containerd says it is; absent as above.
    pub(crate) containerd: Option<Result<String, String>>,
    /// How long 4 KiB took to be on disk, in microseconds, each time; or why they were not.
    pub(crate) syncs: Result<Vec<u64>, String>,
    /// The machine.
    pub(crate) machine: Machine,
}
