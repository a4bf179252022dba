//! Jobs on their way in: defaults, the selector made for them, checks, what may change, cells; statuses apart.

use serde_json::{Map, Value, json};

use super::*;

mod status;

const AT: &str = "2026-01-01T00:00:00Z";

/// A sound spec with these fields instead; null takes one away.
fn object(change: &Value) -> Value {
    let pods = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "a:1" }] });
    let mut spec = json!({ "template": { "spec": pods } });
    merge(&mut spec, change);
    json!({ "metadata": { "name": "pi", "uid": "u" }, "spec": spec })
}

fn merge(into: &mut Value, change: &Value) {
    crate::patch::merge(into, change.to_string().as_bytes()).expect("a sound change");
}

fn created(change: &Value) -> Value {
    let mut job = object(change);
    crate::default::apply(&mut job, crate::facts::ty(TYPE).expect("built in"));
    default(&mut job);
    let once = job.clone();
    default(&mut job);
    assert_eq!(job, once, "defaults are idempotent");
    prepare_create(&mut job, &Ctx { now: Timestamp::UNIX_EPOCH });
    job
}

fn told(errors: &Errors) -> Vec<String> {
    errors.0.iter().map(ToString::to_string).collect()
}

fn check(change: Value, expect: &[&str]) {
    let mut errors = Errors::new();
    validate::job(&created(&change), &mut errors);
    assert_eq!(told(&errors), expect, "{change}");
}

fn indexed(change: &Value) -> Value {
    let mut spec = json!({ "completionMode": "Indexed", "completions": 5, "parallelism": 2 });
    merge(&mut spec, change);
    spec
}

#[test]
fn what_is_left_open_is_filled_in() {
    let spec = created(&json!({}))["spec"].clone();
    let fields: Map<String, Value> =
        spec.as_object().unwrap().clone().into_iter().filter(|(name, _)| name != "template").collect();
    let expect = json!({
        "completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false,
        "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": false,
        "selector": { "matchLabels": { CONTROLLER_UID: "u" } },
    });
    assert_eq!(Value::from(fields), expect);
    let field = |change: Value, field: &str| created(&change)["spec"].get(field).cloned().unwrap_or_default();
    assert_eq!(field(json!({ "parallelism": 3 }), "completions"), Value::Null, "a queue of work");
    assert_eq!(field(json!({ "completions": 3 }), "parallelism"), 1);
    assert_eq!(field(indexed(&json!({ "backoffLimitPerIndex": 1 })), "backoffLimit"), i32::MAX);
    let rule = json!({ "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget" }] });
    let policy = json!({ "podFailurePolicy": { "rules": [rule] } });
    assert_eq!(field(policy.clone(), "podReplacementPolicy"), "Failed");
    assert_eq!(field(policy, "podFailurePolicy")["rules"][0]["onPodConditions"][0]["status"], "True");
}

