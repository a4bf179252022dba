//! Settings of one node's part in the agreement, with the reasons for their defaults. Main type: [`Config`].

use std::time::Duration;

use openraft::{Config as RaftConfig, SnapshotPolicy};
use serde::{Deserialize, Serialize};

/// Bytes of entries in one append request: a quarter of a frame, since the entry that crosses it is still sent.
pub(crate) const APPEND_BYTES: usize = 4 << 20;

/// Entries in one append request.
const APPEND_ENTRIES: u64 = 1024;

/// Timers and bounds. Times are of a monotonic clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often a leader shows itself. Ten a second cost an idle pair of nodes under 0.1 % of a core.
    pub heartbeat: Duration,
    /// A follower campaigns this long (drawn between the two) after the leader's lease, which is the longer one. With
    /// 150 and 300 ms: 450 to 600 ms after the last heartbeat; a disk that stalls 26 ms is far from it.
    pub election_timeout: (Duration, Duration),
    /// How long a linearizable read looks for a quorum.
    pub read_timeout: Duration,
    /// How long a proposal looks for a leader and an answer, retries included.
    pub propose_timeout: Duration,
    /// How long a voter keeps its watches without a leader.
    pub leaderless_limit: Duration,
    /// Proposals of this node that may be under way; more wait. A bound on memory, far above what a disk needs in flight.
    pub proposals_in_flight: usize,
    /// A snapshot is made once the log has grown by this many entries...
    pub snapshot_entries: u64,
    /// ...or by this many bytes.
    pub snapshot_bytes: u64,
    /// Entries kept behind a snapshot, for followers that lag a little.
    pub entries_kept: u64,
    /// How long sending one snapshot may take: 1 GiB at 10 MB/s, with room.
    pub snapshot_timeout: Duration,
    /// Recent entries held in memory, in bytes, so that replication and apply do not read the disk.
    pub cache_bytes: usize,
    /// A bug put in on purpose, not a setting: a restarted leader goes on in its old term. Simulations must find it.
    #[serde(skip)]
    pub resume_leadership: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_timeout: (Duration::from_millis(150), Duration::from_millis(300)),
            read_timeout: Duration::from_secs(2),
            propose_timeout: Duration::from_secs(10),
            leaderless_limit: Duration::from_secs(5),
            proposals_in_flight: 4096,
            snapshot_entries: 50_000,
            snapshot_bytes: 64 << 20,
            entries_kept: 5_000,
            snapshot_timeout: Duration::from_secs(180),
            cache_bytes: 8 << 20,
            resume_leadership: false,
        }
    }
}

/// A setting that contradicts another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("consensus settings: {0}")]
pub struct ConfigError(String);

impl Config {
    /// The leader's lease: nobody campaigns within it.
    pub(crate) fn lease(&self) -> Duration {
        self.election_timeout.1
    }

    pub(crate) fn raft(&self) -> Result<RaftConfig, ConfigError> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (least, most) = (milliseconds(self.election_timeout.0), milliseconds(self.election_timeout.1));
        let config = RaftConfig {
            cluster_name: "mesh".into(),
            heartbeat_interval: milliseconds(self.heartbeat),
            election_timeout_min: least,
            election_timeout_max: most,
            enable_pre_vote: Some(true),
            // A leader that hears nobody falls silent now and then, so that followers which only hear it can elect another.
            quorum_loss_probe_interval: Some(most * 2),
            // A leader that lost the unsynced end of its log in a power cut would write other entries under the term and
            // index at which its followers hold the lost ones: after a restart it has to be elected anew.
            enable_leader_restore: Some(self.resume_leadership),
            // A follower whose disk said that it had synced what it then lost gets it again. Else the leader's own
            // bounds contradict each other: one lying disk would stop two nodes. That such a follower has forgotten is more than Raft promises to stand.
            allow_log_reversion: Some(true),
            max_payload_entries: APPEND_ENTRIES,
            install_snapshot_timeout: milliseconds(self.snapshot_timeout),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            max_in_snapshot_log_to_keep: self.entries_kept,
            purge_batch_size: APPEND_ENTRIES,
            ..Default::default()
        };
        config.validate().map_err(|error| ConfigError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_its_own_defaults() {
        assert!(Config::default().raft().is_ok());
    }
}
