//! CronJob: a Job each time its schedule says.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>.
//!
//! A Job's name tells its minute, so that it is made once, whoever makes it. That it was due is written after it is there;
//! that it runs, once it is seen. Its parts: `due` (which time counts), `history` (which Jobs are kept).

use api::{
    cron::{self, Schedule},
    gotext::quote,
    kinds::{
        cron_job::CRON_JOB,
        job::{JOB, is, is_finished},
        read::{child, is_true, items, text},
    },
    meta,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Plan, Propagation, Target, View, Watch, change,
    view::Object,
    workload::{News, controlled, owner_reference, write_status},
};

mod due;
mod history;
#[cfg(test)]
mod tests;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: NAME,
    account: NAME,
    watches: &[
        Watch { kinds: Kinds::One(&CRON_JOB), keys: change::itself },
        Watch { kinds: Kinds::One(&JOB), keys: of_jobs },
    ],
    facts: change::no_facts,
    reconcile,
};

const NAME: &str = "cronjob-controller";

/// Annotation of a Job that tells when it was due, by the clocks of its CronJob.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// How late one is woken for a time on purpose: clocks are not that exact.
const LATE: jiff::SignedDuration = jiff::SignedDuration::from_millis(100);

fn of_jobs(change: &dyn Change, keys: &mut Vec<Key>) {
    for job in [change.before(), change.after()].into_iter().flatten() {
        let owner = meta::controller_of(&job).filter(|owner| text(owner, "/kind") == CRON_JOB.kind);
        keys.extend(owner.map(|owner| Key::new(change.namespace(), text(owner, "/name"))));
    }
}

/// One run over a CronJob: what it found out so far.
struct Run<'a> {
    cron_job: &'a Value,
    jobs: &'a [Object],
    now: Timestamp,
    status: Value,
    news: Vec<News>,
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let Some(cron_job) = view.get(&CRON_JOB, &key.namespace, &key.name) else { return Plan::default() };
    let jobs = controlled(view, &JOB, &cron_job);
    let status = cron_job.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let mut run = Run { cron_job: &cron_job, jobs: &jobs, now, status, news: Vec::new() };
    run.follow();
    let mut plan = Plan { actions: history::surplus(&cron_job, &jobs, now), wake_at: None };
    if !meta::is_being_deleted(&cron_job)
        && let Some(schedule) = run.schedule()
    {
        plan.wake_at = due::next(&cron_job, &schedule, now).and_then(|at| at.checked_add(LATE).ok());
        if let Some(at) = run.due(&schedule) {
            plan.actions.extend(run.start(view, at));
            return plan;
        }
    }
    plan.actions.extend(run.written());
    plan
}

/// The name of the Job of a time.
fn name_at(cron_job: &Value, at: Timestamp) -> String {
    format!("{}-{}", meta::name(cron_job), at.as_second().div_euclid(60))
}

/// When a Job that its CronJob made was due.
fn scheduled(cron_job: &Value, job: &Value) -> Option<Timestamp> {
    let at = meta::parse_time(meta::annotation(job, SCHEDULED)?)?;
    (name_at(cron_job, at) == meta::name(job)).then_some(at)
}

fn time(status: &Value, field: &str) -> Option<Timestamp> {
    status.get(field).and_then(Value::as_str).and_then(meta::parse_time)
}

