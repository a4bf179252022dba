//! How long a pod bears a node's taints. Main type: [`Tolerance`].

use api::{
    kinds::read::{items, text},
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How long a pod bears all of some NoExecute taints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// It stays.
    Forever,
    /// It goes at this time, which may be past.
    Until(Timestamp),
}

impl Tolerance {
    /// Of a pod, for all these taints together.
    pub(super) fn of(pod: &Value, taints: &[&Value]) -> Self {
        let ends = taints.iter().filter_map(|taint| match wait(pod, taint) {
            None => Some(Timestamp::MIN),
            Some(None) => None,
            Some(Some(wait)) => Some(added(taint).checked_add(wait).unwrap_or(Timestamp::MAX)),
        });
        ends.min().map_or(Self::Forever, Self::Until)
    }

    /// The shortest time that it bears one of them; `None` where none has a limit, or one is not borne at all.
    pub(super) fn wait(pod: &Value, taints: &[&Value]) -> Option<SignedDuration> {
        let waits: Option<Vec<_>> = taints.iter().map(|taint| wait(pod, taint)).collect();
        waits?.into_iter().flatten().min()
    }
}

/// How long one taint is borne: not at all, for a time, or (`Some(None)`) without limit.
fn wait(pod: &Value, taint: &Value) -> Option<Option<SignedDuration>> {
    let covering = items(pod, "/spec/tolerations").iter().filter(|toleration| covers(toleration, taint));
    let seconds: Vec<Option<i64>> = covering.map(|toleration| toleration["tolerationSeconds"].as_i64()).collect();
    if seconds.is_empty() {
        return None;
    }
    Some(seconds.into_iter().flatten().min().map(|seconds| SignedDuration::from_secs(seconds.max(0))))
}

fn added(taint: &Value) -> Timestamp {
    meta::parse_time(text(taint, "/timeAdded")).unwrap_or(Timestamp::MIN)
}

/// Whether a toleration matches a taint; an empty key or effect matches all.
fn covers(toleration: &Value, taint: &Value) -> bool {
    let empty_or_same = |field: &str| ["", text(taint, field)].contains(&text(toleration, field));
    let value = match text(toleration, "/operator") {
        "Exists" => true,
        "" | "Equal" => text(toleration, "/value") == text(taint, "/value"),
        _ => false,
    };
    empty_or_same("/effect") && empty_or_same("/key") && value
}
