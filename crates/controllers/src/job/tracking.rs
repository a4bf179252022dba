//! Pods that have ended: noted in the status, let go, counted, in this order. Main functions: [`written`], [`released`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers>.

use api::{
    kinds::{
        job::JOB,
        read::{items, text},
        workload::count,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    BURST, NAME, is_tracked, let_go, pods,
    seen::{Seen, index_of, is_succeeded},
    verdict::Verdict,
};
use crate::{
    Action,
    view::Object,
    workload::{News, is_active, ready_since, set_count, write_status},
};

/// UIDs that a status holds at most: they are some 20 KiB.
const NOTED_MAX: usize = 500;

/// What is to become of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing, now.
    Stays,
    /// Its success is to be noted.
    Succeeded,
    /// Its failure is.
    Failed,
    /// It may go: what it brought is in the stored status.
    Goes,
}

/// What becomes of a pod whose end waits to be counted. While a Job is only about to be told to end, what is not yet over
/// stays.
fn fate(seen: &Seen<'_>, pod: &Object, ends: Option<&Verdict>, kept: bool) -> Fate {
    let ends = ends.filter(|verdict| verdict.stored);
    // What is stopped since enough have succeeded is no failure.
    let stopped = ends.is_some_and(|verdict| !verdict.failed) && text(pod, "/status/phase") != "Failed";
    let (uid, succeeded, failed) = (meta::uid(pod), is_succeeded(pod), seen.is_failed(pod) && !stopped);
    let over = meta::is_being_deleted(seen.job) || ends.is_some() || succeeded || (failed && !kept);
    if !is_tracked(pod) || !over {
        return Fate::Stays;
    }
    if succeeded && !seen.noted.failed.contains(uid) {
        let known = match index_of(pod).filter(|_| seen.indexed) {
            Some(index) => !seen.has_place(pod) || seen.stored.has(index),
            None => seen.indexed || seen.noted.succeeded.contains(uid),
        };
        return if known { Fate::Goes } else { Fate::Succeeded };
    }
    let counts = failed || ends.is_some_and(|verdict| verdict.failed);
    let open = counts && seen.has_place(pod) && !seen.noted.failed.contains(uid);
    if open && seen.counts(pod) { Fate::Failed } else { Fate::Goes }
}

/// The pods and their fates.
fn fates<'a>(seen: &Seen<'a>, ends: Option<&Verdict>) -> Vec<(&'a Object, Fate)> {
    let replaced = pods::replaced(seen);
    let kept = |pod: &Object| {
        let before = index_of(pod).and_then(|index| replaced.get(&index));
        before.is_some_and(|before| meta::uid(before) == meta::uid(pod))
    };
    seen.pods.iter().map(|pod| (*pod, fate(seen, pod, ends, kept(pod)))).collect()
}

/// Lets go of pods whose end the stored status knows, with all that follows from it.
pub(super) fn released(seen: &Seen<'_>, ends: Option<&Verdict>) -> Vec<Action> {
    let stored = text(seen.job, "/status/failedIndexes");
    let settled = ends.is_none_or(|verdict| verdict.stored)
        && seen.lost.as_ref().map(ToString::to_string).unwrap_or_default() == stored;
    if !settled {
        return Vec::new();
    }
    // What still runs is deleted first: both at once would be in each other's way.
    let at_rest = |pod: &Value| meta::is_being_deleted(seen.job) || !is_active(pod);
    let go = fates(seen, ends).into_iter().filter(|(pod, fate)| *fate == Fate::Goes && at_rest(pod));
    go.take(BURST).map(|(pod, _)| let_go(pod)).collect()
}