#[test]
fn a_selector_is_made_unless_one_is_given() {
    let job = created(&json!({}));
    let labels = json!({ "controller-uid": "u", CONTROLLER_UID: "u", "job-name": "pi", JOB_NAME: "pi" });
    assert_eq!((&job["spec"]["template"]["metadata"]["labels"], &job["metadata"]["labels"]), (&labels, &labels));
    let own = created(&json!({ "template": { "metadata": { "labels": { "a": "b" } } } }));
    assert_eq!(own["metadata"]["labels"], json!({ "a": "b" }));
    check(
        json!({ "manualSelector": true }),
        &[
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
        ],
    );
    let labels = json!({ "a": "b" });
    let manual = json!({ "manualSelector": true, "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels } } });
    check(manual, &[]);
    check(
        json!({ "template": { "metadata": { "labels": { "job-name": "e" } } } }),
        &[concat!(
            r#"spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u","#,
            r#""batch.kubernetes.io/job-name":"pi","controller-uid":"u","job-name":"e"}: must be 'pi'"#
        )],
    );
    check(
        json!({ "selector": { "matchLabels": { "a": "b" } } }),
        &[
            r#"spec.selector: Invalid value: {"matchLabels":{"a":"b","batch.kubernetes.io/controller-uid":"u"}}: `selector` not auto-generated"#,
            concat!(
                r#"spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"u","#,
                r#""batch.kubernetes.io/job-name":"pi","controller-uid":"u","job-name":"pi"}: `selector` does not match template `labels`"#
            ),
        ],
    );
}

#[test]
fn numbers_and_modes_are_sound() {
    let negative = |field: &str| format!("spec.{field}: Invalid value: -1: must be greater than or equal to 0");
    for field in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"] {
        check(json!({ field: -1 }), &[&negative(field)]);
    }
    check(
        json!({ "completionMode": "Some" }),
        &[r#"spec.completionMode: Unsupported value: "Some": supported values: "NonIndexed", "Indexed""#],
    );
    check(
        json!({ "completionMode": "Indexed", "parallelism": 1 }),
        &["spec.completions: Required value: when completion mode is Indexed"],
    );
    check(
        indexed(&json!({ "parallelism": 100_001 })),
        &[
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
        ],
    );
    check(
        indexed(&json!({ "maxFailedIndexes": 6 })),
        &[
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
        ],
    );
    check(
        indexed(&json!({ "completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1 })),
        &[
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
        ],
    );
    check(
        json!({ "backoffLimitPerIndex": 1 }),
        &["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
    );
    check(
        json!({ "managedBy": "me" }),
        &[r#"spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")"#],
    );
    check(json!({ "managedBy": "acme.io/foo" }), &[]);
    let pods = |policy: &str| json!({ "template": { "spec": { "restartPolicy": policy } } });
    check(pods("Always"), &[r#"spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never""#]);
    check(pods("OnFailure"), &[]);
    check(
        json!({ "podReplacementPolicy": "No" }),
        &[r#"spec.podReplacementPolicy: Unsupported value: "No": supported values: "Failed", "TerminatingOrFailed""#],
    );
    let mut long = created(&indexed(&json!({})));
    meta::set_name(&mut long, "a".repeat(62));
    let mut errors = Errors::new();
    validate::job(&long, &mut errors);
    let why = format!("will not able to create pod with invalid DNS label: {}-4", "a".repeat(62));
    assert!(told(&errors).last().unwrap().ends_with(&why), "{errors}");
}

#[test]
fn policies_of_failure_are_sound() {
    let rules = |rule: Value| json!({ "podFailurePolicy": { "rules": [rule] } });
    let codes = |operator: &str, values: &[i32]| {
        rules(json!({ "action": "FailJob", "onExitCodes": { "operator": operator, "values": values } }))
    };
    let at = "spec.podFailurePolicy.rules[0]";
    let check = |change: Value, expect: &[&str]| {
        let expect: Vec<String> = expect.iter().map(|one| format!("{at}{one}")).collect();
        check(change, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check(codes("In", &[1, 42]), &[]);
    check(codes("In", &[0]), &[".onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"]);
    check(codes("NotIn", &[0]), &[]);
    check(
        codes("In", &[2, 1, 2]),
        &[".onExitCodes.values[2]: Duplicate value: 2", ".onExitCodes.values: Invalid value: [2,1,2]: must be ordered"],
    );
    check(codes("In", &[]), &[".onExitCodes.values: Invalid value: []: at least one value is required"]);
    check(codes("Of", &[1]), &[r#".onExitCodes.operator: Unsupported value: "Of": supported values: "In", "NotIn""#]);
    check(
        rules(json!({ "action": "Stop" })),
        &[
            r#".action: Unsupported value: "Stop": supported values: "Count", "FailIndex", "FailJob", "Ignore""#,
            ": Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        ],
    );
    check(
        rules(json!({ "action": "", "onPodConditions": [{ "type": "a", "status": "Maybe" }] })),
        &[
            r#".action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]"#,
            r#".onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown""#,
        ],
    );
    let codes = json!({ "operator": "In", "values": [1], "containerName": "x" });
    let both = json!({ "action": "FailIndex", "onExitCodes": codes, "onPodConditions": [{ "type": "a" }] });
    check(
        rules(both),
        &[
            r#".action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set"#,
            r#".onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template"#,
            ": Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
        ],
    );
}

#[test]
fn policies_of_success_are_sound() {
    let rules = |rule: Value| indexed(&json!({ "successPolicy": { "rules": [rule] } }));
    let at = "spec.successPolicy.rules[0]";
    check(rules(json!({ "succeededCount": 2, "succeededIndexes": "0-2" })), &[]);
    check(
        rules(json!({})),
        &[&format!("{at}: Required value: at least one of succeededCount or succeededIndexes must be specified")],
    );
    check(
        rules(json!({ "succeededCount": 6 })),
        &[&format!(
            "{at}.succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified completions)"
        )],
    );
    check(
        rules(json!({ "succeededCount": 3, "succeededIndexes": "0,1" })),
        &[&format!(
            "{at}.succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"
        )],
    );
    check(
        rules(json!({ "succeededIndexes": "0-9" })),
        &[&format!(
            "{at}.succeededIndexes: Invalid value: \"0-9\": error parsing succeededIndexes: too large index: \"9\""
        )],
    );
    check(
        json!({ "successPolicy": { "rules": [] } }),
        &[r#"spec.successPolicy: Invalid value: {"rules":[]}: requires indexed completion mode"#],
    );
}

/// What is told of a change, once; `old` is the Job with these fields beside.
fn updated(spec: Value, old: Value, change: Value, expect: &[&str]) {
    let mut before = created(&spec);
    merge(&mut before, &old);
    let mut new = before.clone();
    merge(&mut new, &change);
    workload::prepare_update(&mut new, &before);
    let mut errors = Errors::new();
    update::check(&new, &before, &mut errors);
    let short: Vec<String> = told(&errors).iter().map(|one| one.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(short, expect, "{change}");
}

#[test]
fn a_job_changes_only_where_it_may() {
    let spec = |change: Value| json!({ "spec": change });
    let none = || json!({});
    updated(
        none(),
        none(),
        spec(
            json!({ "parallelism": 5, "suspend": true, "backoffLimit": 1, "ttlSecondsAfterFinished": 1, "activeDeadlineSeconds": 9 }),
        ),
        &[],
    );
    updated(none(), none(), spec(json!({ "completions": 5 })), &["spec.completions"]);
    updated(indexed(&none()), none(), spec(json!({ "completions": 7, "parallelism": 7 })), &[]);
    updated(indexed(&none()), none(), spec(json!({ "completions": 7 })), &["spec.completions"]);
    updated(none(), none(), spec(json!({ "managedBy": "a.io/b" })), &["spec.managedBy"]);
    updated(none(), none(), spec(json!({ "completionMode": "Indexed" })), &["spec.completionMode"]);
    let nodes = || {
        json!({ "template": { "metadata": { "annotations": { "a": "b" } }, "spec": {
        "nodeSelector": { "a": "b" }, "tolerations": [{ "operator": "Exists" }],
        "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [] } },
        "containers": [{ "name": "c", "image": "a:1", "imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File", "resources": { "limits": { "cpu": "1" } } }],
    } } })
    };
    updated(none(), none(), spec(nodes()), &["spec.template"]);
    let suspended = || json!({ "suspend": true });
    updated(suspended(), none(), spec(nodes()), &[]);
    updated(suspended(), none(), spec(json!({ "template": { "spec": { "hostNetwork": true } } })), &["spec.template"]);
    let started = json!({ "status": { "startTime": AT } });
    updated(suspended(), started, spec(nodes()), &["spec.template"]);
    let conditions = json!([{ "type": "Suspended", "status": "True" }]);
    let stopped = json!({ "status": { "startTime": AT, "conditions": conditions } });
    updated(suspended(), stopped, spec(nodes()), &[]);
    updated(suspended(), json!({ "status": { "active": 1 } }), spec(nodes()), &["spec.template"]);
}

#[test]
fn cells_are_those_of_kubectl() {
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let check = |spec: Value, status: Value, expect: [&str; 3]| {
        let mut job = created(&spec);
        job["status"] = status;
        let cells = COLUMNS[1..4].iter().map(|column| (column.cell)(&job, now));
        assert_eq!(cells.collect::<Vec<_>>(), expect);
    };
    let holds = |name: &str| json!([{ "type": name, "status": "True" }]);
    check(json!({}), json!({}), ["Running", "0/1", ""]);
    check(json!({ "parallelism": 3 }), json!({ "startTime": AT, "succeeded": 1 }), ["Running", "1/1 of 3", "60s"]);
    check(json!({ "suspend": true }), json!({ "conditions": holds("Suspended") }), ["Suspended", "0/1", ""]);
    let ended = json!({ "startTime": AT, "completionTime": "2026-01-01T00:00:07Z", "succeeded": 1, "conditions": holds("Complete") });
    check(json!({}), ended, ["Complete", "1/1", "7s"]);
}
