//! Which times of a schedule count: those since the last Job, or since the CronJob was made. Main functions: [`last`],
//! [`next`]. Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#starting-deadline>.

use api::{cron::Schedule, meta};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::time;

/// Times missed above which people are told.
const MANY: i64 = 100;

/// Times looked at one by one at most; as many as a day has minutes, several times over.
const STEPS: usize = 10_000;

/// Two times of a schedule are the same.
const NO_DISTANCE: &str = "time difference between two schedules is less than 1 second";

/// What lies between a time and now.
struct Missed {
    /// The newest time that has come.
    last: Option<Timestamp>,
    /// How many came, roughly.
    count: i64,
}

/// The newest time that has come since the last Job, and whether many have; none before the deadline counts.
///
/// # Errors
/// The schedule makes no sense.
pub(super) fn last(
    cron_job: &Value,
    scheduled: Option<Timestamp>,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<Option<(Timestamp, bool)>, &'static str> {
    let earliest = since(cron_job, scheduled);
    let earliest = deadline(cron_job).map_or(earliest, |deadline| earliest.max(back(now, deadline)));
    let missed = missed(earliest, schedule, now)?;
    Ok(missed.last.map(|last| (last, missed.count > MANY)))
}

/// When to look again.
pub(super) fn next(cron_job: &Value, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    let scheduled = cron_job.get("status").and_then(|status| time(status, "lastScheduleTime"));
    let earliest = since(cron_job, scheduled);
    let from = match missed(earliest, schedule, now) {
        Ok(Missed { last: Some(last), .. }) => last,
        Ok(Missed { count: 0, .. }) => earliest,
        _ => now,
    };
    schedule.next(from)
}

/// Whether a time lies too far back to be made up for.
pub(super) fn is_too_late(cron_job: &Value, at: Timestamp, now: Timestamp) -> bool {
    deadline(cron_job).is_some_and(|deadline| at < back(now, deadline))
}

fn since(cron_job: &Value, scheduled: Option<Timestamp>) -> Timestamp {
    let created = || meta::parse_time(meta::creation_timestamp(cron_job));
    scheduled.or_else(created).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn deadline(cron_job: &Value) -> Option<SignedDuration> {
    let seconds = cron_job.pointer("/spec/startingDeadlineSeconds").and_then(Value::as_i64)?;
    Some(SignedDuration::from_secs(seconds))
}

fn back(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

fn missed(earliest: Timestamp, schedule: &Schedule, now: Timestamp) -> Result<Missed, &'static str> {
    let first = schedule.next(earliest).ok_or(NO_DISTANCE)?;
    if now < first {
        return Ok(Missed { last: None, count: 0 });
    }
    let second = schedule.next(first).ok_or(NO_DISTANCE)?;
    if now < second {
        return Ok(Missed { last: Some(first), count: 0 });
    }
    let distance = second.duration_since(first).as_secs();
    if distance < 1 {
        return Err(NO_DISTANCE);
    }
    // As if all were as far apart as the first two, and one less, so that the rest are few, however long it was.
    let count = now.duration_since(first).as_secs() / distance + 1;
    let from = first.saturating_add(SignedDuration::from_secs((count - 2) * distance)).unwrap_or(now);
    let times = std::iter::successors(schedule.next(from), |time| schedule.next(*time));
    let last = times.take(STEPS).take_while(|time| *time <= now).last();
    Ok(Missed { last, count })
}
