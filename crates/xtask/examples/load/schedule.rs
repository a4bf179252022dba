//! Pods given their nodes, through the API: [`run`]. The nodes are objects only, so nothing runs.

use std::{collections::HashMap, time::Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Target,
    client::{Client, JSON},
    events::Events,
    sample::{Sample, cpu_microseconds},
};

/// Nodes there are.
const NODES: u64 = 100;

/// Clients that create the pods.
const CREATORS: u64 = 32;

const PODS: &str = "/api/v1/namespaces/schedule/pods";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// Creates `count` pods and waits until each has a node. An operation is one pod, from before its create to the watch's
/// event that names its node.
///
/// # Errors
/// On the first request that fails.
pub(crate) async fn run(target: &Target) -> Result<Sample> {
    let client = &target.client;
    client.create_namespace("schedule").await?;
    client.account("schedule").await?;
    for number in 0..NODES {
        node(client, number).await?;
    }
    let connection = Client::connect(&target.server, &target.identity).await?;
    let mut events = Events::of(&connection, PODS).await?;
    let (start, cpu) = (Instant::now(), cpu_microseconds(&target.pids)?);
    let creators = create(client, target.count);
    let mut bound = HashMap::new();
    while (bound.len() as u64) < target.count {
        let (_, pod) = events.next().await?;
        if pod["spec"]["nodeName"].is_string() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            bound.entry(name).or_insert_with(Instant::now);
        }
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_microseconds(&target.pids)? - cpu);
    let mut latencies = Vec::new();
    for created in creators.join_all().await {
        for (name, at) in created? {
            latencies.push(bound.get(&name).context("it was bound")?.saturating_duration_since(at));
        }
    }
    Ok(Sample::new(target.count, latencies, elapsed, cpu))
}

/// Creates pods; each task tells when it sent which.
fn create(client: &Client, count: u64) -> JoinSet<Result<Vec<(String, Instant)>>> {
    let mut creators = JoinSet::new();
    for first in 0..CREATORS {
        let client = client.clone();
        creators.spawn(async move {
            let mut sent = Vec::new();
            for number in (first..count).step_by(CREATORS as usize) {
                let name = format!("s-{number}");
                sent.push((name.clone(), Instant::now()));
                client.call(Method::POST, PODS, JSON, pod(&name)).await?;
            }
            Ok(sent)
        });
    }
    creators
}

fn pod(name: &str) -> Bytes {
    let requests = json!({ "requests": { "cpu": "100m", "memory": "64Mi" } });
    let spec = json!({ "containers": [{ "name": "c", "image": "example.local/none:1", "resources": requests }] });
    let metadata = json!({ "name": name, "labels": { "app": "schedule" } });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }).to_string().into()
}

/// A node that is ready, as its kubelet would tell it.
async fn node(client: &Client, number: u64) -> Result<()> {
    let name = format!("fake-{number}");
    let room = json!({ "cpu": "32", "memory": "256Gi", "pods": "110" });
    let labels = json!({ "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": format!("z{}", number % 3) });
    let ready = json!({ "type": "Ready", "status": "True", "reason": "KubeletReady" });
    let status = json!({ "capacity": room, "allocatable": room, "conditions": [ready] });
    let object =
        json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels }, "status": status });
    let made = client.json(Method::POST, "/api/v1/nodes", object.to_string().into()).await?;
    // The server's clock will do for ours.
    let now = made["metadata"]["creationTimestamp"].as_str().context("a node has a time")?.replace('Z', ".000000Z");
    let spec = json!({ "holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now });
    let lease =
        json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": name }, "spec": spec });
    client.call(Method::POST, LEASES, JSON, lease.to_string().into()).await?;
    // A new node is tainted until its kubelet has said that it is ready.
    let path = format!("/api/v1/nodes/{name}");
    let untaint = r#"{"spec":{"taints":null}}"#;
    client.call(Method::PATCH, &path, "application/merge-patch+json", untaint.into()).await.map(drop)
}
