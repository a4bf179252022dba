//! Pods placed a second on 100 nodes, each placement assumed, and processor time for each:
//! `cargo run --release -p scheduler --example bench`. `cargo xtask bench` reads the first line.

use std::{sync::Arc, time::Instant};

use scheduler::{ClusterSnapshot, Node, Pod, place};
use serde_json::json;

const NODES: usize = 100;
const PODS: usize = 5000;

fn node(at: usize) -> Node {
    let (name, zone) = (format!("node-{at}"), format!("zone-{}", at % 3));
    let labels = json!({ "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone });
    let allocatable = json!({ "cpu": "64", "memory": "256Gi", "pods": "110" });
    let object = json!({ "metadata": { "name": name, "labels": labels }, "status": { "allocatable": allocatable } });
    Node::read(&object).expect("a node")
}

fn pod(at: usize, affinity: bool) -> Pod {
    let app = format!("app-{}", at % 50);
    let owner = json!({ "uid": app, "controller": true });
    let requests = json!({ "cpu": "100m", "memory": "128Mi" });
    let term = json!({ "weight": 10, "podAffinityTerm": {
        "labelSelector": { "matchLabels": { "app": app } }, "topologyKey": "kubernetes.io/hostname" } });
    let preferred = json!({ "preferredDuringSchedulingIgnoredDuringExecution": [term] });
    let object = json!({
        "metadata": { "name": format!("p{at}"), "namespace": "n", "uid": at.to_string(),
                      "labels": { "app": app }, "ownerReferences": [owner] },
        "spec": { "containers": [{ "image": "reg/app:1", "resources": { "requests": requests } }],
                  "affinity": if affinity { json!({ "podAntiAffinity": preferred }) } else { json!({}) } },
    });
    Pod::read(&object).expect("a pod")
}

fn run(affinity: bool) {
    let mut snapshot = ClusterSnapshot::default();
    (0..NODES).for_each(|at| _ = snapshot.set_node(node(at)));
    let pods: Vec<Arc<Pod>> = (0..PODS).map(|at| Arc::new(pod(at, affinity))).collect();
    let (start, cpu) = (Instant::now(), cpu_nanoseconds());
    for pod in pods {
        let placed = place(&pod, &snapshot).expect("room for all");
        snapshot.assume(pod, &placed.node);
    }
    let rate = PODS as f64 / start.elapsed().as_secs_f64();
    let cpu = (cpu_nanoseconds() - cpu) / PODS as f64 / 1e3;
    println!("{PODS} pods on {NODES} nodes, anti-affinity {affinity}: {rate:.0} pods/s, {cpu:.1} us of CPU each");
}

/// Processor time that this thread has taken; 0 where Linux does not tell.
fn cpu_nanoseconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

fn main() {
    run(false);
    run(true);
}
