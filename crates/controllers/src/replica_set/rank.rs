//! Which pods of a ReplicaSet go first when there are too many. Main function: [`ranked`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset>.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use api::{
    kinds::read::{items, text},
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    view::Object,
    workload::{is_bound, ready_since},
};

/// Annotation by which a pod says how much its loss would cost.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What is compared, in this order; smaller goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    bound: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    /// Pods of the same kind on its node.
    crowd: Reverse<usize>,
    ready_for: Magnitude,
    restarts: Reverse<i64>,
    age: Magnitude,
    /// Among like ones chance decides.
    uid: &'a str,
}

/// How long something has been so, in powers of two of seconds: a short time goes first, and like ones count as equal.
type Magnitude = Option<u32>;

/// The pods, those that go first at the start. `related` are all pods that share nodes with them.
pub(crate) fn ranked<'a>(pods: &[&'a Object], related: &[Object], now: Timestamp) -> Vec<&'a Object> {
    let mut crowds: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related {
        *crowds.entry(text(pod, "/spec/nodeName")).or_default() += 1;
    }
    let mut ranked = pods.to_vec();
    let crowd = |pod: &Value| crowds.get(text(pod, "/spec/nodeName")).copied().unwrap_or_default();
    ranked.sort_by(|one, other| rank(one, crowd(one), now).cmp(&rank(other, crowd(other), now)));
    ranked
}

fn rank(pod: &Value, crowd: usize, now: Timestamp) -> Rank<'_> {
    let phase = match text(pod, "/status/phase") {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let ready = ready_since(pod);
    Rank {
        bound: is_bound(pod),
        phase,
        ready: ready.is_some(),
        cost: meta::annotation(pod, COST).and_then(|cost| cost.parse().ok()).unwrap_or_default(),
        crowd: Reverse(crowd),
        ready_for: ready.map(|since| magnitude(since, now)),
        restarts: Reverse(restarts(pod)),
        age: meta::parse_time(meta::creation_timestamp(pod)).map(|since| magnitude(since, now)),
        uid: meta::uid(pod),
    }
}

fn magnitude(since: Timestamp, now: Timestamp) -> u32 {
    let seconds = now.duration_since(since).as_secs().max(0);
    seconds.checked_ilog2().map_or(0, |log| log + 1)
}

fn restarts(pod: &Value) -> i64 {
    let of = |status: &Value| status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
    items(pod, "/status/containerStatuses").iter().map(of).max().unwrap_or_default()
}
