//! Changes that are let pass, and what is told of others.

use serde_json::{Value, json};

use super::super::{POD, tests::made};
use crate::field::Errors;

fn pod(change: &Value) -> Value {
    let mut pod = json!({
        "metadata": { "name": "p", "namespace": "n", "resourceVersion": "1" },
        "spec": { "containers": [{ "name": "a", "image": "i:1" }], "restartPolicy": "Never" },
        "status": { "phase": "Running", "qosClass": "BestEffort" },
    });
    crate::patch::merge(&mut pod, change.to_string().as_bytes()).expect("a patch");
    made(pod)
}

fn errors(part: &str, new: &Value, old: &Value) -> Vec<String> {
    let mut errors = Errors::new();
    super::part(part, new, old, &mut errors);
    errors.0.iter().map(ToString::to_string).collect()
}

/// The errors of changing a pod from what `before` makes of it to what `after` makes of that.
fn check(part: &str, before: Value, after: Value, expect: &[&str]) {
    let old = pod(&before);
    let mut new = old.clone();
    crate::patch::merge(&mut new, after.to_string().as_bytes()).expect("a patch");
    assert_eq!(errors(part, &new, &old), expect, "{before} -> {after}");
}

#[test]
fn little_of_a_spec_may_change() {
    let spec = |before: Value, after: Value, expect: &[&str]| {
        check("", json!({ "spec": before }), json!({ "spec": after }), expect);
    };
    let mut other = pod(&json!({}))["spec"]["containers"].clone();
    other[0]["image"] = "i:2".into();
    spec(json!({}), json!({ "containers": other }), &[]);
    spec(json!({}), json!({ "activeDeadlineSeconds": 5 }), &[]);
    spec(json!({}), json!({ "tolerations": [{ "operator": "Exists" }] }), &[]);
    spec(
        json!({ "activeDeadlineSeconds": 5 }),
        json!({ "activeDeadlineSeconds": 6 }),
        &["spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"],
    );
    spec(
        json!({ "activeDeadlineSeconds": 5 }),
        json!({ "activeDeadlineSeconds": null }),
        &["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"],
    );
    spec(
        json!({ "tolerations": [{ "key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1 }] }),
        json!({ "tolerations": [{ "key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2 }] }),
        &[],
    );
    spec(
        json!({ "tolerations": [{ "operator": "Exists" }] }),
        json!({ "tolerations": null }),
        &["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
    );
    spec(
        json!({}),
        json!({ "containers": [] }),
        &["spec.containers: Forbidden: pod updates may not add or remove containers"],
    );
    spec(json!({ "schedulingGates": [{ "name": "g" }] }), json!({ "schedulingGates": null }), &[]);
    spec(
        json!({}),
        json!({ "schedulingGates": [{ "name": "g" }] }),
        &["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"],
    );
    let gated = json!({ "schedulingGates": [{ "name": "g" }], "nodeSelector": { "a": "1" } });
    spec(gated.clone(), json!({ "nodeSelector": { "b": "2" } }), &[]);
    spec(
        gated,
        json!({ "nodeSelector": { "a": "2" } }),
        &[
            r#"spec.nodeSelector: Invalid value: {"a":"2"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)"#,
        ],
    );
    spec(
        json!({}),
        json!({ "hostname": "h" }),
        &[
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n+ hostname: \"h\"",
        ],
    );
}

#[test]
fn a_status_does_not_go_back() {
    let status = |before: Value, after: Value, expect: &[&str]| {
        check("status", json!({ "status": before }), json!({ "status": after }), expect);
    };
    let state = |state: Value| json!({ "containerStatuses": [{ "name": "a", "state": state }] });
    status(json!({}), json!({ "phase": "Succeeded" }), &[]);
    status(
        json!({}),
        json!({ "qosClass": "Guaranteed" }),
        &[r#"status.qosClass: Invalid value: "Guaranteed": field is immutable"#],
    );
    status(
        state(json!({ "terminated": { "exitCode": 1 } })),
        state(json!({ "running": {} })),
        &["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"],
    );
    status(
        json!({}),
        json!({ "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "10.0.0.2" }] }),
        &[
            r#"status.podIPs: Invalid value: [{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}]: may specify no more than one IP for each IP family"#,
        ],
    );
    status(json!({}), json!({ "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] }), &[]);
}

#[test]
fn ephemeral_containers_only_come() {
    let with = |list: Value| json!({ "spec": { "ephemeralContainers": list } });
    let one = json!({ "name": "e", "image": "i" });
    check("ephemeralcontainers", json!({}), with(json!([one])), &[]);
    check(
        "ephemeralcontainers",
        with(json!([one])),
        with(json!([])),
        &["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be removed\n"],
    );
    check(
        "ephemeralcontainers",
        json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } }),
        with(json!([one])),
        &["[]: Forbidden: static pods do not support ephemeral containers"],
    );
}

#[test]
fn a_resize_changes_amounts_and_not_the_class() {
    let with = |requests: Value| json!({ "spec": { "containers": [{ "name": "a", "image": "i:1", "resources": { "requests": requests } }] }, "status": { "qosClass": "Burstable" } });
    let (old, new) = (pod(&with(json!({ "cpu": "1" }))), pod(&with(json!({ "cpu": "2" }))));
    assert_eq!(errors("resize", &new, &old), [""; 0]);
    let none = pod(&with(json!({ "memory": "1Gi" })));
    assert_eq!(
        errors("resize", &none, &old),
        ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"],
    );
    let guaranteed = json!({ "spec": { "containers": [{ "name": "a", "image": "i:1", "resources": { "limits": { "cpu": "1", "memory": "1Gi" } } }] }, "status": { "qosClass": "Burstable" } });
    let told = errors("resize", &pod(&guaranteed), &old);
    assert_eq!(told[0], r#"spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing"#);
}

#[test]
fn parts_take_only_what_is_theirs() {
    let old = pod(&json!({}));
    let mut new = pod(
        &json!({ "spec": { "hostname": "h", "ephemeralContainers": [{ "name": "e", "image": "i" }] }, "status": { "phase": "Failed" } }),
    );
    (POD.subresource("ephemeralcontainers").expect("a part").prepare_update)(&mut new, &old);
    assert_eq!((&new["spec"]["hostname"], &new["status"]["phase"]), (&Value::Null, &json!("Running")));
    assert_eq!(new["spec"]["ephemeralContainers"][0]["name"], "e");
    let mut new = pod(&json!({ "spec": { "nodeName": "n" }, "status": { "phase": "Failed", "qosClass": null } }));
    (POD.subresource("status").expect("a part").prepare_update)(&mut new, &old);
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["status"], json!({ "phase": "Failed", "qosClass": "BestEffort" }));
}
