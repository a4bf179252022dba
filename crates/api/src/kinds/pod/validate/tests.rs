//! Errors of pods, each beside what causes it.

use serde_json::{Value, json};

use super::super::{super::Kind, POD, tests::made};
use crate::field::{Errors, Path};

/// The errors of a sound pod that this was merged into, after it was filled in.
fn check(change: Value, expect: &[&str]) {
    let mut pod = json!({
        "metadata": { "name": "p", "namespace": "n" },
        "spec": { "containers": [{ "name": "a", "image": "i:1" }], "volumes": [{ "name": "v" }] },
    });
    crate::patch::merge(&mut pod, change.to_string().as_bytes()).expect("a patch");
    let kind: &Kind = &POD;
    let pod = made(pod);
    let mut errors = Errors::new();
    (kind.hooks.validate)(&pod, &mut errors);
    let got: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(got, expect, "{change}");
}

fn spec(spec: Value, expect: &[&str]) {
    check(json!({ "spec": spec }), expect);
}

/// As the only container, beside its name and image.
fn container(mut fields: Value, expect: &[&str]) {
    for (name, value) in [("name", "a"), ("image", "i:1")] {
        fields.as_object_mut().expect("an object").entry(name).or_insert_with(|| value.into());
    }
    spec(json!({ "containers": [fields] }), expect);
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
#[test]
fn a_pod_needs_a_container_with_a_name_and_an_image() {
    spec(json!({}), &[]);
    spec(json!({ "containers": null }), &["spec.containers: Required value"]);
    spec(
        json!({ "containers": [{}] }),
        &["spec.containers[0].name: Required value", "spec.containers[0].image: Required value"],
    );
    container(json!({ "name": "A" }), &[&format!(r#"spec.containers[0].name: Invalid value: "A": {LABEL}"#)]);
    container(
        json!({ "image": " i" }),
        &[r#"spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace"#],
    );
    let twice = json!([{ "name": "a", "image": "i" }, { "name": "a", "image": "i" }]);
    spec(json!({ "containers": twice }), &[r#"spec.containers[1].name: Duplicate value: "a""#]);
    spec(
        json!({ "initContainers": [{ "name": "a", "image": "i" }] }),
        &[r#"spec.initContainers[0].name: Duplicate value: "a""#],
    );
}

#[test]
fn words_are_among_those_known() {
    spec(
        json!({ "restartPolicy": "Sometimes" }),
        &[r#"spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never""#],
    );
    spec(
        json!({ "dnsPolicy": "x" }),
        &[
            r#"spec.dnsPolicy: Unsupported value: "x": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None""#,
        ],
    );
    container(
        json!({ "imagePullPolicy": "x" }),
        &[
            r#"spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never""#,
        ],
    );
    container(
        json!({ "terminationMessagePolicy": "x" }),
        &[
            r#"spec.containers[0].terminationMessagePolicy: Unsupported value: "x": supported values: "File", "FallbackToLogsOnError""#,
        ],
    );
    spec(
        json!({ "os": { "name": "x" } }),
        &[r#"spec.os: Unsupported value: "x": supported values: "linux", "windows""#],
    );
}

#[test]
fn ports_have_sound_names_and_numbers() {
    let port = |port: Value, expect: &[&str]| container(json!({ "ports": [port] }), expect);
    port(json!({ "containerPort": 80, "name": "http" }), &[]);
    port(json!({}), &["spec.containers[0].ports[0].containerPort: Required value"]);
    port(
        json!({ "containerPort": 70000 }),
        &["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
    );
    port(
        json!({ "containerPort": 80, "protocol": "x" }),
        &[r#"spec.containers[0].ports[0].protocol: Unsupported value: "x": supported values: "SCTP", "TCP", "UDP""#],
    );
    port(
        json!({ "containerPort": 80, "name": "a-very-long-name" }),
        &[r#"spec.containers[0].ports[0].name: Invalid value: "a-very-long-name": must be no more than 15 characters"#],
    );
    port(
        json!({ "containerPort": 80, "name": "80" }),
        &[r#"spec.containers[0].ports[0].name: Invalid value: "80": must contain at least one letter (a-z)"#],
    );
    port(
        json!({ "containerPort": 80, "name": "-a--" }),
        &[
            r#"spec.containers[0].ports[0].name: Invalid value: "-a--": must not contain consecutive hyphens"#,
            r#"spec.containers[0].ports[0].name: Invalid value: "-a--": must not begin or end with a hyphen"#,
        ],
    );
    container(
        json!({ "ports": [{ "containerPort": 1, "name": "a" }, { "containerPort": 2, "name": "a" }] }),
        &[r#"spec.containers[0].ports[1].name: Duplicate value: "a""#],
    );
    container(
        json!({ "ports": [{ "containerPort": 1, "hostPort": 8 }, { "containerPort": 2, "hostPort": 8 }] }),
        &[r#"spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8""#],
    );
    spec(
        json!({ "hostNetwork": true, "containers": [{ "name": "a", "image": "i", "ports": [{ "containerPort": 1, "hostPort": 2 }] }] }),
        &[
            "spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true",
        ],
    );
}
#[test]
fn probes_have_one_handler_and_sound_numbers() {
    let probe = |probe: Value, expect: &[&str]| container(json!({ "livenessProbe": probe }), expect);
    probe(json!({ "exec": { "command": ["x"] } }), &[]);
    probe(json!({}), &["spec.containers[0].livenessProbe: Required value: must specify a handler type"]);
    probe(
        json!({ "exec": { "command": ["x"] }, "tcpSocket": { "port": 1 } }),
        &["spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"],
    );
    probe(json!({ "exec": {} }), &["spec.containers[0].livenessProbe.exec.command: Required value"]);
    probe(
        json!({ "httpGet": { "port": "a_b" } }),
        &[
            r#"spec.containers[0].livenessProbe.httpGet.port: Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"#,
        ],
    );
    probe(
        json!({ "httpGet": { "port": 0 } }),
        &["spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    );
    probe(
        json!({ "httpGet": { "port": 1, "scheme": "x" } }),
        &[
            r#"spec.containers[0].livenessProbe.httpGet.scheme: Unsupported value: "x": supported values: "HTTP", "HTTPS""#,
        ],
    );
    probe(
        json!({ "tcpSocket": { "port": 1 }, "successThreshold": 2, "periodSeconds": -1 }),
        &[
            "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    );
    container(
        json!({ "readinessProbe": { "tcpSocket": { "port": 1 }, "terminationGracePeriodSeconds": 1 } }),
        &[
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
        ],
    );
    container(
        json!({ "lifecycle": { "preStop": { "sleep": { "seconds": 31 } } } }),
        &[
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ],
    );
}

#[test]
fn a_request_is_no_more_than_its_limit() {
    let resources = |resources: Value, expect: &[&str]| container(json!({ "resources": resources }), expect);
    resources(json!({ "requests": { "cpu": "1" }, "limits": { "cpu": "1" } }), &[]);
    resources(
        json!({ "requests": { "cpu": "2" }, "limits": { "cpu": "1" } }),
        &[r#"spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1"#],
    );
    resources(
        json!({ "requests": { "memory": "-1" } }),
        &[r#"spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0"#],
    );
    resources(
        json!({ "requests": { "x": "1" } }),
        &[
            r#"spec.containers[0].resources.requests[x]: Invalid value: "x": must be a standard resource type or fully qualified"#,
            r#"spec.containers[0].resources.requests[x]: Invalid value: "x": must be a standard resource for containers"#,
        ],
    );
    resources(
        json!({ "requests": { "example.com/x": "1" } }),
        &["spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"],
    );
    resources(
        json!({ "requests": { "example.com/x": "1" }, "limits": { "example.com/x": "2" } }),
        &[r#"spec.containers[0].resources.requests: Invalid value: "1": must be equal to example.com/x limit of 2"#],
    );
    resources(
        json!({ "limits": { "example.com/x": "500m" } }),
        &[
            r#"spec.containers[0].resources.limits[example.com/x]: Invalid value: "500m": must be an integer"#,
            r#"spec.containers[0].resources.requests[example.com/x]: Invalid value: "500m": must be an integer"#,
        ],
    );
    resources(
        json!({ "limits": { "hugepages-2Mi": "4Mi" } }),
        &["spec.containers[0].resources: Forbidden: HugePages require cpu or memory"],
    );
    spec(
        json!({ "resources": { "requests": { "cpu": "1" } }, "containers": [{ "name": "a", "image": "i", "resources": { "requests": { "cpu": "2" } } }] }),
        &[
            r#"spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2"#,
        ],
    );
}

#[test]
fn init_containers_that_end_have_no_probes() {
    let init = |fields: Value, expect: &[&str]| {
        let mut all = json!({ "name": "b", "image": "i" });
        crate::patch::merge(&mut all, fields.to_string().as_bytes()).expect("a patch");
        spec(json!({ "initContainers": [all] }), expect);
    };
    let probe = json!({ "exec": { "command": ["x"] } });
    init(json!({ "restartPolicy": "Always", "readinessProbe": probe }), &[]);
    init(
        json!({ "readinessProbe": probe }),
        &[
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ],
    );
}

#[test]
fn scheduling_rules_are_sound() {
    let toleration = |toleration: Value, expect: &[&str]| spec(json!({ "tolerations": [toleration] }), expect);
    toleration(json!({ "operator": "Exists" }), &[]);
    toleration(
        json!({ "value": "x" }),
        &[
            r#"spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys""#,
        ],
    );
    toleration(
        json!({ "key": "a", "operator": "Exists", "value": "x" }),
        &[r#"spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is 'Exists'"#],
    );
    toleration(
        json!({ "key": "a", "effect": "NoSchedule", "tolerationSeconds": 1 }),
        &[
            r#"spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be 'NoExecute' when `tolerationSeconds` is set"#,
        ],
    );
    toleration(
        json!({ "key": "a", "effect": "x" }),
        &[
            r#"spec.tolerations[0].effect: Unsupported value: "x": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute""#,
        ],
    );
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    spec(
        json!({ "affinity": { "nodeAffinity": { required: { "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "a", "operator": "In" }] }] } } } }),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ],
    );
    spec(
        json!({ "affinity": { "podAntiAffinity": { required: [{ "labelSelector": {} }] } } }),
        &[
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must be non-empty",
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ],
    );
    spec(
        json!({ "topologySpreadConstraints": [{ "maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x" }] }),
        &[
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
            r#"spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "x": supported values: "DoNotSchedule", "ScheduleAnyway""#,
        ],
    );
}

#[test]
fn rights_are_sound() {
    spec(
        json!({ "securityContext": { "runAsUser": -1 } }),
        &["spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
    );
    spec(
        json!({ "securityContext": { "seccompProfile": { "type": "Localhost" } } }),
        &[
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        ],
    );
    spec(
        json!({ "hostNetwork": true, "securityContext": { "sysctls": [{ "name": "net.core.somaxconn", "value": "1" }] } }),
        &[
            r#"spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be specified when 'hostNetwork' is true"#,
        ],
    );
    container(
        json!({ "securityContext": { "privileged": true, "allowPrivilegeEscalation": false } }),
        &[
            r#"spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"#,
        ],
    );
    container(
        json!({ "securityContext": { "procMount": "Unmasked" } }),
        &[
            r#"spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`"#,
        ],
    );
}

#[test]
fn names_and_addresses_are_sound() {
    spec(json!({ "hostname": "a.b" }), &[r#"spec.hostname: Invalid value: "a.b": must not contain dots"#]);
    spec(
        json!({ "activeDeadlineSeconds": 0 }),
        &["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
    );
    spec(
        json!({ "hostAliases": [{ "ip": "x", "hostnames": ["a"] }] }),
        &[
            r#"spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#,
        ],
    );
    spec(
        json!({ "dnsPolicy": "None" }),
        &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    );
    spec(json!({ "dnsConfig": { "searches": ["_a.b", "."] } }), &[]);
    spec(
        json!({ "dnsConfig": { "nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"] } }),
        &[
            r#"spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]: must not have more than 3 nameservers"#,
        ],
    );
    spec(
        json!({ "nodeName": "n", "schedulingGates": [{ "name": "g" }] }),
        &["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    );
    spec(
        json!({ "ephemeralContainers": [{ "name": "e", "image": "i" }] }),
        &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    );
    check(
        json!({ "metadata": { "resourceVersion": "1" }, "spec": { "ephemeralContainers": [
            { "name": "e", "image": "i", "ports": [{ "containerPort": 1 }], "targetContainerName": "x" },
        ] } }),
        &[
            r#"spec.ephemeralContainers[0].targetContainerName: Not found: "x""#,
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
        ],
    );
    check(
        json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } }),
        &[
            r#"metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set"#,
        ],
    );
}

#[test]
fn a_template_is_checked_where_it_lies() {
    let owner = Path::new("spec");
    let mut template = json!({ "metadata": { "labels": { "a": "-" } }, "spec": { "containers": [{ "name": "a" }] } });
    super::super::template::default(&mut template);
    let mut errors = Errors::new();
    super::super::template::validate(&template, &owner.child("template"), &mut errors);
    let fields: Vec<&str> = errors.0.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["spec.template.labels", "spec.template.spec.containers[0].image"]);
}

mod content;
