//! What a Job's status may become, whoever writes it: any controller may look after a Job. Main function: [`check`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#delegation-of-managing-a-job-object-to-external-controller>.

use serde_json::Value;

use super::super::{
    read::{is_true, items, text},
    workload::{STATUS, count, not_negative},
};
use super::{indexes, is, is_finished, is_indexed};
use crate::{
    field::{Errors, Kind},
    meta,
};

const COUNTS: &[&str] = &["active", "succeeded", "failed", "ready", "terminating"];

/// A change of the status. Most is looked at only where it changes, so that a spec that has changed since stands in the
/// way of nothing.
struct Change<'a> {
    new: &'a Value,
    old: &'a Value,
}

/// `(new, old)`.
pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    COUNTS.iter().for_each(|count| not_negative(new, &STATUS, count, errors));
    uncounted(new, errors);
    let change = Change { new, old };
    change.ends(errors);
    change.times(errors);
    change.finished(errors);
    change.indexes(errors);
    change.criteria(errors);
    change.keeps(errors);
}

/// Each pod is there once.
fn uncounted(job: &Value, errors: &mut Errors) {
    let path = STATUS.child("uncountedTerminatedPods");
    let mut seen: Vec<&Value> = Vec::new();
    for list in ["succeeded", "failed"] {
        let path = path.child(list);
        for (index, uid) in items(job, &format!("/status/uncountedTerminatedPods/{list}")).iter().enumerate() {
            if uid == "" {
                errors.invalid(&path.index(index), "", "must not be empty");
            } else if seen.contains(&uid) {
                errors.duplicate(&path.index(index), uid.clone());
            } else {
                seen.push(uid);
            }
        }
    }
}

fn wrong_conditions(why: &str, errors: &mut Errors) {
    errors.push(Kind::Invalid, &STATUS.child("conditions"), None, why);
}

