//! Admission, capacity, conditions and static pods, by tables.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::model::Pod;

fn node() -> Value {
    json!({
        "metadata": {"name": "n1", "labels": {"zone": "a", "size": "10"}},
        "spec": {"taints": [{"key": "old", "effect": "NoExecute"}, {"key": "busy", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "3"}},
    })
}

fn pod(spec: Value) -> Pod {
    let mut spec = spec;
    if spec.get("tolerations").is_none() {
        spec["tolerations"] = json!([{"key": "old", "operator": "Exists"}]);
    }
    Pod::read(&json!({"metadata": {"name": "p", "uid": "u"}, "spec": spec})).unwrap()
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]})
}

fn check(spec: Value, others: &[Value], expect: Result<(), (&str, &str)>) {
    let others: Vec<Pod> = others.iter().cloned().map(pod).collect();
    let found = admit(&pod(spec.clone()), &others, &node());
    let expect = expect.map_err(|(reason, message)| (reason.to_owned(), format!("Pod was rejected: {message}")));
    assert_eq!(found.map_err(|verdict| (verdict.reason, verdict.message)), expect, "{spec}");
}

#[test]
fn resources_have_to_be_left() {
    check(asks("1", "512Mi"), &[asks("1", "512Mi")], Ok(()));
    let cpu = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000";
    check(asks("1500m", "1Mi"), &[asks("1", "1Mi")], Err(("OutOfcpu", cpu)));
    let memory = "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824";
    check(asks("1", "2Gi"), &[], Err(("OutOfmemory", memory)));
    let pods = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3";
    check(json!({}), &[json!({}), json!({}), json!({})], Err(("OutOfpods", pods)));
    let sidecar = json!({
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
            {"name": "i", "resources": {"requests": {"cpu": "1500m"}}},
        ],
        "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}}}],
    });
    let both = "Node didn't have enough resource: cpu, requested: 2500, used: 0, capacity: 2000";
    check(sidecar, &[], Err(("OutOfcpu", both)));
}

#[test]
fn labels_ports_and_taints_have_to_fit() {
    let affinity = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    check(json!({"nodeSelector": {"zone": "a"}}), &[], Ok(()));
    check(json!({"nodeSelector": {"zone": "b"}}), &[], Err(("NodeAffinity", affinity)));
    let required = |term: Value| json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}});
    check(required(json!({"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["5"]}]})), &[], Ok(()));
    check(
        required(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]})),
        &[],
        Ok(()),
    );
    check(required(json!({})), &[], Err(("NodeAffinity", affinity)));
    check(
        required(json!({"matchExpressions": [{"key": "zone", "operator": "DoesNotExist"}]})),
        &[],
        Err(("NodeAffinity", affinity)),
    );
    let name = "Predicate NodeName failed: node(s) didn't match the requested node name";
    check(json!({"nodeName": "n2"}), &[], Err(("NodeName", name)));
    let port = |ip: &str, protocol: &str| json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80, "hostIP": ip, "protocol": protocol}]}]});
    let ports = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
    check(port("", "TCP"), &[port("10.0.0.1", "TCP")], Err(("NodePorts", ports)));
    check(port("10.0.0.2", "TCP"), &[port("10.0.0.1", "TCP")], Ok(()));
    check(port("", "UDP"), &[port("", "TCP")], Ok(()));
    let taint = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate";
    check(json!({"tolerations": []}), &[], Err(("TaintToleration", taint)));
    check(json!({"tolerations": [{"operator": "Exists"}]}), &[], Ok(()));
    check(
        json!({"tolerations": [{"key": "old", "operator": "Equal", "value": "x"}]}),
        &[],
        Err(("TaintToleration", taint)),
    );
}

fn healthy() -> Facts {
    Facts {
        cpu_milli: 2_000,
        memory_bytes: 8 << 30,
        disk_bytes: 100 << 30,
        pods_max: 110,
        memory_bytes_free: 4 << 30,
        disk_bytes_free: 50 << 30,
        inodes: Some((90, 100)),
        pids: Some((100, 1_000)),
        ..Facts::default()
    }
}

#[test]
fn what_is_kept_cannot_be_allocated() {
    let mut facts = healthy();
    facts.reserved.insert("cpu".into(), json!("500m"));
    let found = plan(&facts, &[], Timestamp::UNIX_EPOCH);
    let text = |list: &ResourceList, name: &str| list[name].as_str().unwrap().to_owned();
    let row = |name: &str| (text(&found.capacity, name), text(&found.allocatable, name));
    assert_eq!(row("cpu"), ("2".into(), "1500m".into()));
    assert_eq!(row("memory"), ("8Gi".into(), "8092Mi".into()));
    assert_eq!(row("pods"), ("110".into(), "110".into()));
    assert_eq!(row("ephemeral-storage").0, "100Gi");
}

