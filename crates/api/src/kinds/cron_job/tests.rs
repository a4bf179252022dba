//! CronJobs on their way in: defaults, checks, cells.

use jiff::Timestamp;

use super::*;

fn object(change: &Value) -> Value {
    let pods = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "a:1" }] });
    let mut spec = json!({ "schedule": "@hourly", "jobTemplate": { "spec": { "template": { "spec": pods } } } });
    crate::patch::merge(&mut spec, change.to_string().as_bytes()).expect("a sound change");
    let mut object = json!({ "metadata": { "name": "a" }, "spec": spec });
    crate::default::apply(&mut object, crate::facts::ty(TYPE).expect("built in"));
    default(&mut object);
    object
}

fn check(change: Value, expect: &[&str]) {
    let mut errors = Errors::new();
    validate(&object(&change), &mut errors);
    assert_eq!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expect, "{change}");
}

#[test]
fn what_is_left_open_is_filled_in() {
    let spec = object(&json!({}))["spec"].clone();
    let fields = ["concurrencyPolicy", "suspend", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", "timeZone"];
    let expect = [json!("Allow"), json!(false), json!(3), json!(1), Value::Null];
    assert_eq!(fields.map(|field| spec.get(field).cloned().unwrap_or_default()), expect);
    assert_eq!(spec["jobTemplate"]["spec"].get("backoffLimit"), None, "that is for the Job to say");
    assert_eq!(spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirst");
}

#[test]
fn schedules_zones_and_templates_are_sound() {
    check(json!({}), &[]);
    check(json!({ "schedule": "" }), &["spec.schedule: Required value"]);
    check(
        json!({ "schedule": "often" }),
        &[r#"spec.schedule: Invalid value: "often": expected exactly 5 fields, found 1: [often]"#],
    );
    check(
        json!({ "schedule": "TZ=UTC @daily" }),
        &[
            r#"spec.schedule: Invalid value: "TZ=UTC @daily": cannot use TZ or CRON_TZ in schedule, use timeZone field instead"#,
        ],
    );
    check(json!({ "timeZone": "Europe/Berlin" }), &[]);
    check(
        json!({ "timeZone": "" }),
        &[r#"spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string"#],
    );
    check(
        json!({ "timeZone": "Mars/Base" }),
        &[r#"spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base"#],
    );
    check(json!({ "timeZone": "../etc" }), &[r#"spec.timeZone: Invalid value: "../etc": unknown time zone ../etc"#]);
    check(
        json!({ "timeZone": "Local" }),
        &[
            r#"spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"#,
        ],
    );
    check(
        json!({ "concurrencyPolicy": "No" }),
        &[r#"spec.concurrencyPolicy: Unsupported value: "No": supported values: "Allow", "Forbid", "Replace""#],
    );
    let negative = |field: &str| format!("spec.{field}: Invalid value: -1: must be greater than or equal to 0");
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        check(json!({ field: -1 }), &[&negative(field)]);
    }
    let template =
        json!({ "selector": { "matchLabels": { "a": "b" } }, "manualSelector": true, "completionMode": "Indexed" });
    check(
        json!({ "jobTemplate": { "spec": template } }),
        &[
            "spec.jobTemplate.spec.completions: Required value: when completion mode is Indexed",
            r#"spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated"#,
            r#"spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false""#,
        ],
    );
}

#[test]
fn a_name_leaves_room_for_the_minute() {
    let told = |letters: usize| {
        let mut object = object(&json!({}));
        meta::set_name(&mut object, "a".repeat(letters));
        let mut errors = Errors::new();
        validate(&object, &mut errors);
        errors.to_string()
    };
    assert!(told(53).ends_with("must be no more than 52 characters"));
    assert_eq!(told(52), "[]");
}

#[test]
fn what_was_let_in_before_stays() {
    let old = object(&json!({ "schedule": "TZ=UTC @daily" }));
    let told = |change: Value| {
        let mut new = old.clone();
        crate::patch::merge(&mut new, json!({ "spec": change }).to_string().as_bytes()).expect("a sound change");
        let mut errors = Errors::new();
        validate_update(&new, &old, &mut errors);
        errors.to_string()
    };
    assert_eq!(told(json!({ "suspend": true })), "[]");
    let both = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
    assert!(told(json!({ "timeZone": "UTC" })).ends_with(both));
}

#[test]
fn cells_are_those_of_kubectl() {
    let mut object = object(&json!({ "timeZone": "Europe/Berlin" }));
    object["status"] = json!({ "active": [{}], "lastScheduleTime": "2026-01-01T00:00:00Z" });
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let cells: Vec<Value> = COLUMNS.iter().map(|column| (column.cell)(&object, now)).collect();
    let expect = json!(["a", "@hourly", "Europe/Berlin", "False", 1, "60s", "<unknown>", "c", "a:1", "<none>"]);
    assert_eq!(Value::from(cells), expect);
}
