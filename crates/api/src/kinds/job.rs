//! Job: pods that are to end. Its row, its defaults, and the selector that is made for it.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/>.
//!
//! Its parts: [`indexes`], `validate` (the spec, which CronJobs have too), `policy` (of failure and of success),
//! `update` (what may change), `status`. Leaves out gates that are off by default.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{field::Errors, meta, names};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, SelectableField, Storage,
    columns::{AGE, NAME, human_duration},
    pod::warnings,
    read::{carry_over, child, items, text},
    workload::{self, CONTAINERS, IMAGES, SELECTOR, SPEC, count, fill},
};

pub mod indexes;
mod policy;
mod status;
#[cfg(test)]
mod tests;
mod update;
pub(super) mod validate;

/// Job of batch/v1.
pub static JOB: Kind = Kind {
    group: "batch",
    version: "v1",
    kind: "Job",
    list_kind: "JobList",
    plural: "jobs",
    singular: "job",
    short_names: &[],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status("Job", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "batch/jobs", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[SelectableField {
        label: "status.successful",
        stored: "status.successful",
        pointers: &["/status/succeeded"],
        default: "0",
    }],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update: workload::prepare_update,
        validate: validate::job,
        validate_update: update::check,
        validate_part: Some(validate_part),
        warnings,
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.batch.v1.Job";

/// Label and selector of a Job's pods: its UID.
pub const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// Label of a Job's pods: its name.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// What the two were called before, and still are.
const LEGACY: [&str; 2] = ["controller-uid", "job-name"];

/// Finalizer that keeps a pod until its end is counted.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Annotation and label that tell a pod's index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Annotation that tells how often the pods of an index have failed before.
pub const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// Annotation that tells how many more of their failures did not count.
pub const INDEX_IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// Who looks after a Job that says nothing else.
pub const MANAGER: &str = "kubernetes.io/job-controller";

/// Failures after which a Job is given up.
const BACKOFF_LIMIT: i64 = 6;

/// Completions above which much parallelism is worth a warning.
const MANY_COMPLETIONS: i64 = 100_000;

/// Parallelism that is much.
const MANY_PARALLEL: i64 = 10_000;

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Status", "How it stands.", 0, |job, _| state(job).into()),
    Column::text("Completions", "Pods that succeeded, of those wanted.", 0, |job, _| completions(job).into()),
    Column::text("Duration", "Time from its start to its end, or until now.", 0, |job, now| duration(job, now).into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

/// Whether a condition holds.
#[must_use]
pub fn is(job: &Value, condition: &str) -> bool {
    let holds = |one: &Value| text(one, "/type") == condition && text(one, "/status") == "True";
    items(job, "/status/conditions").iter().any(holds)
}

/// Whether it has ended, one way or the other.
#[must_use]
pub fn is_finished(job: &Value) -> bool {
    is(job, "Complete") || is(job, "Failed")
}

/// Whether each completion has a number.
#[must_use]
pub fn is_indexed(job: &Value) -> bool {
    text(job, "/spec/completionMode") == "Indexed"
}

fn state(job: &Value) -> &'static str {
    let ended = ["Complete", "Failed"].into_iter().find(|condition| is(job, condition));
    let going = || meta::is_being_deleted(job).then_some("Terminating");
    let other = || ["Suspended", "FailureTarget", "SuccessCriteriaMet"].into_iter().find(|one| is(job, one));
    ended.or_else(going).or_else(other).unwrap_or("Running")
}

fn completions(job: &Value) -> String {
    let (succeeded, parallel) = (count(job, "/status/succeeded"), count(job, "/spec/parallelism"));
    match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        None => format!("{succeeded}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let time = |field: &str| meta::parse_time(text(job, &format!("/status/{field}")));
    let Some(start) = time("startTime") else { return String::new() };
    let end = time("completionTime").unwrap_or(now);
    human_duration(i64::try_from(end.duration_since(start).as_millis()).unwrap_or(i64::MAX))
}

fn default(job: &mut Value) {
    let given = |job: &Value, field: &str| job.pointer(&format!("/spec/{field}")).is_some_and(|value| !value.is_null());
    if !given(job, "completions") && !given(job, "parallelism") {
        fill(job, "completions", 1);
    }
    fill(job, "parallelism", 1);
    let limit = if given(job, "backoffLimitPerIndex") { i64::from(i32::MAX) } else { BACKOFF_LIMIT };
    fill(job, "backoffLimit", limit);
    fill(job, "completionMode", "NonIndexed");
    fill(job, "suspend", false);
    let replace = if given(job, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    fill(job, "podReplacementPolicy", replace);
    fill(job, "manualSelector", false);
    label(job);
    if let Some(spec) = job.get_mut("spec") {
        default_spec(spec);
    }
}

/// Defaults of a spec that also a template has: those of its pods and of its policy.
pub(super) fn default_spec(spec: &mut Value) {
    if let Some(template) = spec.get_mut("template") {
        super::pod::template::default(template);
    }
    let rules = spec.pointer_mut("/podFailurePolicy/rules").and_then(Value::as_array_mut).into_iter().flatten();
    let patterns = rules.filter_map(|rule| rule.get_mut("onPodConditions")?.as_array_mut()).flatten();
    for pattern in patterns.filter_map(Value::as_object_mut) {
        let status = pattern.entry("status").or_insert_with(|| "".into());
        if status == "" {
            *status = "True".into();
        }
    }
}

/// A Job without labels has those of its pods.
fn label(job: &mut Value) {
    let labels = job.pointer("/spec/template/metadata/labels").filter(|labels| labels.is_object()).cloned();
    if let Some(labels) = labels.filter(|_| meta::labels(job).next().is_none()) {
        meta::set(job, "labels", Some(labels));
    }
}

fn prepare_create(job: &mut Value, _: &Ctx) {
    if !super::read::is_true(job, "/spec/manualSelector") {
        select(job);
    }
    label(job);
    workload::prepare_create(job, json!({}));
}

/// Makes the selector and labels by which pods are this Job's only. What a person says is left for the checks.
fn select(job: &mut Value) {
    let (uid, name) = (Value::from(meta::uid(job)), Value::from(meta::name(job)));
    let Some(spec) = job.get_mut("spec") else { return };
    if child(spec, "template").is_none() || child(&mut spec["template"], "metadata").is_none() {
        return;
    }
    if let Some(labels) = child(&mut spec["template"]["metadata"], "labels") {
        for (key, value) in [(LEGACY[0], &uid), (CONTROLLER_UID, &uid), (LEGACY[1], &name), (JOB_NAME, &name)] {
            labels.entry(key).or_insert_with(|| value.clone());
        }
    }
    if child(spec, "selector").is_none() {
        return;
    }
    if let Some(labels) = child(&mut spec["selector"], "matchLabels") {
        labels.entry(CONTROLLER_UID).or_insert(uid);
    }
}

fn validate_part(part: &str, new: &Value, old: &Value, errors: &mut Errors) {
    match part {
        "status" => status::check(new, old, errors),
        _ => update::check(new, old, errors),
    }
}

fn warnings(job: &Value) -> Vec<String> {
    let mut told = name_warnings(job);
    let none = Value::Null;
    spec_warnings(job.get("spec").unwrap_or(&none), &SPEC, &mut told);
    told
}

/// What is told of a name that is no label.
pub(super) fn name_warnings(object: &Value) -> Vec<String> {
    let wrong = names::dns1123_label(meta::name(object));
    let why =
        "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended";
    let told = || format!("metadata.name: {why}: [{}]", wrong.join(" "));
    (!wrong.is_empty()).then(told).into_iter().collect()
}

/// What is told of a spec that lies at `path`.
pub(super) fn spec_warnings(spec: &Value, path: &crate::field::Path<'_>, told: &mut Vec<String>) {
    let (completions, parallel) = (count(spec, "/completions"), count(spec, "/parallelism"));
    if text(spec, "/completionMode") == "Indexed" && completions > MANY_COMPLETIONS && parallel > MANY_PARALLEL {
        told.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    if let Some(pods) = spec.pointer("/template/spec") {
        warnings::spec(pods, &path.child("template").child("spec"), told);
    }
}
