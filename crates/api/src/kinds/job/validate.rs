//! What a Job may say. Main functions: [`job`] and [`spec`]. Spec:
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/>.

use serde_json::{Map, Value};

use super::super::{
    pod::template,
    read::{is_true, text},
    workload::{NOT_NEGATIVE, SPEC, count},
};
use super::{CONTROLLER_UID, JOB_NAME, LEGACY, is_indexed, policy};
use crate::{
    field::{Errors, Path},
    meta, names, selector,
};

/// Most pods at once of an Indexed Job, and most indexes that may fail: its status lists them.
const MOST: i64 = 100_000;

/// The same where there are more completions than [`MOST`] and indexes fail by themselves.
const MOST_OF_MANY: i64 = 10_000;

/// Most bytes of `managedBy`.
const MANAGER_BYTES: usize = 63;

/// What a path after a domain may have, as upstream tells it.
const PATH_FORMAT: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";

const PATH_LETTERS: &str = "/-._~%!$&'()*+,;=:";

/// Numbers that count something, in the order of their checks.
const COUNTS: &[&str] = &[
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
];

/// A whole Job.
pub(super) fn job(job: &Value, errors: &mut Errors) {
    generated(job, errors);
    whole_spec(job, errors);
    let last = count(job, "/spec/completions") - 1;
    let hostname = format!("{}-{last}", meta::name(job));
    if is_indexed(job) && last >= 0 && !names::dns1123_label(&hostname).is_empty() {
        let why = format!("will not able to create pod with invalid DNS label: {hostname}");
        errors.invalid(&Path::new("metadata").child("name"), meta::name(job), why);
    }
}

/// The spec of a Job, its selector included.
pub(super) fn whole_spec(job: &Value, errors: &mut Errors) {
    let none = Value::Null;
    let body = job.get("spec").unwrap_or(&none);
    spec(body, &SPEC, errors);
    let at = SPEC.child("selector");
    let Some(wanted) = body.get("selector").filter(|wanted| wanted.is_object()) else {
        errors.required(&at, "");
        return agree(body, &selector::Labels::nothing(), errors);
    };
    selector::validate(wanted, &at, errors);
    if let Ok(wanted) = selector::Labels::from_object(wanted) {
        agree(body, &wanted, errors);
    }
}

/// The selector takes the pods.
fn agree(spec: &Value, wanted: &selector::Labels, errors: &mut Errors) {
    let template = spec.get("template").unwrap_or(&Value::Null);
    let labels: Vec<(&str, &str)> = meta::labels(template).collect();
    if !wanted.matches(&labels) {
        let own = template.pointer("/metadata/labels").cloned().unwrap_or_default();
        let path = SPEC.child("template");
        let path = path.child("metadata");
        errors.invalid(&path.child("labels"), own, "`selector` does not match template `labels`");
    }
}

/// The selector and labels that are made for a Job are as made.
fn generated(job: &Value, errors: &mut Errors) {
    let Some(wanted) = job.pointer("/spec/selector").filter(|wanted| wanted.is_object()) else { return };
    if is_true(job, "/spec/manualSelector") {
        return;
    }
    let (uid, name) = (meta::uid(job), meta::name(job));
    if uid.is_empty() {
        errors.required(&Path::new("metadata").child("uid"), "");
    }
    let made = [(LEGACY[0], uid), (LEGACY[1], name), (CONTROLLER_UID, uid), (JOB_NAME, name)];
    let empty = Map::new();
    let labels = job.pointer("/spec/template/metadata/labels").and_then(Value::as_object).unwrap_or(&empty);
    let path = SPEC.child("template");
    let path = path.child("metadata");
    let path = path.child("labels");
    for (key, value) in made {
        let why = format!("must be '{value}'");
        match labels.get(key).map(Value::as_str) {
            None => errors.required(&path.key(key), why),
            Some(found) if found != Some(value) => errors.invalid(&path.key(key), labels.clone(), why),
            _ => {}
        }
    }
    let mut made = made;
    made.sort_unstable();
    if selector::Labels::from_object(wanted).is_ok_and(|wanted| !wanted.matches(&made)) {
        errors.invalid(&SPEC.child("selector"), wanted.clone(), "`selector` not auto-generated");
    }
}