#[test]
fn conditions_follow_facts_and_keep_their_times() {
    let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
    let check = |change: fn(&mut Facts), old: &[Value], kind: &str, expect: &str| {
        let mut facts = healthy();
        change(&mut facts);
        let found = plan(&facts, old, now);
        let one = found.conditions.iter().find(|one| one["type"] == kind).unwrap();
        let field = |name: &str| one[name].as_str().unwrap().to_owned();
        assert_eq!([field("status"), field("reason"), field("lastTransitionTime")].join(" "), expect);
        found
    };
    let start = "2026-01-01T01:00:00Z";
    check(|_| {}, &[], "Ready", &format!("True KubeletReady {start}"));
    check(|_| {}, &[], "MemoryPressure", &format!("False KubeletHasSufficientMemory {start}"));
    check(
        |facts| facts.memory_bytes_free = 1,
        &[],
        "MemoryPressure",
        &format!("True KubeletHasInsufficientMemory {start}"),
    );
    check(|facts| facts.disk_bytes_free = 1, &[], "DiskPressure", &format!("True KubeletHasDiskPressure {start}"));
    check(
        |facts| facts.inodes = Some((1, 1_000)),
        &[],
        "DiskPressure",
        &format!("True KubeletHasDiskPressure {start}"),
    );
    check(
        |facts| facts.pids = Some((999, 1_000)),
        &[],
        "PIDPressure",
        &format!("True KubeletHasInsufficientPID {start}"),
    );
    let old = |status: &str, at: &str| {
        [
            json!({"type": "DiskPressure", "status": status, "lastTransitionTime": at}),
            json!({"type": "Other", "status": "True"}),
        ]
    };
    let found = check(
        |_| {},
        &old("False", "2025-01-01T00:00:00Z"),
        "DiskPressure",
        "False KubeletHasNoDiskPressure 2025-01-01T00:00:00Z",
    );
    assert_eq!(found.conditions.last().unwrap()["type"], "Other");
    let found = check(
        |_| {},
        &old("True", "2026-01-01T00:58:00Z"),
        "DiskPressure",
        "True KubeletHasDiskPressure 2026-01-01T00:58:00Z",
    );
    assert_eq!(found.wake_at, Some("2026-01-01T01:03:00Z".parse().unwrap()));
    check(
        |_| {},
        &old("True", "2026-01-01T00:50:00Z"),
        "DiskPressure",
        &format!("False KubeletHasNoDiskPressure {start}"),
    );
    let down = format!("False KubeletNotReady {start}");
    let found = check(|facts| silent(facts, "2026-01-01T00:59:45Z"), &[], "Ready", &down);
    assert_eq!(found.conditions[3]["message"], "container runtime is down: x");
    let ready = [json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"})];
    let found =
        check(|facts| silent(facts, "2026-01-01T00:59:45Z"), &ready, "Ready", "True KubeletReady 2026-01-01T00:00:00Z");
    assert_eq!(found.wake_at, Some("2026-01-01T01:00:15Z".parse().unwrap()));
    check(|facts| silent(facts, "2026-01-01T00:59:30Z"), &ready, "Ready", &down);
}

fn silent(facts: &mut Facts, since: &str) {
    facts.runtime_silence = Some(Silence { why: "x".into(), since: since.parse().unwrap() });
}

#[test]
fn a_file_makes_a_pod_and_its_mirror() {
    let file = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}});
    let pod = static_pod(&file, "n1").unwrap();
    assert_eq!(
        (&pod["metadata"]["name"], &pod["metadata"]["namespace"], &pod["spec"]["nodeName"]),
        (&json!("p-n1"), &json!("default"), &json!("n1"))
    );
    assert_eq!(pod["metadata"]["uid"], static_pod(&file, "n1").unwrap()["metadata"]["uid"]);
    assert_ne!(pod["metadata"]["uid"], static_pod(&file, "n2").unwrap()["metadata"]["uid"]);
    let mirror = mirror(&pod);
    assert!(mirror["metadata"].get("uid").is_none());
    assert_eq!(
        mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"],
        pod["metadata"]["annotations"]["kubernetes.io/config.hash"]
    );
    assert_eq!(static_pod(&json!({"kind": "Job"}), "n1"), Err(StaticPodError::Kind("Job".into())));
    assert_eq!(static_pod(&json!({"kind": "Pod"}), "n1"), Err(StaticPodError::Name));
}
