//! How long a Job waits before it tries again: twice as long after each failure. Nothing is remembered: it is worked out
//! from the pods that are there. Main functions: [`until`], [`until_for`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy>.

use api::{
    kinds::{
        job::{INDEX_FAILURES, INDEX_IGNORED},
        read::{items, text},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    is_tracked,
    seen::{Seen, is_succeeded},
};

/// Wait after the first failure, in seconds.
const FIRST_SECONDS: i64 = 10;

/// Longest wait, in seconds.
const LONGEST_SECONDS: i64 = 600;

/// Until when no pod is made, after the failures since the last success.
pub(super) fn until(seen: &Seen<'_>) -> Option<Timestamp> {
    // What was taken back before it ended is no failure.
    let failed = |pod: &Value| {
        let counted = is_tracked(pod) || !meta::is_being_deleted(pod);
        seen.is_failed(pod) && counted
    };
    let success = seen.pods.iter().filter(|pod| is_succeeded(pod)).map(|pod| finished(pod)).max();
    let failures = seen.pods.iter().filter(|pod| failed(pod)).map(|pod| finished(pod));
    let since: Vec<Timestamp> = failures.filter(|at| success.is_none_or(|success| *at > success)).collect();
    let last = since.iter().max()?;
    Some(after(*last, i64::try_from(since.len()).unwrap_or(i64::MAX)))
}

/// Until when no pod takes the place of this one, the last of its index that failed.
pub(super) fn until_for(pod: &Value) -> Timestamp {
    let (counted, ignored) = failures(pod);
    after(finished(pod), counted + ignored + 1)
}

/// How often pods of its index had failed before it: such as counted, and others.
pub(super) fn failures(pod: &Value) -> (i64, i64) {
    let number = |name: &str| meta::annotation(pod, name).and_then(|text| text.parse::<i32>().ok()).unwrap_or_default();
    (i64::from(number(INDEX_FAILURES).max(0)), i64::from(number(INDEX_IGNORED).max(0)))
}

fn after(last: Timestamp, failures: i64) -> Timestamp {
    let doublings = u32::try_from(failures - 1).unwrap_or_default().min(LONGEST_SECONDS.ilog2());
    let seconds = (FIRST_SECONDS << doublings).min(LONGEST_SECONDS);
    last.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// When a pod ended: its last container, else since when it is not ready, else when its deletion began.
pub(super) fn finished(pod: &Value) -> Timestamp {
    let containers = items(pod, "/status/containerStatuses").iter();
    let ends: Option<Vec<Timestamp>> =
        containers.map(|one| meta::parse_time(text(one, "/state/terminated/finishedAt"))).collect();
    let unready = |one: &&Value| text(one, "/type") == "Ready" && text(one, "/status") == "False";
    let ready = || {
        let condition = items(pod, "/status/conditions").iter().find(unready)?;
        meta::parse_time(text(condition, "/lastTransitionTime"))
    };
    let grace = pod.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
    let deleted =
        || meta::parse_time(meta::deletion_timestamp(pod))?.checked_sub(SignedDuration::from_secs(grace)).ok();
    let created = || meta::parse_time(meta::creation_timestamp(pod));
    let ended = ends.and_then(|ends| ends.into_iter().max());
    ended.or_else(ready).or_else(deleted).or_else(created).unwrap_or(Timestamp::UNIX_EPOCH)
}
