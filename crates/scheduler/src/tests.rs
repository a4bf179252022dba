//! Placements as tables: a cluster, a pod, and the node it gets or the words it is refused with.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

/// Nodes `a`, `b`, ... of 2 CPUs, 4 GiB and 10 pods, each with a change.
fn cluster(changes: &[Value]) -> ClusterSnapshot {
    let mut snapshot = ClusterSnapshot::default();
    for (change, name) in changes.iter().zip('a'..) {
        let mut node = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } }, "spec": {},
            "status": { "allocatable": { "cpu": "2", "memory": "4Gi", "pods": "10" } },
        });
        merge(&mut node, change);
        snapshot.set_node(Node::read(&node).unwrap());
    }
    snapshot
}

/// Merges objects into objects; anything else is replaced.
pub(crate) fn merge(object: &mut Value, change: &Value) {
    match (object, change) {
        (Value::Object(object), Value::Object(change)) => {
            change.iter().for_each(|(key, value)| merge(object.entry(key).or_insert(Value::Null), value));
        }
        (object, change) => *object = change.clone(),
    }
}

/// A pod `n/<name>` with a change of its spec.
fn pod(name: &str, spec: &Value) -> Pod {
    let metadata = json!({ "name": name, "namespace": "n", "uid": name, "labels": { "app": "x" } });
    Pod::read(&json!({ "metadata": metadata, "spec": spec })).unwrap()
}

fn requests(cpu: &str, memory: &str) -> Value {
    json!({ "containers": [{ "resources": { "requests": { "cpu": cpu, "memory": memory } } }] })
}

fn on(node: &str, mut spec: Value) -> Value {
    spec["nodeName"] = node.into();
    spec
}

fn zone(zone: &str) -> Value {
    json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": zone } } })
}

/// The node that a pod of this spec gets, or why it gets none.
fn check(nodes: &[Value], bound: &[Value], spec: &Value, expect: &str) {
    let mut snapshot = cluster(nodes);
    bound.iter().enumerate().for_each(|(at, spec)| snapshot.set_pod(pod(&format!("bound-{at}"), spec)));
    let placed = place(&pod("p", spec), &snapshot);
    assert_eq!(placed.map_or_else(|why| why.to_string(), |placement| placement.node), expect, "{spec}");
}

/// A refusal's message: the nodes' reasons and what they say of preemption.
fn refused(nodes: usize, reasons: &str, preemption: &str) -> String {
    format!(
        "0/{nodes} nodes are available: {reasons}. no new claims to deallocate, preemption: 0/{nodes} nodes are \
         available: {preemption}."
    )
}

const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";

#[test]
fn says_that_there_are_no_nodes() {
    check(&[], &[], &json!({}), "no nodes available to schedule pods");
}

#[test]
fn resources_that_are_taken_or_not_there_are_named() {
    let empty = || json!({});
    check(&[empty()], &[], &requests("2", "4Gi"), "a");
    let beyond = refused(1, "1 Insufficient cpu, 1 Insufficient memory", &format!("1 {NOT_HELPFUL}"));
    check(&[empty()], &[], &requests("3", "5Gi"), &beyond);
    let taken = refused(1, "1 Insufficient cpu", &format!("1 {NO_VICTIMS}"));
    check(&[empty()], &[on("a", requests("1500m", "1Gi"))], &requests("600m", "1Gi"), &taken);
    check(&[empty(), empty()], &[on("a", requests("1500m", "1Gi"))], &requests("600m", "1Gi"), "b");
    let extended = json!({ "containers": [{ "resources": { "requests": { "example.com/gpu": "1" } } }] });
    check(&[empty()], &[], &extended, &refused(1, "1 Insufficient example.com/gpu", &format!("1 {NOT_HELPFUL}")));
    let full = json!({ "status": { "allocatable": { "pods": "1" } } });
    let crowded = refused(1, "1 Too many pods", &format!("1 {NO_VICTIMS}"));
    check(&[full], &[on("a", json!({}))], &json!({}), &crowded);
}

#[test]
fn init_containers_sidecars_and_overhead_count() {
    let container =
        |cpu: &str, policy: &str| json!({ "restartPolicy": policy, "resources": { "requests": { "cpu": cpu } } });
    let cpu = |spec: Value| pod("p", &spec).requests.milli_cpu;
    let main = || json!([container("300m", ""), container("200m", "")]);
    assert_eq!(cpu(json!({ "containers": main() })), 500);
    assert_eq!(cpu(json!({ "containers": main(), "initContainers": [container("400m", "")] })), 500);
    assert_eq!(cpu(json!({ "containers": main(), "initContainers": [container("900m", "")] })), 900);
    let sidecar = || container("100m", "Always");
    assert_eq!(cpu(json!({ "containers": main(), "initContainers": [sidecar(), container("900m", "")] })), 1000);
    assert_eq!(cpu(json!({ "containers": main(), "initContainers": [container("400m", ""), sidecar()] })), 600);
    assert_eq!(cpu(json!({ "containers": main(), "overhead": { "cpu": "50m" } })), 550);
    assert_eq!(cpu(json!({ "containers": main(), "resources": { "requests": { "cpu": "1" } } })), 1000);
}

