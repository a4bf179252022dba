//! Whether a Job ends, and how. Main function: [`of`]. Spec:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup>.

use api::{
    kinds::{
        job::is,
        read::{is_true, items, text},
        workload::count,
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{policy, seen::Seen};

/// That a Job is about to end.
pub(super) struct Verdict {
    /// Whether it has failed.
    pub(super) failed: bool,
    pub(super) reason: String,
    pub(super) message: String,
    /// Whether the stored status says so. What cannot be taken back is done only then.
    pub(super) stored: bool,
}

impl Verdict {
    fn new(failed: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { failed, reason: reason.to_owned(), message: message.into(), stored: false }
    }

    /// The condition that says that the Job is about to end so.
    pub(super) fn interim(&self) -> &'static str {
        if self.failed { "FailureTarget" } else { "SuccessCriteriaMet" }
    }
}

/// Once it was said that a Job ends, it does.
pub(super) fn of(seen: &Seen<'_>) -> Option<Verdict> {
    let said = [("SuccessCriteriaMet", false), ("FailureTarget", true)];
    let said = said.into_iter().find(|(condition, _)| is(seen.job, condition));
    if let Some((condition, failed)) = said {
        let one = items(seen.job, "/status/conditions").iter().find(|one| text(one, "/type") == condition)?;
        let verdict = Verdict::new(failed, text(one, "/reason"), text(one, "/message"));
        return Some(Verdict { stored: true, ..verdict });
    }
    by_failures(seen).or_else(|| by_indexes(seen)).or_else(|| complete(seen))
}

fn by_failures(seen: &Seen<'_>) -> Option<Verdict> {
    let failed = seen.pods.iter().filter(|pod| seen.is_failed(pod));
    let rule = failed.filter_map(|pod| policy::matched(seen.job, pod)).find(|rule| rule.action == "FailJob");
    if let Some(rule) = rule {
        return Some(Verdict::new(true, "PodFailurePolicy", rule.message));
    }
    if seen.failed > count(seen.job, "/spec/backoffLimit") || restarts_too_often(seen) {
        return Some(Verdict::new(true, "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let late = deadline(seen.job).is_some_and(|deadline| deadline <= seen.now);
    late.then(|| Verdict::new(true, "DeadlineExceeded", "Job was active longer than specified deadline"))
}

/// Whether containers that start again in their pods have done so up to the limit.
fn restarts_too_often(seen: &Seen<'_>) -> bool {
    if text(seen.job, "/spec/template/spec/restartPolicy") != "OnFailure" {
        return false;
    }
    let running = seen.pods.iter().filter(|pod| matches!(text(pod, "/status/phase"), "Running" | "Pending"));
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let statuses = running.flat_map(|pod| lists.iter().flat_map(|list| items(pod, list)));
    let restarts: i64 = statuses.map(|status| count(status, "/restartCount")).sum();
    restarts >= count(seen.job, "/spec/backoffLimit").max(1)
}

/// When a Job that runs has run for too long.
pub(super) fn deadline(job: &Value) -> Option<Timestamp> {
    let seconds = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64)?;
    let start = meta::parse_time(text(job, "/status/startTime")).filter(|_| !is_true(job, "/spec/suspend"))?;
    Some(start.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
}

fn by_indexes(seen: &Seen<'_>) -> Option<Verdict> {
    let completions = seen.completions.filter(|_| seen.indexed)?;
    let lost = seen.lost.as_ref().map_or(0, api::kinds::job::indexes::Indexes::total);
    let most = seen.job.pointer("/spec/maxFailedIndexes").and_then(Value::as_i64);
    if most.is_some_and(|most| lost > most) {
        let why = "Job has exceeded the specified maximal number of failed indexes";
        return Some(Verdict::new(true, "MaxFailedIndexesExceeded", why));
    }
    if lost > 0 && lost + seen.done.total() >= completions {
        return Some(Verdict::new(true, "FailedIndexes", "Job has failed indexes"));
    }
    policy::met(seen.job, &seen.done, completions).map(|why| Verdict::new(false, "SuccessPolicy", why))
}

fn complete(seen: &Seen<'_>) -> Option<Verdict> {
    let enough = match seen.completions {
        Some(completions) => seen.succeeded >= completions,
        None => seen.succeeded > 0,
    };
    let done = enough && seen.active.is_empty();
    done.then(|| Verdict::new(false, "CompletionsReached", "Reached expected number of succeeded pods"))
}
