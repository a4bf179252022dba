//! Conditions of a deployment: whether it progresses, is available, or fails. Main type: [`Progress`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>.

use api::{
    kinds::{
        read::{items, text},
        workload::count,
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::sets::Rollout;

/// Whether a rollout goes on.
pub(super) const PROGRESSING: &str = "Progressing";

/// The rollout took too long.
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// The rollout is done.
pub(super) const DONE: &str = "NewReplicaSetAvailable";

/// A deadline as large as this is none.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// A condition: type, status, reason and message.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    kind: &'static str,
    status: &'static str,
    reason: String,
    message: String,
    /// When the status became this, if another knows that better.
    since: Option<String>,
}

impl Progress {
    pub(super) fn going(reason: &str, message: String) -> Self {
        Self::of(PROGRESSING, "True", reason, message)
    }

    pub(super) fn stopped(reason: &str, message: String) -> Self {
        Self::of(PROGRESSING, "False", reason, message)
    }

    pub(super) fn of(kind: &'static str, status: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, status, reason: reason.to_owned(), message: message.into(), since: None }
    }

    /// As a ReplicaSet says that its pods fail.
    pub(super) fn of_set(condition: &Value) -> Self {
        let word = |field: &str| text(condition, field).to_owned();
        let status = if text(condition, "/status") == "True" { "True" } else { "False" };
        let (reason, message, since) = (word("/reason"), word("/message"), word("/lastTransitionTime"));
        Self { kind: "ReplicaFailure", status, reason, message, since: Some(since) }
    }
}

/// A condition of a status.
pub(super) fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    items(status, "/conditions").iter().find(|known| text(known, "/type") == kind)
}

/// Takes a condition off a status.
pub(super) fn remove(status: &mut Value, kind: &str) {
    let Some(list) = status.get_mut("conditions").and_then(Value::as_array_mut) else { return };
    list.retain(|known| text(known, "/type") != kind);
    if list.is_empty() {
        status.as_object_mut().map(|status| status.remove("conditions"));
    }
}

/// Sets a condition, unless one of the same status and reason is there.
pub(super) fn set(status: &mut Value, condition: &Progress, now: Timestamp) {
    let known = find(status, condition.kind);
    let same_status = known.filter(|known| text(known, "/status") == condition.status);
    if same_status.is_some_and(|known| text(known, "/reason") == condition.reason) {
        return;
    }
    let at = meta::time(now);
    let own = condition.since.clone().unwrap_or_else(|| at.clone());
    let since = same_status.map_or_else(|| own.clone(), |known| text(known, "/lastTransitionTime").to_owned());
    let updated = if condition.since.is_some() { own } else { at };
    let new = json!({
        "type": condition.kind, "status": condition.status, "reason": condition.reason, "message": condition.message,
        "lastUpdateTime": updated, "lastTransitionTime": since,
    });
    remove(status, condition.kind);
    match status.get_mut("conditions").and_then(Value::as_array_mut) {
        Some(list) => list.push(new),
        None => status["conditions"] = json!([new]),
    }
}

impl Rollout<'_> {
    pub(super) fn say(&mut self, condition: &Progress) {
        set(&mut self.status, condition, self.now);
    }

    pub(super) fn deadline_seconds(&self) -> Option<i64> {
        let seconds = self.deployment.pointer("/spec/progressDeadlineSeconds").and_then(Value::as_i64);
        seconds.filter(|seconds| *seconds < NO_DEADLINE)
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.deadline_seconds().is_some()
    }

    /// What the status says of progress as of now.
    pub(super) fn progress(&self) -> Option<&Value> {
        find(&self.status, PROGRESSING)
    }

    /// Says that the deployment was paused or resumed: no progress is expected meanwhile.
    pub(super) fn tell_pause(&mut self) {
        let reason = self.progress().map_or("", |progress| text(progress, "/reason"));
        if !self.has_deadline() || reason == TIMED_OUT {
            return;
        }
        let unknown = |reason: &str, message: &str| Progress::of(PROGRESSING, "Unknown", reason, message);
        match (self.is_paused(), reason == "DeploymentPaused") {
            (true, false) => self.say(&unknown("DeploymentPaused", "Deployment is paused")),
            (false, true) => self.say(&unknown("DeploymentResumed", "Deployment is resumed")),
            _ => {}
        }
    }

    /// When the deadline is over, counted from the last sign of progress.
    pub(super) fn deadline(&self, status: &Value) -> Option<Timestamp> {
        let since = meta::parse_time(text(find(status, PROGRESSING)?, "/lastUpdateTime"))?;
        since.checked_add(SignedDuration::from_secs(self.deadline_seconds()?)).ok()
    }

    /// A number of the status as it is stored.
    pub(super) fn reported(&self, field: &str) -> i64 {
        count(self.deployment, &format!("/status/{field}"))
    }
}