impl Run<'_> {
    /// Brings the status up to date with the Jobs there are.
    fn follow(&mut self) {
        let mut active = items(&self.status, "/active").to_vec();
        for job in self.jobs {
            let listed = active.iter().position(|one| text(one, "/uid") == meta::uid(job));
            match (listed, is_finished(job)) {
                (None, false) => active.extend(self.seen_first(job)),
                (Some(at), true) => {
                    active.remove(at);
                    let how = if is(job, "Complete") { "Complete" } else { "Failed" };
                    let message = format!("Saw completed job: {}, status: {how}", meta::name(job));
                    self.news.push(News::normal("SawCompletedJob", message));
                }
                _ => {}
            }
            self.later("lastScheduleTime", scheduled(self.cron_job, job));
            let ended = meta::parse_time(text(job, "/status/completionTime"));
            self.later("lastSuccessfulTime", ended.filter(|_| is_finished(job)));
        }
        let known = |one: &Value| self.jobs.iter().any(|job| meta::uid(job) == text(one, "/uid"));
        let (there, gone): (Vec<Value>, Vec<Value>) = active.into_iter().partition(known);
        let missing =
            |one: &Value| News::normal("MissingJob", format!("Active job went missing: {}", text(one, "/name")));
        self.news.extend(gone.iter().map(missing));
        let Some(status) = self.status.as_object_mut() else { return };
        match there.is_empty() {
            true => _ = status.remove("active"),
            false => _ = status.insert("active".to_owned(), there.into()),
        }
    }

    /// A Job that is not listed: just made, or somebody else's doing.
    fn seen_first(&mut self, job: &Value) -> Option<Value> {
        let name = meta::name(job);
        if scheduled(self.cron_job, job).is_none() {
            let message = format!("Saw a job that the controller did not create or forgot: {name}");
            self.news.push(News::warning("UnexpectedJob", message));
            return None;
        }
        self.news.push(News::normal("SuccessfulCreate", format!("Created job {name}")));
        Some(json!({
            "apiVersion": JOB.api_version(), "kind": JOB.kind, "name": name, "namespace": meta::namespace(job),
            "resourceVersion": meta::resource_version(job), "uid": meta::uid(job),
        }))
    }

    /// Times only go forward.
    fn later(&mut self, field: &str, at: Option<Timestamp>) {
        if let Some(at) = at.filter(|at| time(&self.status, field).is_none_or(|known| known < *at)) {
            self.status[field] = meta::time(at).into();
        }
    }

    /// How it goes on; nothing while it rests, or where it makes no sense.
    fn schedule(&mut self) -> Option<Schedule> {
        let (name, text) = (text(self.cron_job, "/spec/timeZone"), text(self.cron_job, "/spec/schedule"));
        let Some(zone) = cron::zone(name) else {
            let message = format!("invalid timeZone: {}: unknown time zone {name}", quote(name));
            self.news.push(News::warning("UnknownTimeZone", message));
            return None;
        };
        if is_true(self.cron_job, "/spec/suspend") {
            return None;
        }
        let read = Schedule::parse(text, &zone);
        if let Err(error) = &read {
            let message = format!("unparseable schedule: {} : {error}", quote(text));
            self.news.push(News::warning("UnparseableSchedule", message));
        }
        read.ok()
    }

    /// The time for which a Job is to be made now.
    fn due(&mut self, schedule: &Schedule) -> Option<Timestamp> {
        let found = due::last(self.cron_job, time(&self.status, "lastScheduleTime"), schedule, self.now);
        let (at, many) = match found {
            Ok(found) => found?,
            Err(why) => {
                let message = format!("invalid schedule: {} : {why}", text(self.cron_job, "/spec/schedule"));
                self.news.push(News::warning("InvalidSchedule", message));
                return None;
            }
        };
        if many {
            let why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.news.push(News::warning("TooManyMissedTimes", why.to_owned()));
        }
        if due::is_too_late(self.cron_job, at, self.now) {
            let at = at.strftime("%a, %d %b %Y %H:%M:%S +0000");
            self.news.push(News::warning("MissSchedule", format!("Missed scheduled time to start a job: {at}")));
            return None;
        }
        let name = name_at(self.cron_job, at);
        let made =
            self.jobs.iter().any(|job| meta::name(job) == name) || time(&self.status, "lastScheduleTime") == Some(at);
        if made {
            return None;
        }
        let runs = !items(&self.status, "/active").is_empty();
        if runs && text(self.cron_job, "/spec/concurrencyPolicy") == "Forbid" {
            let why = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.news.push(News::normal("JobAlreadyActive", why.to_owned()));
            return None;
        }
        Some(at)
    }

    /// Makes the Job of a time, and then writes that it was due. Jobs that it replaces go.
    fn start(mut self, view: &dyn View, at: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        if text(self.cron_job, "/spec/concurrencyPolicy") == "Replace" {
            let listed =
                |job: &&Object| items(&self.status, "/active").iter().any(|one| text(one, "/uid") == meta::uid(job));
            let old = self.jobs.iter().filter(|job| listed(job) && !meta::is_being_deleted(job));
            actions.extend(old.map(|job| delete(self.cron_job, job, self.now)));
        }
        if let Some(why) = view.failure() {
            self.news.push(News::warning("FailedCreate", format!("Error creating job: {why}")));
        }
        let create = Action::Create {
            kind: &JOB,
            namespace: meta::namespace(self.cron_job).to_owned(),
            object: job_at(self.cron_job, at),
        };
        self.later("lastScheduleTime", Some(at));
        // The time is later than the one before, so that the status comes first of what is written.
        let mut rest = self.written().into_iter();
        actions.push(match rest.next() {
            Some(write) => create.then(write),
            None => create,
        });
        actions.extend(rest);
        actions
    }

    /// The status, where it changed, and the news.
    fn written(self) -> Vec<Action> {
        let news = self.news.into_iter().map(|news| news.tell(self.cron_job, NAME, self.now));
        write_status(&CRON_JOB, self.cron_job, self.status).into_iter().chain(news).collect()
    }
}

fn delete(cron_job: &Value, job: &Value, now: Timestamp) -> Action {
    let (target, only) = (Target::of(&JOB, job), Only::uid(job));
    let news = News::normal("SuccessfulDelete", format!("Deleted job {}", meta::name(job)));
    Action::Delete { target, only, propagation: Some(Propagation::Background) }.then(news.tell(cron_job, NAME, now))
}

/// The Job of a time, from the template.
fn job_at(cron_job: &Value, at: Timestamp) -> Value {
    let part = |pointer: &str| cron_job.pointer(&format!("/spec/jobTemplate{pointer}")).cloned().unwrap_or_default();
    let mut metadata = json!({ "name": name_at(cron_job, at), "ownerReferences": [owner_reference(cron_job)] });
    let labels = part("/metadata/labels");
    if labels.is_object() {
        metadata["labels"] = labels;
    }
    metadata["annotations"] = part("/metadata/annotations");
    if let Some(annotations) = child(&mut metadata, "annotations") {
        annotations.insert(SCHEDULED.to_owned(), local(cron_job, at).into());
    }
    json!({ "metadata": metadata, "spec": part("/spec") })
}

/// A time by the clocks of a CronJob.
fn local(cron_job: &Value, at: Timestamp) -> String {
    let zone = cron::zone(text(cron_job, "/spec/timeZone")).unwrap_or(TimeZone::UTC);
    let local = at.to_zoned(zone);
    if local.offset().seconds() == 0 {
        return meta::time(at);
    }
    local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
