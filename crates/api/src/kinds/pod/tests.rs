//! Defaults, quality of service, binding and what kubectl prints.

use serde_json::json;

use super::*;
use crate::facts;

/// A defaulted pod with this spec and status.
pub(super) fn made(mut pod: Value) -> Value {
    crate::default::apply(&mut pod, facts::ty(TYPE).expect("built in"));
    (POD.hooks.default)(&mut pod);
    pod
}

fn container(extra: &Value) -> Value {
    let mut container = json!({ "name": "a", "image": "busybox" });
    crate::patch::merge(&mut container, extra.to_string().as_bytes()).expect("a patch");
    container
}

#[test]
fn a_pod_is_filled_in_as_upstream_does() {
    let pod = made(json!({ "metadata": { "name": "p" }, "spec": { "containers": [container(&json!({}))] } }));
    let expect = json!({
        "containers": [{
            "name": "a", "image": "busybox", "imagePullPolicy": "Always", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }],
        "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "restartPolicy": "Always",
        "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30,
    });
    assert_eq!(pod["spec"], expect);
    assert_eq!(made(pod.clone()), pod);
}

/// `pointer` of a pod with these fields in its first container, or in its spec, is `expect` once it is filled in.
fn check(in_container: Value, in_spec: Value, pointer: &str, expect: Value) {
    let mut spec = json!({ "containers": [container(&in_container)] });
    crate::patch::merge(&mut spec, in_spec.to_string().as_bytes()).expect("a patch");
    let pod = made(json!({ "metadata": { "name": "p" }, "spec": spec }));
    assert_eq!(pod.pointer(pointer), Some(&expect), "{pointer} of {pod}");
    assert_eq!(made(pod.clone()), pod, "twice");
}

