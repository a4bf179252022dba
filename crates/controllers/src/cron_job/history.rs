//! Which of the Jobs that have ended are kept to look at. Main function: [`surplus`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#jobs-history-limits>.

use api::{
    kinds::{job::is, read::text},
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{Action, view::Object};

/// Limits, and the condition of the Jobs that each is for.
const LIMITS: [(&str, &str); 2] =
    [("/spec/successfulJobsHistoryLimit", "Complete"), ("/spec/failedJobsHistoryLimit", "Failed")];

/// Deletes the oldest of those beyond the limits.
pub(super) fn surplus(cron_job: &Value, jobs: &[Object], now: Timestamp) -> Vec<Action> {
    let of = |(limit, condition): (&str, &str)| {
        let limit = cron_job.pointer(limit).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let mut ended: Vec<&Object> =
            jobs.iter().filter(|job| is(job, condition) && !meta::is_being_deleted(job)).collect();
        // Without a start one counts as the newest.
        ended.sort_by_key(|job| {
            let start = text(job, "/status/startTime");
            (start.is_empty(), start.to_owned(), meta::name(job).to_owned())
        });
        let more = limit.map_or(0, |limit| ended.len().saturating_sub(limit));
        ended.into_iter().take(more)
    };
    LIMITS.into_iter().flat_map(of).map(|job| super::delete(cron_job, job, now)).collect()
}
