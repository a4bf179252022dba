//! Statuses of Jobs: what is let be written.

use super::*;

/// What is told of a change of the status of a Job with this spec.
fn check(spec: Value, old: Value, new: Value, expect: &[&str]) {
    let with = |status: &Value| json!({ "spec": spec, "status": status });
    let mut errors = Errors::new();
    super::super::status::check(&with(&new), &with(&old), &mut errors);
    assert_eq!(told(&errors), expect, "{new}");
}

fn conditions(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "type": name, "status": "True" })).collect()
}

#[test]
fn what_has_ended_stays_so() {
    let complete =
        json!({ "startTime": AT, "completionTime": AT, "conditions": conditions(&["SuccessCriteriaMet", "Complete"]) });
    check(json!({}), json!({ "startTime": AT }), complete.clone(), &[]);
    check(
        json!({}),
        json!({}),
        json!({ "conditions": conditions(&["Complete"]) }),
        &[
            "status.completionTime: Required value: completionTime is required for Complete jobs",
            "status.startTime: Required value: startTime is required for finished job",
        ],
    );
    check(
        json!({}),
        complete,
        json!({ "startTime": AT, "conditions": [] }),
        &[
            "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
            "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
        ],
    );
    let failed = json!({ "startTime": AT, "active": 1, "uncountedTerminatedPods": { "failed": ["a"] }, "conditions": conditions(&["Failed"]) });
    check(
        json!({}),
        json!({ "startTime": AT }),
        failed,
        &[
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            r#"status.uncountedTerminatedPods: Invalid value: {"failed":["a"]}: uncountedTerminatedPods needs to be empty for finished job"#,
        ],
    );
    check(
        json!({}),
        json!({ "failed": 2, "succeeded": 2 }),
        json!({ "failed": 1 }),
        &[
            "status.failed: Invalid value: 1: cannot decrease the failed counter",
            "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
        ],
    );
    check(
        json!({}),
        json!({ "startTime": AT }),
        json!({}),
        &["status.startTime: Required value: startTime cannot be removed for unsuspended job"],
    );
    check(json!({ "suspend": true }), json!({ "startTime": AT }), json!({}), &[]);
}

#[test]
fn pods_and_indexes_are_told_once() {
    let twice = json!({ "uncountedTerminatedPods": { "succeeded": ["a"], "failed": ["", "a"] } });
    check(
        json!({}),
        json!({}),
        twice,
        &[
            r#"status.uncountedTerminatedPods.failed[0]: Invalid value: "": must not be empty"#,
            r#"status.uncountedTerminatedPods.failed[1]: Duplicate value: "a""#,
        ],
    );
    let spec = || json!({ "completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1 });
    check(
        spec(),
        json!({}),
        json!({ "completedIndexes": "0-2,9", "failedIndexes": "2" }),
        &[
            r#"status.completedIndexes: Invalid value: "0-2,9": error parsing completedIndexes: too large index: "9""#,
            r#"status.failedIndexes: Invalid value: "2": failedIndexes and completedIndexes overlap at index: 2"#,
        ],
    );
    check(
        json!({ "completions": 5 }),
        json!({}),
        json!({ "completedIndexes": "0", "failedIndexes": "2" }),
        &[
            r#"status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode"#,
            r#"status.failedIndexes: Invalid value: "2": cannot set non-null failedIndexes when backoffLimitPerIndex is null"#,
        ],
    );
}