/// The status that follows, and news of what has changed in it.
pub(super) fn written(seen: &Seen<'_>, ends: Option<&Verdict>, suspended: bool) -> Vec<Action> {
    let mut status = seen.job.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut news = Vec::new();
    start(seen, &mut status, suspended);
    count_gone(seen, &mut status);
    note(seen, &mut status, ends);
    set_count(&mut status, "active", length(seen.active.len()));
    status["ready"] = length(seen.active.iter().filter(|pod| ready_since(pod).is_some()).count()).into();
    status["terminating"] = length(seen.terminating().count()).into();
    match ends {
        Some(verdict) if !verdict.stored => {
            set_condition(&mut status, (verdict.interim(), "True"), &verdict.reason, &verdict.message, seen.now);
        }
        Some(verdict) if is_over(seen, &status) => finish(seen, &mut status, verdict, &mut news),
        Some(_) => {}
        None if meta::is_being_deleted(seen.job) => {}
        None => suspend(seen, &mut status, suspended, &mut news),
    }
    let Some(write) = write_status(&JOB, seen.job, status) else { return Vec::new() };
    let mut news = news.into_iter().map(|news: News| news.tell(seen.job, NAME, seen.now));
    let first = match news.next() {
        Some(first) => write.then(first),
        None => write,
    };
    std::iter::once(first).chain(news).collect()
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn start(seen: &Seen<'_>, status: &mut Value, suspended: bool) {
    if !suspended && text(status, "/startTime").is_empty() {
        status["startTime"] = meta::time(seen.now).into();
    }
}

/// UIDs of pods that were let go, or are gone, become numbers.
fn count_gone(seen: &Seen<'_>, status: &mut Value) {
    let waits = |uid: &Value| seen.pods.iter().any(|pod| is_tracked(pod) && uid == meta::uid(pod));
    let mut lists = json!({});
    for list in ["succeeded", "failed"] {
        let all = items(status, &format!("/uncountedTerminatedPods/{list}"));
        let (kept, gone): (Vec<Value>, Vec<Value>) = all.iter().cloned().partition(waits);
        let total = count(status, &format!("/{list}")) + length(gone.len());
        set_count(status, list, total);
        if !kept.is_empty() {
            lists[list] = kept.into();
        }
    }
    status["uncountedTerminatedPods"] = lists;
}

/// Notes pods that have ended: by index where they succeeded and have one, else by UID.
fn note(seen: &Seen<'_>, status: &mut Value, ends: Option<&Verdict>) {
    let held = |status: &Value, list: &str| items(status, &format!("/uncountedTerminatedPods/{list}")).len();
    let room = NOTED_MAX.saturating_sub(held(status, "succeeded") + held(status, "failed"));
    let ended = fates(seen, ends).into_iter().filter(|(_, fate)| matches!(fate, Fate::Succeeded | Fate::Failed));
    let mut indexes = Vec::new();
    for (pod, fate) in ended.take(room) {
        match (fate, index_of(pod).filter(|_| seen.indexed)) {
            (Fate::Succeeded, Some(index)) => indexes.push(index),
            (Fate::Succeeded, None) => push(status, "succeeded", pod),
            _ => push(status, "failed", pod),
        }
    }
    if !seen.indexed {
        return;
    }
    let done = seen.stored.with(indexes);
    set_count(status, "succeeded", done.total());
    let Some(status) = status.as_object_mut() else { return };
    match done.is_empty() {
        true => _ = status.remove("completedIndexes"),
        false => _ = status.insert("completedIndexes".to_owned(), done.to_string().into()),
    }
    match seen.lost.as_ref().filter(|lost| !lost.is_empty()) {
        Some(lost) => _ = status.insert("failedIndexes".to_owned(), lost.to_string().into()),
        None => _ = status.remove("failedIndexes"),
    }
}

fn push(status: &mut Value, list: &str, pod: &Value) {
    let lists = &mut status["uncountedTerminatedPods"];
    let Some(lists) = lists.as_object_mut() else { return };
    if let Some(list) = lists.entry(list).or_insert_with(|| json!([])).as_array_mut() {
        list.push(meta::uid(pod).into());
    }
}

/// Nothing runs, nothing is on its way out, nothing waits to be counted.
fn is_over(seen: &Seen<'_>, status: &Value) -> bool {
    let held = ["succeeded", "failed"]
        .iter()
        .any(|list| !items(status, &format!("/uncountedTerminatedPods/{list}")).is_empty());
    let quiet = seen.active.is_empty() && seen.terminating().next().is_none();
    quiet && !held && !seen.pods.iter().any(|pod| is_tracked(pod))
}

fn finish(seen: &Seen<'_>, status: &mut Value, verdict: &Verdict, news: &mut Vec<News>) {
    let condition = if verdict.failed { "Failed" } else { "Complete" };
    set_condition(status, (condition, "True"), &verdict.reason, &verdict.message, seen.now);
    start(seen, status, false);
    if verdict.failed {
        // Reasons are words of a few; events want them for as long as the program runs.
        const REASONS: &[&str] = &[
            "PodFailurePolicy",
            "BackoffLimitExceeded",
            "DeadlineExceeded",
            "MaxFailedIndexesExceeded",
            "FailedIndexes",
        ];
        let reason: &'static str = REASONS.iter().find(|reason| **reason == verdict.reason).unwrap_or(&"Failed");
        news.push(News::warning(reason, verdict.message.clone()));
        return;
    }
    status["completionTime"] = meta::time(seen.now).into();
    if seen.completions.is_some_and(|completions| count(status, "/succeeded") > completions) {
        let why = "Too many succeeded pods running after completion count reached";
        news.push(News::warning("TooManySucceededPods", why.to_owned()));
    }
    news.push(News::normal("Completed", "Job completed".to_owned()));
}

/// A Job that rests has no start; its time begins anew when it goes on.
fn suspend(seen: &Seen<'_>, status: &mut Value, suspended: bool, news: &mut Vec<News>) {
    if suspended {
        if set_condition(status, ("Suspended", "True"), "JobSuspended", "Job suspended", seen.now) {
            news.push(News::normal("Suspended", "Job suspended".to_owned()));
        }
        status.as_object_mut().map(|status| status.remove("startTime"));
    } else if set_condition(status, ("Suspended", "False"), "JobResumed", "Job resumed", seen.now) {
        news.push(News::normal("Resumed", "Job resumed".to_owned()));
        status["startTime"] = meta::time(seen.now).into();
    }
}

/// Whether that is new. What was never so is not said to be so no longer.
fn set_condition(status: &mut Value, is: (&str, &str), reason: &str, message: &str, now: Timestamp) -> bool {
    let (kind, holds) = is;
    let mut all = items(status, "/conditions").to_vec();
    let mut new = json!({ "type": kind, "status": holds, "lastProbeTime": meta::time(now), "lastTransitionTime": meta::time(now) });
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            new[field] = text.into();
        }
    }
    match all.iter_mut().find(|one| text(one, "/type") == kind) {
        Some(one) => {
            let same = |field: &str| text(one, &format!("/{field}")) == text(&new, &format!("/{field}"));
            if ["status", "reason", "message"].iter().all(|field| same(field)) {
                return false;
            }
            *one = new;
        }
        None if holds == "False" => return false,
        None => all.push(new),
    }
    status["conditions"] = all.into();
    true
}
