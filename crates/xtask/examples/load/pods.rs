//! Pods that run: how long one takes from its create to Running ([`run`]), and one on each node ([`place`]).

use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::{
    Target,
    client::JSON,
    events::Events,
    sample::{Sample, cpu_microseconds},
};

/// The image, which the nodes have.
const IMAGE: &str = "mesh.test/busybox:1";

const PODS: &str = "/api/v1/namespaces/default/pods";

/// `count` pods on the first node, one after the other.
///
/// # Errors
/// Where one fails.
pub(crate) async fn run(target: &Target) -> Result<Sample> {
    target.client.account("default").await?;
    let mut events = Events::of(&target.client, PODS).await?;
    let (start, mut cpu, mut latencies) = (Instant::now(), 0, Vec::new());
    // The first is not counted: it warms what all others use.
    for number in 0..=target.count {
        let name = format!("p{}-{number}", std::process::id());
        let (created, before) = (Instant::now(), cpu_microseconds(&target.pids)?);
        target.client.call(Method::POST, PODS, JSON, pod(&name, 1)).await?;
        until(&mut events, &name, "Running").await?;
        if number > 0 {
            latencies.push(created.elapsed());
            cpu += cpu_microseconds(&target.pids)? - before;
        }
        let path = format!("{PODS}/{name}?gracePeriodSeconds=0");
        target.client.call(Method::DELETE, &path, JSON, Bytes::new()).await?;
        until(&mut events, &name, "DELETED").await?;
    }
    Ok(Sample::new(target.count, latencies, start.elapsed(), cpu))
}

/// A pod on each of `count` nodes, which runs on.
///
/// # Errors
/// Where one fails.
pub(crate) async fn place(target: &Target) -> Result<Sample> {
    target.client.account("default").await?;
    let mut events = Events::of(&target.client, PODS).await?;
    let (start, mut latencies) = (Instant::now(), Vec::new());
    for node in 1..=target.count {
        let name = format!("on-node-{node}");
        target.client.call(Method::POST, PODS, JSON, pod(&name, node)).await?;
        until(&mut events, &name, "Running").await?;
        latencies.push(start.elapsed());
    }
    Ok(Sample::new(target.count, latencies, start.elapsed(), 0))
}

fn pod(name: &str, node: u64) -> Bytes {
    let container = json!({ "name": "main", "image": IMAGE, "command": ["sleep", "100000"] });
    let spec = json!({
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": { "kubernetes.io/hostname": format!("node-{node}") },
        "containers": [container],
    });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec }).to_string().into()
}

/// Waits until the pod is in this phase, or this happened to it.
async fn until(events: &mut Events, name: &str, what: &str) -> Result<()> {
    loop {
        let (kind, object): (String, Value) = events.next().await?;
        if object["metadata"]["name"] != *name {
            continue;
        }
        let phase = &object["status"]["phase"];
        if kind == what || (kind != "DELETED" && *phase == *what) {
            return Ok(());
        }
        ensure!(*phase != *"Failed" || what == "DELETED", "{name} failed: {}", object["status"]);
    }
}