impl Change<'_> {
    fn value(&self, field: &str) -> Value {
        self.new.pointer(&format!("/status/{field}")).cloned().unwrap_or_default()
    }

    fn changes(&self, field: &str) -> bool {
        self.value(field) != self.old.pointer(&format!("/status/{field}")).cloned().unwrap_or_default()
    }

    /// Whether a condition holds now and did not, or the other way round.
    fn turns(&self, condition: &str) -> bool {
        is(self.new, condition) != is(self.old, condition)
    }

    fn ends(&self, errors: &mut Errors) {
        let (complete, other) = (is(self.new, "Complete"), |condition| is(self.new, condition));
        if (self.turns("Complete") || self.turns("Failed")) && complete && other("Failed") {
            wrong_conditions("cannot set Complete=True and Failed=true conditions", errors);
        }
        if (self.turns("Complete") || self.turns("FailureTarget")) && complete && other("FailureTarget") {
            wrong_conditions("cannot set Complete=True and FailureTarget=true conditions", errors);
        }
    }

    fn times(&self, errors: &mut Errors) {
        let (complete, at) = (is(self.new, "Complete"), STATUS.child("completionTime"));
        let end = self.value("completionTime");
        if self.turns("Complete") || self.changes("completionTime") {
            if !end.is_null() && !complete {
                let why = "cannot set completionTime when there is no Complete=True condition";
                errors.invalid(&at, end.clone(), why);
            }
            if end.is_null() && complete {
                errors.required(&at, "completionTime is required for Complete jobs");
            }
        }
        if self.changes("startTime") || self.changes("completionTime") {
            let time = |field: &str| meta::parse_time(text(self.new, field));
            let (start, ended) = (time("/status/startTime"), time("/status/completionTime"));
            if ended.zip(start).is_some_and(|(ended, start)| ended < start) {
                errors.invalid(&at, end, "completionTime cannot be set before startTime");
            }
        }
    }

    fn finished(&self, errors: &mut Errors) {
        let finished = is_finished(self.new);
        let turns = finished != is_finished(self.old);
        let active = count(self.new, "/status/active");
        if (turns || self.changes("active")) && active > 0 && finished {
            errors.invalid(&STATUS.child("active"), active, "active>0 is invalid for finished job");
        }
        if (turns || self.changes("startTime")) && self.value("startTime").is_null() && finished {
            errors.required(&STATUS.child("startTime"), "startTime is required for finished job");
        }
        let uncounted = self.value("uncountedTerminatedPods");
        let some = ["/succeeded", "/failed"].iter().any(|list| !items(&uncounted, list).is_empty());
        if (turns || self.changes("uncountedTerminatedPods")) && finished && some {
            let why = "uncountedTerminatedPods needs to be empty for finished job";
            errors.invalid(&STATUS.child("uncountedTerminatedPods"), uncounted, why);
        }
    }

    fn indexes(&self, errors: &mut Errors) {
        let (completed, failed) = (text(self.new, "/status/completedIndexes"), self.value("failedIndexes"));
        let (done_change, failed_change) = (self.changes("completedIndexes"), self.changes("failedIndexes"));
        let completions = self.new.pointer("/spec/completions").and_then(Value::as_i64);
        let per_index = self.new.pointer("/spec/backoffLimitPerIndex").is_some_and(Value::is_number);
        let (done_at, failed_at) = (STATUS.child("completedIndexes"), STATUS.child("failedIndexes"));
        if let (true, Some(Err(why))) = (done_change, completions.map(|all| indexes::check(completed, all))) {
            errors.invalid(&done_at, completed, format!("error parsing completedIndexes: {why}"));
        }
        if let (true, true, Some(text), Some(all)) = (failed_change, per_index, failed.as_str(), completions)
            && let Err(why) = indexes::check(text, all)
        {
            errors.invalid(&failed_at, text, format!("error parsing failedIndexes: {why}"));
        }
        if done_change && !completed.is_empty() && !is_indexed(self.new) {
            let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
            errors.invalid(&done_at, completed, why);
        }
        if failed_change && !per_index && !failed.is_null() {
            let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            errors.invalid(&failed_at, failed.clone(), why);
        }
        if let (true, Some(text), Some(all)) = (done_change || failed_change, failed.as_str(), completions)
            && let Some(both) = indexes::overlap(completed, text, all)
        {
            let why = format!("failedIndexes and completedIndexes overlap at index: {both}");
            errors.invalid(&failed_at, text, why);
        }
    }

    fn criteria(&self, errors: &mut Errors) {
        let (met, is) = (is(self.new, "SuccessCriteriaMet"), |condition| is(self.new, condition));
        if met && is("Failed") {
            wrong_conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions", errors);
        }
        if met && is("FailureTarget") {
            wrong_conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions", errors);
        }
        let policy = self.new.pointer("/spec/successPolicy").is_some_and(Value::is_object);
        if policy && !met && is("Complete") {
            let why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            wrong_conditions(why, errors);
        }
    }

    /// What was said once stays said.
    fn keeps(&self, errors: &mut Errors) {
        let lost = |condition| is(self.old, condition) && !is(self.new, condition);
        for condition in ["Failed", "Complete", "FailureTarget"].into_iter().filter(|one| lost(one)) {
            wrong_conditions(&format!("cannot disable the terminal {condition}=True condition"), errors);
        }
        let spec = |field: &str| self.new.pointer(&format!("/spec/{field}"));
        let elastic = is_indexed(self.new) && spec("completions") == spec("parallelism");
        for (field, only) in [("failed", true), ("succeeded", !elastic)] {
            let number = |job| count(job, &format!("/status/{field}"));
            if only && number(self.new) < number(self.old) {
                let why = format!("cannot decrease the {field} counter");
                errors.invalid(&STATUS.child(field), number(self.new), why);
            }
        }
        let had = |field: &str| self.old.pointer(&format!("/status/{field}")).is_some_and(Value::is_string);
        let end = self.value("completionTime");
        if had("completionTime") && !end.is_null() && self.changes("completionTime") {
            errors.invalid(&STATUS.child("completionTime"), end, "completionTime cannot be mutated");
        }
        if had("startTime") && self.changes("startTime") && !is_true(self.new, "/spec/suspend") {
            errors.required(&STATUS.child("startTime"), "startTime cannot be removed for unsuspended job");
        }
        if lost("SuccessCriteriaMet") {
            wrong_conditions("cannot disable the SuccessCriteriaMet=True condition", errors);
        }
        if is(self.old, "Complete") && self.turns("SuccessCriteriaMet") && is(self.new, "SuccessCriteriaMet") {
            let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            wrong_conditions(why, errors);
        }
    }
}