#[test]
fn each_node_tells_the_first_reason_and_equal_ones_are_counted() {
    let taint = |effect: &str| json!({ "spec": { "taints": [{ "key": "k", "value": "v", "effect": effect }] } });
    let cordoned = json!({ "spec": { "unschedulable": true } });
    let reasons = "1 Insufficient cpu, 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s)";
    let nodes = [json!({}), taint("NoSchedule"), taint("NoExecute"), cordoned];
    let preemption = format!("4 {NOT_HELPFUL}");
    check(&nodes, &[], &requests("3", "1Gi"), &refused(4, reasons, &preemption));
    let tolerant =
        json!({ "tolerations": [{ "key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule" }] });
    check(&nodes[1..3], &[], &tolerant, "a");
    check(&nodes[3..], &[], &json!({ "tolerations": [{ "operator": "Exists" }] }), "a");
    let mut never = requests("3", "1Gi");
    never["preemptionPolicy"] = "Never".into();
    let why = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due \
               to preemptionPolicy=Never.";
    check(&[json!({})], &[], &never, why);
}

#[test]
fn node_selectors_and_affinity_choose() {
    let affinity = |terms: Value| {
        let required = json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } });
        json!({ "affinity": { "nodeAffinity": required } })
    };
    let nodes = [zone("x"), zone("y"), zone("z")];
    let zones = |operator: &str, values: &[&str]| json!({ "key": "topology.kubernetes.io/zone", "operator": operator, "values": values });
    check(&nodes, &[], &json!({ "nodeSelector": { "topology.kubernetes.io/zone": "y" } }), "b");
    check(&nodes, &[], &affinity(json!([{ "matchExpressions": [zones("NotIn", &["x", "y"])] }])), "c");
    check(&nodes, &[], &affinity(json!([{ "matchExpressions": [zones("In", &["x"])] }, {}])), "a");
    let none = refused(3, "3 node(s) didn't match Pod's node affinity/selector", &format!("3 {NOT_HELPFUL}"));
    check(&nodes, &[], &affinity(json!([{ "matchExpressions": [zones("DoesNotExist", &[])] }])), &none);
    let named =
        |name: &str| json!([{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [name] }] }]);
    check(&nodes, &[], &affinity(named("b")), "b");
    let other = refused(3, "3 node(s) didn't satisfy plugin(s) [NodeAffinity]", &format!("3 {NOT_HELPFUL}"));
    check(&nodes, &[], &affinity(named("q")), &other);
    let liked = json!({ "preference": { "matchExpressions": [zones("In", &["y"])] }, "weight": 1 });
    let preferred = json!({ "preferredDuringSchedulingIgnoredDuringExecution": [liked] });
    check(&nodes, &[], &json!({ "affinity": { "nodeAffinity": preferred } }), "b");
}

#[test]
fn ports_of_a_node_are_taken_once() {
    let port = |ip: &str| json!({ "containers": [{ "ports": [{ "hostPort": 80, "hostIP": ip }] }] });
    let taken = refused(1, "1 node(s) didn't have free ports for the requested pod ports", &format!("1 {NO_VICTIMS}"));
    check(&[json!({})], &[on("a", port(""))], &port("10.0.0.1"), &taken);
    check(&[json!({})], &[on("a", port("10.0.0.2"))], &port("10.0.0.1"), "a");
    check(&[json!({}), json!({})], &[on("a", port(""))], &port(""), "b");
}

#[test]
fn pods_are_spread_over_domains() {
    let spread = |when: &str| {
        let selector = json!({ "matchLabels": { "app": "x" } });
        let key = "topology.kubernetes.io/zone";
        let constraint =
            json!({ "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": selector });
        json!({ "topologySpreadConstraints": [constraint] })
    };
    let bound = [on("a", json!({})), on("a", json!({})), on("b", json!({}))];
    check(&[zone("x"), zone("y")], &bound, &spread("DoNotSchedule"), "b");
    check(&[zone("x"), zone("y")], &bound, &spread("ScheduleAnyway"), "b");
    check(&[zone("x"), zone("x"), zone("y")], &bound, &spread("DoNotSchedule"), "c");
    let tight =
        json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": "y" } }, "spec": { "unschedulable": true } });
    let broken = "1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable";
    let preemption = format!("1 {NO_VICTIMS}, 1 {NOT_HELPFUL}");
    check(&[zone("x"), tight], &bound[..1], &spread("DoNotSchedule"), &refused(2, broken, &preemption));
    let missing = "1 node(s) didn't match pod topology spread constraints (missing required label)";
    check(&[json!({})], &[], &spread("DoNotSchedule"), &refused(1, missing, &format!("1 {NOT_HELPFUL}")));
}

