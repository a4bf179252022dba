//! What a kubelet remembers of a pod over its own restarts. Main type: [`History`], a small JSON file beside the pod's volumes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::probe::{Sort, State};

/// What is remembered of one pod. The default is a pod never seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct History {
    /// When it was first seen here; `startTime`.
    pub first_seen: Option<Timestamp>,
    /// By container.
    pub containers: BTreeMap<String, ContainerHistory>,
    /// Pulls that failed, by reference.
    pub images: BTreeMap<String, Backoff>,
    /// Other things that failed: `volumes`, `sandbox`, `teardown`, `container/<name>`.
    pub lanes: BTreeMap<String, Backoff>,
    /// It is to end, and since when.
    pub ending: Option<Ending>,
    /// The next sandbox's number is this at least.
    pub sandboxes: u32,
    /// The phase that stays, with why.
    pub verdict: Option<Verdict>,
    /// The status last planned.
    pub last_status: Option<Value>,
    /// Init containers have all ended well in the sandbox of this attempt.
    pub initialized: Option<u32>,
    /// Its volumes were taken away.
    pub torn_down: bool,
    /// The API was told that nothing of it is left.
    pub confirmed: bool,
}

/// What is remembered of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerHistory {
    /// The next attempt's number is this at least.
    pub attempts: u32,
    /// Its restarts' back-off.
    pub restarts: Backoff,
    /// Why it cannot be made now, as waiting reason and message.
    pub waiting: Option<(String, String)>,
    /// The newest attempt that an image was pulled for under policy `Always`.
    pub pulled_for: Option<u32>,
    /// Last words by attempt, of the newest attempts.
    pub messages: BTreeMap<u32, String>,
    /// The attempt that is to be stopped although its pod goes on, and why.
    pub stop: Option<ContainerStop>,
    /// The attempt whose preStop hook has ended.
    pub hook_done: Option<u32>,
    /// The attempt whose postStart hook has ended.
    pub started_hook: Option<u32>,
    /// Its probes.
    pub probes: BTreeMap<Sort, State>,
    /// The attempt that an event `Killing` told of.
    pub killing_told: Option<u32>,
}

/// A container that is to be stopped although its pod goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStop {
    /// Which attempt.
    pub attempt: u32,
    /// When it is to be killed.
    pub deadline: Timestamp,
    /// Why, for people.
    pub message: String,
}

/// Waiting longer after each failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Backoff {
    /// Failures in a row.
    pub failures: u32,
    /// The last one.
    pub last_at: Option<Timestamp>,
    /// Not before.
    pub until: Option<Timestamp>,
    /// What the last one said.
    pub message: String,
    /// The wait was told of.
    pub told: bool,
}

/// A pod that is to end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ending {
    /// Since when.
    pub since: Timestamp,
    /// When the rest is killed.
    pub deadline: Timestamp,
    /// The grace that the deadline came from, in seconds.
    pub grace_seconds: i64,
}

/// A phase that stays, whatever containers do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Verdict {
    /// `status.reason`, as `DeadlineExceeded`.
    pub reason: String,
    /// `status.message`.
    pub message: String,
}