/// A spec that lies at `path`, but for its selector.
pub(in crate::kinds) fn spec(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    numbers(spec, path, errors);
    if let Some(manager) = spec.get("managedBy").and_then(Value::as_str) {
        managed_by(manager, &path.child("managedBy"), errors);
    }
    match spec.get("completionMode").and_then(Value::as_str) {
        Some("Indexed") => indexed(spec, path, errors),
        None | Some("NonIndexed") => not_indexed(spec, path, errors),
        Some(other) => errors.not_supported(&path.child("completionMode"), other, &["NonIndexed", "Indexed"]),
    }
    policy::failure(spec, &path.child("podFailurePolicy"), errors);
    policy::success(spec, &path.child("successPolicy"), errors);
    replacement(spec, &path.child("podReplacementPolicy"), errors);
    let (path, none) = (path.child("template"), Value::Null);
    let template = spec.get("template").unwrap_or(&none);
    template::validate(template, &path, errors);
    let path = path.child("spec");
    let path = path.child("restartPolicy");
    match text(template, "/spec/restartPolicy") {
        "" | "Always" => errors.required(&path, r#"valid values: "OnFailure", "Never""#),
        "OnFailure" if spec.get("podFailurePolicy").is_some_and(Value::is_object) => {
            errors.invalid(&path, "OnFailure", r#"only "Never" is supported when podFailurePolicy is specified"#);
        }
        "OnFailure" | "Never" => {}
        other => errors.not_supported(&path, other, &["OnFailure", "Never"]),
    }
}

fn numbers(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in COUNTS {
        let number = spec.get(*field).and_then(Value::as_i64);
        if let Some(number) = number.filter(|number| *number < 0) {
            errors.invalid(&path.child(field), number, NOT_NEGATIVE);
        }
    }
    let given = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    if given("maxFailedIndexes") && !given("backoffLimitPerIndex") {
        errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
}

/// `acme.io/foo`.
fn managed_by(manager: &str, path: &Path<'_>, errors: &mut Errors) {
    match manager.split_once('/') {
        _ if manager.is_empty() => errors.required(path, ""),
        Some((host, rest)) if !host.is_empty() && !rest.is_empty() => {
            for why in names::dns1123_subdomain(host) {
                errors.invalid(path, host, why);
            }
            if !rest.chars().all(|c| c.is_ascii_alphanumeric() || PATH_LETTERS.contains(c)) {
                let why = format!("Invalid path (regex used for validation is '{PATH_FORMAT}')");
                errors.invalid(path, rest, why);
            }
        }
        _ => errors.invalid(path, manager, r#"must be a domain-prefixed path (such as "acme.io/foo")"#),
    }
    if manager.len() > MANAGER_BYTES {
        errors.too_long(path, MANAGER_BYTES);
    }
}

fn indexed(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let number = |field: &str| spec.get(field).and_then(Value::as_i64);
    let (parallel, failing) = (number("parallelism"), number("maxFailedIndexes"));
    let (parallel_at, failing_at) = (path.child("parallelism"), path.child("maxFailedIndexes"));
    let completions = number("completions");
    if completions.is_none() {
        errors.required(&path.child("completions"), "when completion mode is Indexed");
    }
    if let Some(parallel) = parallel.filter(|parallel| *parallel > MOST) {
        let why = format!("must be less than or equal to {MOST} when completion mode is Indexed");
        errors.invalid(&parallel_at, parallel, why);
    }
    if let (Some(failing), Some(_)) = (failing, completions.filter(|all| failing.is_some_and(|some| some > *all))) {
        errors.invalid(&failing_at, failing, "must be less than or equal to completions");
    }
    if let Some(failing) = failing.filter(|failing| *failing > MOST) {
        errors.invalid(&failing_at, failing, format!("must be less than or equal to {MOST}"));
    }
    if completions.is_none_or(|all| all <= MOST) || number("backoffLimitPerIndex").is_none() {
        return;
    }
    if failing.is_none() {
        errors.required(&failing_at, format!("must be specified when completions is above {MOST}"));
    }
    let why = format!(
        "must be less than or equal to {MOST_OF_MANY} when completions are above {MOST} and used with backoff limit per index"
    );
    for (number, at) in [(parallel, parallel_at), (failing, failing_at)] {
        if let Some(number) = number.filter(|number| *number > MOST_OF_MANY) {
            errors.invalid(&at, number, why.as_str());
        }
    }
}

fn not_indexed(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if let Some(number) = spec.get(field).and_then(Value::as_i64) {
            errors.invalid(&path.child(field), number, "requires indexed completion mode");
        }
    }
}

fn replacement(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(given) = spec.get("podReplacementPolicy").and_then(Value::as_str) else { return };
    let with_policy = spec.get("podFailurePolicy").is_some_and(Value::is_object);
    let allowed: &[&str] = if with_policy { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !allowed.contains(&given) {
        errors.not_supported(path, given, allowed);
    }
}