#[test]
fn pods_of_one_controller_are_spread_without_being_asked() {
    let owned = |name: &str, node: &str| {
        let owner = json!({ "uid": "rs", "controller": true });
        let metadata = json!({ "name": name, "namespace": "n", "uid": name, "ownerReferences": [owner] });
        Pod::read(&json!({ "metadata": metadata, "spec": { "nodeName": node } })).unwrap()
    };
    let mut snapshot = cluster(&[zone("x"), zone("x"), zone("y"), zone("y")]);
    for at in 0..8 {
        let pod = Arc::new(owned(&format!("p{at}"), ""));
        let placed = place(&pod, &snapshot).unwrap();
        snapshot.assume(pod, &placed.node);
    }
    assert!(snapshot.nodes().all(|(state, _)| state.pods.len() == 2));
}

#[test]
fn pods_are_near_and_far_from_others() {
    let rule = |kind: &str| {
        let term =
            json!({ "labelSelector": { "matchLabels": { "app": "x" } }, "topologyKey": "kubernetes.io/hostname" });
        json!({ "affinity": { kind: { "requiredDuringSchedulingIgnoredDuringExecution": [term] } } })
    };
    let nodes = [json!({}), json!({})];
    check(&nodes, &[on("b", json!({}))], &rule("podAffinity"), "b");
    check(&nodes[..1], &[], &rule("podAffinity"), "a");
    check(&nodes, &[on("b", json!({}))], &rule("podAntiAffinity"), "a");
    check(&nodes, &[on("b", rule("podAntiAffinity"))], &json!({}), "a");
    let passing = format!("1 {NO_VICTIMS}");
    let own = refused(1, "1 node(s) didn't match pod anti-affinity rules", &passing);
    check(&nodes[..1], &[on("a", json!({}))], &rule("podAntiAffinity"), &own);
    let theirs = refused(1, "1 node(s) didn't satisfy existing pods anti-affinity rules", &passing);
    check(&nodes[..1], &[on("a", rule("podAntiAffinity"))], &json!({}), &theirs);
    let mut stranger = rule("podAffinity");
    stranger["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"] =
        json!({ "matchLabels": { "app": "other" } });
    let alone = refused(1, "1 node(s) didn't match pod affinity rules", &format!("1 {NOT_HELPFUL}"));
    check(&nodes[..1], &[], &stranger, &alone);
}

#[test]
fn nodes_with_more_room_fewer_avoided_taints_and_the_image_are_better() {
    let busy = [on("a", requests("1", "2Gi"))];
    check(&[json!({}), json!({})], &busy, &requests("100m", "100Mi"), "b");
    let avoided = json!({ "spec": { "taints": [{ "key": "k", "effect": "PreferNoSchedule" }] } });
    check(&[avoided, json!({})], &[], &json!({}), "b");
    let image = json!({ "status": { "images": [{ "names": ["reg/app:1"], "sizeBytes": 900 << 20 }] } });
    let spec = json!({ "containers": [{ "image": "reg/app:1" }] });
    check(&[json!({}), image], &[], &spec, "b");
}

#[test]
fn sums_follow_what_comes_and_goes() {
    let mut snapshot = cluster(&[json!({})]);
    let room = |snapshot: &ClusterSnapshot| snapshot.nodes().next().map(|(state, _)| state.requested.milli_cpu);
    let bound = |spec: Value| pod("p", &on("a", spec));
    snapshot.assume(Arc::new(pod("p", &requests("1", "1Gi"))), "a");
    assert_eq!(room(&snapshot), Some(1000));
    snapshot.set_pod(pod("p", &requests("1", "1Gi")));
    assert_eq!(room(&snapshot), Some(1000), "what is assumed stays until it is bound");
    snapshot.set_pod(bound(requests("500m", "1Gi")));
    assert_eq!(room(&snapshot), Some(500));
    snapshot.forget("n/p");
    assert_eq!(room(&snapshot), Some(500), "what is bound is not forgotten");
    snapshot.remove_node("a");
    assert!(snapshot.is_empty() && snapshot.holds("n/p"));
    snapshot.set_node(Node { name: "a".into(), ..Node::default() });
    assert_eq!(room(&snapshot), Some(500), "pods outlive their node");
    let mut finished = bound(requests("500m", "1Gi"));
    finished.finished = true;
    snapshot.set_pod(finished);
    assert_eq!((room(&snapshot), snapshot.holds("n/p")), (Some(0), false));
}
