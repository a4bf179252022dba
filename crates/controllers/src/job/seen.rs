//! A Job and its pods, as one run sees them. Main type: [`Seen`].

use std::collections::BTreeSet;

use api::{
    kinds::{
        job::{INDEX, indexes::Indexes, is_indexed},
        pod::is_terminal,
        read::{items, text},
        workload::count,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{is_tracked, policy};
use crate::{
    view::Object,
    workload::{is_active, is_bound, is_terminating},
};

/// See the file's head.
pub(super) struct Seen<'a> {
    pub(super) job: &'a Value,
    /// Its pods; those of an Indexed Job by their indexes.
    pub(super) pods: Vec<&'a Object>,
    pub(super) active: Vec<&'a Object>,
    pub(super) now: Timestamp,
    /// Completions wanted; `None` where one success of a queue of work is enough.
    pub(super) completions: Option<i64>,
    pub(super) indexed: bool,
    /// A pod is replaced once it has failed, and not already when it goes.
    pub(super) only_failed: bool,
    /// UIDs that the status holds and has not counted.
    pub(super) noted: Noted<'a>,
    /// Indexes that the stored status holds.
    pub(super) stored: Indexes,
    /// These and those of pods that succeeded since.
    pub(super) done: Indexes,
    /// Indexes that failed for good, where each fails by itself.
    pub(super) lost: Option<Indexes>,
    /// Pods that succeeded, counted or not yet.
    pub(super) succeeded: i64,
    /// Pods that failed, counted or not yet.
    pub(super) failed: i64,
}

/// The status's `uncountedTerminatedPods`.
pub(super) struct Noted<'a> {
    pub(super) succeeded: BTreeSet<&'a str>,
    pub(super) failed: BTreeSet<&'a str>,
}

/// The index of a pod.
pub(super) fn index_of(pod: &Value) -> Option<i64> {
    meta::annotation(pod, INDEX)?.parse().ok().filter(|index| *index >= 0)
}

impl<'a> Seen<'a> {
    pub(super) fn of(job: &'a Value, all: &'a [Object], now: Timestamp) -> Self {
        let list = |name: &str| -> BTreeSet<&'a str> {
            let uids = items(job, &format!("/status/uncountedTerminatedPods/{name}"));
            uids.iter().filter_map(Value::as_str).collect()
        };
        let indexed = is_indexed(job);
        let completions = job.pointer("/spec/completions").and_then(Value::as_i64);
        let read = |field: &str| Indexes::read(text(job, &format!("/status/{field}")), completions.unwrap_or_default());
        let has_policy = job.pointer("/spec/podFailurePolicy").is_some_and(Value::is_object);
        let mut pods: Vec<&Object> = all.iter().collect();
        pods.sort_by_key(|pod| (index_of(pod).filter(|_| indexed), meta::name(pod).to_owned()));
        let mut seen = Self {
            job,
            active: pods.iter().copied().filter(|pod| is_active(pod)).collect(),
            pods,
            now,
            completions,
            indexed,
            only_failed: has_policy || text(job, "/spec/podReplacementPolicy") == "Failed",
            noted: Noted { succeeded: list("succeeded"), failed: list("failed") },
            stored: read("completedIndexes"),
            done: Indexes::default(),
            lost: None,
            succeeded: 0,
            failed: 0,
        };
        seen.count();
        if job.pointer("/spec/backoffLimitPerIndex").is_some_and(Value::is_number) && indexed {
            let new = seen.pods.iter().filter(|pod| is_tracked(pod) && seen.has_place(pod) && seen.loses(pod));
            seen.lost = Some(read("failedIndexes").with(new.filter_map(|pod| index_of(pod))));
        }
        seen
    }

    fn count(&mut self) {
        let stored = |field: &str| count(self.job, &format!("/status/{field}"));
        let open = |pod: &&&Object| is_tracked(pod) && self.has_place(pod) && !self.noted.has(meta::uid(pod));
        let length = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let fresh: Vec<&&Object> = self.pods.iter().filter(open).collect();
        let succeeded = fresh.iter().filter(|pod| is_succeeded(pod)).count();
        let failed = fresh.iter().filter(|pod| self.is_failed(pod) && self.counts(pod)).count();
        self.failed = stored("failed") + length(failed + self.noted.failed.len());
        self.succeeded = stored("succeeded") + length(succeeded + self.noted.succeeded.len());
        if self.indexed {
            let ended = self.pods.iter().filter(|pod| is_tracked(pod) && is_succeeded(pod) && self.has_place(pod));
            self.done = self.stored.with(ended.filter_map(|pod| index_of(pod)));
            self.succeeded = self.done.total();
        }
    }

    /// Whether a pod is one of those wanted: of an Indexed Job, by its index.
    pub(super) fn has_place(&self, pod: &Value) -> bool {
        let below = |index| self.completions.is_none_or(|completions| index < completions);
        !self.indexed || index_of(pod).is_some_and(below)
    }

    /// Whether a pod has failed, or counts so because it goes before it could succeed.
    pub(super) fn is_failed(&self, pod: &Value) -> bool {
        let phase = text(pod, "/status/phase");
        // Without a node it will never fail by itself.
        let lost = !self.only_failed || !is_bound(pod);
        phase == "Failed" || (lost && meta::is_being_deleted(pod) && phase != "Succeeded")
    }

    /// Whether its failure is one that the policy counts.
    pub(super) fn counts(&self, pod: &Value) -> bool {
        policy::matched(self.job, pod).is_none_or(|rule| rule.action != "Ignore")
    }

    /// Whether its index has failed for good with it.
    fn loses(&self, pod: &Value) -> bool {
        let rule = policy::matched(self.job, pod);
        let at_once = rule.as_ref().is_some_and(|rule| rule.action == "FailIndex");
        let counts = rule.is_none_or(|rule| rule.action != "Ignore");
        let limit = count(self.job, "/spec/backoffLimitPerIndex");
        self.is_failed(pod) && (at_once || (counts && super::backoff::failures(pod).0 >= limit))
    }

    /// Pods on their way out.
    pub(super) fn terminating(&self) -> impl Iterator<Item = &'a Object> {
        self.pods.iter().copied().filter(|pod| is_terminating(pod))
    }
}

impl Noted<'_> {
    pub(super) fn has(&self, uid: &str) -> bool {
        self.succeeded.contains(uid) || self.failed.contains(uid)
    }
}

pub(super) fn is_succeeded(pod: &Value) -> bool {
    is_terminal(pod) && text(pod, "/status/phase") == "Succeeded"
}
