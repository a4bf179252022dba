//! CronJob: Jobs by the clock. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/>. How schedules are written and
//! when they come is [`crate::cron`]'s.

use serde_json::{Value, json};

use crate::{
    cron::{self, Schedule},
    field::{Errors, Kind as Fault},
    meta,
};

use super::{
    ALL_VERBS, Column, Ctx, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, NONE, age},
    job,
    read::{carry_over, is_true, items, text},
    workload::{self, SPEC, fill, not_negative, number},
};

#[cfg(test)]
mod tests;

/// CronJob of batch/v1.
pub static CRON_JOB: Kind = Kind {
    group: "batch",
    version: "v1",
    kind: "CronJob",
    list_kind: "CronJobList",
    plural: "cronjobs",
    singular: "cronjob",
    short_names: &["cj"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[workload::status("CronJob", TYPE, |new, old| carry_over(new, old, "spec"))],
    type_name: TYPE,
    storage: Some(Storage { prefix: "batch/cronjobs", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update: workload::prepare_update,
        validate,
        validate_update,
        validate_part: Some(|part, new, old, errors| {
            if part != "status" {
                validate_update(new, old, errors);
            }
        }),
        warnings,
        ..Hooks::NONE
    },
};

const TYPE: &str = "io.k8s.api.batch.v1.CronJob";

/// Bytes of a name: a Job's has 63, of which its minute takes 11.
const NAME_BYTES: usize = 52;

/// Bytes of one part of a time zone's name.
const ZONE_PART_BYTES: usize = 14;

/// Jobs that succeeded, and such that failed, kept to look at.
const HISTORY: [(&str, i64); 2] = [("successfulJobsHistoryLimit", 3), ("failedJobsHistoryLimit", 1)];

/// What becomes of a Job whose time comes while the one before runs.
const CONCURRENCY: &[&str] = &["Allow", "Forbid", "Replace"];

const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Schedule", "When a Job is made.", 0, |object, _| text(object, "/spec/schedule").into()),
    Column::text("Timezone", "The clocks it goes by.", 0, |object, _| or_none(text(object, "/spec/timeZone")).into()),
    Column::text("Suspend", "Whether no Job is made.", 0, |object, _| suspended(object).into()),
    number("Active", "Jobs that run.", |object, _| items(object, "/status/active").len().into()),
    Column::text("Last Schedule", "Time since the last Job was due.", 0, |object, now| {
        match text(object, "/status/lastScheduleTime") {
            "" => NONE.into(),
            time => age(time, now).into(),
        }
    }),
    AGE,
    Column::text("Containers", "Names of the containers.", 1, |object, _| containers(object, "/name").into()),
    Column::text("Images", "Images of the containers.", 1, |object, _| containers(object, "/image").into()),
    Column::text("Selector", "Labels of the pods.", 1, |_, _| NONE.into()),
];

fn or_none(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}

fn suspended(object: &Value) -> &'static str {
    match object.pointer("/spec/suspend").and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    }
}

fn containers(object: &Value, field: &str) -> String {
    let names = items(object, "/spec/jobTemplate/spec/template/spec/containers").iter().map(|one| text(one, field));
    names.collect::<Vec<_>>().join(",")
}

fn default(object: &mut Value) {
    fill(object, "concurrencyPolicy", "Allow");
    if text(object, "/spec/concurrencyPolicy").is_empty() && object.get("spec").is_some_and(Value::is_object) {
        object["spec"]["concurrencyPolicy"] = "Allow".into();
    }
    fill(object, "suspend", false);
    HISTORY.iter().for_each(|(field, limit)| fill(object, field, *limit));
    if let Some(spec) = object.pointer_mut("/spec/jobTemplate/spec") {
        job::default_spec(spec);
    }
}

fn prepare_create(object: &mut Value, _: &Ctx) {
    workload::prepare_create(object, json!({}));
}

fn validate(object: &Value, errors: &mut Errors) {
    // Only what is stored has a version; an old one may have what a new one may not.
    if !meta::resource_version(object).is_empty() {
        return;
    }
    spec(object, None, errors);
    let name = meta::name(object);
    if name.len() > NAME_BYTES {
        let path = crate::field::Path::new("metadata");
        errors.invalid(&path.child("name"), name, format!("must be no more than {NAME_BYTES} characters"));
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    spec(new, Some(old), errors);
}

fn spec(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    schedule(object, old, errors);
    not_negative(object, &SPEC, "startingDeadlineSeconds", errors);
    let zone = |object: &Value| object.pointer("/spec/timeZone").cloned();
    if old.is_none_or(|old| zone(old) != zone(object)) {
        time_zone(object, errors);
    }
    match text(object, "/spec/concurrencyPolicy") {
        "" => errors.required(&SPEC.child("concurrencyPolicy"), ""),
        policy if CONCURRENCY.contains(&policy) => {}
        other => errors.not_supported(&SPEC.child("concurrencyPolicy"), other, CONCURRENCY),
    }
    template(object, errors);
    HISTORY.iter().for_each(|(field, _)| not_negative(object, &SPEC, field, errors));
}

fn schedule(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let (path, schedule) = (SPEC.child("schedule"), text(object, "/spec/schedule"));
    if schedule.is_empty() {
        return errors.required(&path, "");
    }
    if let Err(error) = Schedule::parse(schedule, &jiff::tz::TimeZone::UTC) {
        errors.invalid(&path, schedule, error.to_string());
    }
    let names_zone = |object: &Value| text(object, "/spec/schedule").contains("TZ");
    if !names_zone(object) {
        return;
    }
    if !old.is_some_and(names_zone) {
        errors.invalid(&path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if object.pointer("/spec/timeZone").is_some_and(Value::is_string) {
        errors.invalid(&path, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    }
}

fn time_zone(object: &Value, errors: &mut Errors) {
    let path = SPEC.child("timeZone");
    let Some(name) = object.pointer("/spec/timeZone").and_then(Value::as_str) else { return };
    if name.is_empty() {
        return errors.invalid(&path, name, "timeZone must be nil or non-empty string");
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    let is_part = |part: &str| {
        let dots = part == "." || part == "..";
        let fits = (1..=ZONE_PART_BYTES).contains(&part.len()) && part.bytes().all(letter);
        fits && !dots && !part.starts_with('-')
    };
    if !name.split('/').all(is_part) {
        return errors.invalid(&path, name, format!("unknown time zone {name}"));
    }
    if name.eq_ignore_ascii_case("Local") {
        let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid(&path, name, why);
    }
    if name != "Local" && cron::zone(name).is_none() {
        errors.invalid(&path, name, format!("unknown time zone {name}"));
    }
}

fn template(object: &Value, errors: &mut Errors) {
    let (none, path) = (Value::Null, SPEC.child("jobTemplate"));
    let path = path.child("spec");
    let spec = object.pointer("/spec/jobTemplate/spec").unwrap_or(&none);
    job::validate::spec(spec, &path, errors);
    if let Some(selector) = spec.get("selector").filter(|selector| selector.is_object()) {
        errors.invalid(&path.child("selector"), selector.clone(), "`selector` will be auto-generated");
    }
    if is_true(spec, "/manualSelector") {
        let why = r#"supported values: "nil", "false""#;
        errors.push(Fault::NotSupported, &path.child("manualSelector"), Some(true.into()), why);
    }
}

fn warnings(object: &Value) -> Vec<String> {
    let mut told = job::name_warnings(object);
    let path = SPEC.child("jobTemplate");
    if let Some(spec) = object.pointer("/spec/jobTemplate/spec") {
        job::spec_warnings(spec, &path.child("spec"), &mut told);
    }
    told
}