#[test]
fn the_tag_says_when_to_pull() {
    let policy = |image: &str, expect: &str| {
        check(json!({ "image": image }), json!({}), "/spec/containers/0/imagePullPolicy", expect.into());
    };
    policy("busybox", "Always");
    policy("busybox:latest", "Always");
    policy("localhost:5000/busybox", "Always");
    policy("busybox:1.36", "IfNotPresent");
    policy("localhost:5000/busybox:1", "IfNotPresent");
    policy("busybox@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "IfNotPresent");
    policy("a/b:latest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "Always");
}

#[test]
fn parts_of_containers_and_volumes_are_filled_in() {
    let first = "/spec/containers/0";
    let probe = json!({ "failureThreshold": 3, "httpGet": { "path": "/", "port": 80, "scheme": "HTTP" }, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1 });
    check(
        json!({ "livenessProbe": { "httpGet": { "port": 80 } } }),
        json!({}),
        &format!("{first}/livenessProbe"),
        probe,
    );
    check(
        json!({ "lifecycle": { "preStop": { "httpGet": { "port": 80, "path": "/x" } } } }),
        json!({}),
        &format!("{first}/lifecycle/preStop/httpGet"),
        json!({ "path": "/x", "port": 80, "scheme": "HTTP" }),
    );
    check(
        json!({ "env": [{ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }] }),
        json!({}),
        &format!("{first}/env/0/valueFrom/fieldRef/apiVersion"),
        "v1".into(),
    );
    check(
        json!({ "ports": [{ "containerPort": 80 }] }),
        json!({ "hostNetwork": true }),
        &format!("{first}/ports/0"),
        json!({ "containerPort": 80, "hostPort": 80, "protocol": "TCP" }),
    );
    check(
        json!({ "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "500m" } } }),
        json!({}),
        &format!("{first}/resources/requests"),
        json!({ "cpu": "500m", "memory": "1Gi" }),
    );
    let volume =
        |volume: Value, expect: Value| check(json!({}), json!({ "volumes": [volume] }), "/spec/volumes/0", expect);
    volume(json!({ "name": "v" }), json!({ "name": "v", "emptyDir": {} }));
    volume(
        json!({ "name": "v", "secret": { "secretName": "s" } }),
        json!({ "name": "v", "secret": { "secretName": "s", "defaultMode": 420 } }),
    );
    volume(
        json!({ "name": "v", "hostPath": { "path": "/x" } }),
        json!({ "name": "v", "hostPath": { "path": "/x", "type": "" } }),
    );
    volume(
        json!({ "name": "v", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }, { "downwardAPI": { "items": [{ "path": "n", "fieldRef": { "fieldPath": "metadata.name" } }] } }] } }),
        json!({ "name": "v", "projected": { "defaultMode": 420, "sources": [
            { "serviceAccountToken": { "path": "t", "expirationSeconds": 3600 } },
            { "downwardAPI": { "items": [{ "path": "n", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.name" } }] } },
        ] } }),
    );
    check(json!({}), json!({ "serviceAccount": "s" }), "/spec/serviceAccountName", "s".into());
    check(json!({}), json!({ "serviceAccountName": "s" }), "/spec/serviceAccount", "s".into());
}

#[test]
fn keys_become_part_of_the_selector_of_a_new_pod() {
    let rule = |fields: Value| {
        let mut rule = json!({ "topologyKey": "z", "labelSelector": {} });
        crate::patch::merge(&mut rule, fields.to_string().as_bytes()).expect("a patch");
        rule
    };
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let check = |fields: Value, expect: Value| {
        let affinity = json!({ "podAntiAffinity": { required: [rule(fields)] } });
        let mut pod = json!({ "metadata": { "labels": { "a": "1" } }, "spec": { "affinity": affinity } });
        label_keys::merge(&mut pod);
        let term = &pod["spec"]["affinity"]["podAntiAffinity"][required][0];
        assert_eq!(term.get("labelSelector").unwrap_or(&Value::Null), &expect);
    };
    check(
        json!({ "matchLabelKeys": ["a"] }),
        json!({ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["1"] }] }),
    );
    check(
        json!({ "mismatchLabelKeys": ["a"] }),
        json!({ "matchExpressions": [{ "key": "a", "operator": "NotIn", "values": ["1"] }] }),
    );
    check(json!({ "matchLabelKeys": ["b"] }), json!({}));
    check(json!({ "matchLabelKeys": ["a"], "labelSelector": null }), Value::Null);
}

#[test]
fn a_template_keeps_open_what_is_decided_for_each_pod() {
    let mut template = json!({ "spec": { "hostNetwork": true, "containers": [container(&json!({
        "ports": [{ "containerPort": 80 }], "resources": { "limits": { "cpu": "1" } } }))] } });
    template::default(&mut template);
    assert_eq!(template.pointer("/spec/enableServiceLinks"), None);
    assert_eq!(template.pointer("/spec/containers/0/resources/requests"), None);
    assert_eq!(template.pointer("/spec/containers/0/ports/0/hostPort"), None);
    assert_eq!(template.pointer("/spec/restartPolicy"), Some(&"Always".into()));
    assert_eq!(template.pointer("/spec/containers/0/imagePullPolicy"), Some(&"Always".into()));
}

#[test]
fn addresses_of_a_status_tell_the_same() {
    let check = |status: Value, expect: Value| {
        let mut pod = json!({ "status": status });
        default::pod(&mut pod);
        assert_eq!(pod["status"], expect);
    };
    check(json!({ "podIP": "10.0.0.1" }), json!({ "podIP": "10.0.0.1", "podIPs": [{ "ip": "10.0.0.1" }] }));
    check(
        json!({ "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] }),
        json!({ "podIP": "10.0.0.1", "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] }),
    );
}

#[test]
fn the_class_follows_from_what_is_asked_for() {
    let check = |containers: Value, expect: &str| {
        let pod = made(json!({ "spec": { "containers": containers } }));
        assert_eq!(qos::class(&pod), expect, "{pod}");
    };
    check(json!([{}]), "BestEffort");
    check(json!([{ "resources": { "requests": { "cpu": "0" } } }]), "BestEffort");
    check(json!([{ "resources": { "requests": { "cpu": "1" } } }]), "Burstable");
    check(json!([{ "resources": { "limits": { "cpu": "1", "memory": "1Gi" } } }]), "Guaranteed");
    check(json!([{ "resources": { "limits": { "cpu": "1", "memory": "1Gi" } } }, {}]), "Burstable");
    check(
        json!([{ "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1000m" } } }]),
        "Guaranteed",
    );
    check(
        json!([{ "resources": { "limits": { "cpu": "2", "memory": "1Gi" }, "requests": { "cpu": "1" } } }]),
        "Burstable",
    );
    check(json!([{ "resources": { "limits": { "example.com/x": "1" } } }]), "BestEffort");
}

#[test]
fn only_a_free_pod_is_bound() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let binding = json!({ "metadata": { "annotations": { "a": "1" } }, "target": { "kind": "Node", "name": "n" } });
    let mut pod = json!({ "metadata": { "name": "p" }, "spec": {}, "status": { "nominatedNodeName": "m" } });
    binding::bind(&mut pod, &binding, now).expect("it is free");
    assert_eq!(pod["spec"]["nodeName"], "n");
    assert_eq!(pod["metadata"]["annotations"], json!({ "a": "1" }));
    let scheduled = json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
    assert_eq!(pod["status"], json!({ "conditions": [scheduled] }));
    let check = |mut pod: Value, expect: &str| {
        let why = binding::bind(&mut pod, &binding, now).expect_err("it is not free").to_string();
        assert_eq!(why, expect);
    };
    check(pod, r#"pod p is already assigned to node "n""#);
    let dying = json!({ "metadata": { "name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z" }, "spec": {} });
    check(dying, "pod p is being deleted, cannot be assigned to a host");
    let gated = json!({ "metadata": { "name": "p" }, "spec": { "schedulingGates": [{ "name": "g" }] } });
    check(gated, "pod p has non-empty .spec.schedulingGates");
}

/// Ready, status and restarts of a pod as printed at midnight.
fn printed(pod: Value, expect: [&str; 3]) {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let cells: Vec<Value> = table::COLUMNS[1..4].iter().map(|column| (column.cell)(&pod, now)).collect();
    assert_eq!(cells, expect, "{pod}");
}

#[test]
fn kubectl_prints_what_a_pod_is_doing() {
    let spec = json!({ "containers": [{ "name": "a" }, { "name": "b" }] });
    let status = |status: Value| json!({ "metadata": {}, "spec": spec, "status": status });
    printed(status(json!({ "phase": "Pending" })), ["0/2", "Pending", "0"]);
    printed(
        status(json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "reason": "SchedulingGated" }] })),
        ["0/2", "SchedulingGated", "0"],
    );
    printed(
        status(
            json!({ "phase": "Pending", "containerStatuses": [{ "state": { "waiting": { "reason": "ContainerCreating" } } }] }),
        ),
        ["0/2", "ContainerCreating", "0"],
    );
    let running = json!({ "ready": true, "state": { "running": {} } });
    printed(status(json!({ "phase": "Running", "containerStatuses": [running, running] })), ["2/2", "Running", "0"]);
    let back_off = json!({
        "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        "lastState": { "terminated": { "finishedAt": "2025-12-31T23:59:55Z" } },
    });
    printed(
        status(json!({ "phase": "Running", "containerStatuses": [back_off, running] })),
        ["1/2", "CrashLoopBackOff", "3 (5s ago)"],
    );
    let done = json!({ "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } });
    printed(status(json!({ "phase": "Succeeded", "containerStatuses": [done, done] })), ["0/2", "Completed", "0"]);
    printed(
        status(
            json!({ "phase": "Running", "containerStatuses": [done, running], "conditions": [{ "type": "Ready", "status": "True" }] }),
        ),
        ["1/2", "Running", "0"],
    );
    printed(status(json!({ "phase": "Running", "containerStatuses": [done, running] })), ["1/2", "NotReady", "0"]);
    let ended = |ended: Value| json!({ "state": { "terminated": ended } });
    let failed = |state: Value, word: &str| {
        printed(status(json!({ "phase": "Failed", "containerStatuses": [ended(state)] })), ["0/2", word, "0"]);
    };
    failed(json!({ "exitCode": 1, "reason": "Error" }), "Error");
    failed(json!({ "exitCode": 137, "reason": "OOMKilled" }), "OOMKilled");
    failed(json!({ "exitCode": 3 }), "ExitCode:3");
    failed(json!({ "exitCode": 137, "signal": 9 }), "Signal:9");
    printed(status(json!({ "phase": "Failed", "reason": "Evicted" })), ["0/2", "Evicted", "0"]);
    let mut dying = status(json!({ "phase": "Running", "containerStatuses": [running, running] }));
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z".into();
    printed(dying.clone(), ["2/2", "Terminating", "0"]);
    dying["status"]["phase"] = "Succeeded".into();
    printed(dying.clone(), ["2/2", "Succeeded", "0"]);
    dying["status"]["reason"] = "NodeLost".into();
    printed(dying, ["2/2", "Unknown", "0"]);
}

#[test]
fn kubectl_prints_how_far_initialization_is() {
    let spec = json!({
        "initContainers": [{ "name": "i" }, { "name": "s", "restartPolicy": "Always" }], "containers": [{ "name": "a" }],
    });
    let check = |init: Value, own: Value, expect: [&str; 3]| {
        let status = json!({ "phase": "Pending", "initContainerStatuses": init, "containerStatuses": own });
        printed(json!({ "metadata": {}, "spec": spec, "status": status }), expect);
    };
    let done = json!({ "name": "i", "state": { "terminated": { "exitCode": 0 } } });
    let sidecar = json!({ "name": "s", "started": true, "ready": true, "restartCount": 1, "state": { "running": {} } });
    let running = json!({ "ready": true, "state": { "running": {} } });
    check(json!([{ "name": "i", "state": { "running": {} } }]), json!([]), ["0/2", "Init:0/2", "0"]);
    check(json!([done, { "name": "s", "state": { "running": {} } }]), json!([]), ["0/2", "Init:1/2", "0"]);
    check(
        json!([{ "name": "i", "restartCount": 2, "state": { "waiting": { "reason": "CrashLoopBackOff" } } }]),
        json!([]),
        ["0/2", "Init:CrashLoopBackOff", "2"],
    );
    check(
        json!([{ "name": "i", "state": { "waiting": { "reason": "PodInitializing" } } }]),
        json!([]),
        ["0/2", "Init:0/2", "0"],
    );
    check(
        json!([{ "name": "i", "state": { "terminated": { "exitCode": 1, "reason": "Error" } } }]),
        json!([]),
        ["0/2", "Init:Error", "0"],
    );
    check(
        json!([{ "name": "i", "state": { "terminated": { "exitCode": 2 } } }]),
        json!([]),
        ["0/2", "Init:ExitCode:2", "0"],
    );
    check(json!([done, sidecar]), json!([running]), ["2/2", "Pending", "1"]);
}

#[test]
fn wide_output_tells_where_it_runs() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let check = |pod: Value, expect: [&str; 4]| {
        let cells: Vec<Value> = table::COLUMNS[5..].iter().map(|column| (column.cell)(&pod, now)).collect();
        assert_eq!(cells, expect);
    };
    check(json!({}), ["<none>", "<none>", "<none>", "<none>"]);
    check(
        json!({
            "spec": { "nodeName": "n", "readinessGates": [{ "conditionType": "g" }, { "conditionType": "h" }] },
            "status": { "podIPs": [{ "ip": "10.0.0.1" }], "conditions": [{ "type": "g", "status": "True" }] },
        }),
        ["10.0.0.1", "n", "<none>", "1/2"],
    );
}
