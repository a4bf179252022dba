//! One create at a time, until each of many watchers has seen it: [`run`].

use std::time::Instant;

use anyhow::{Context, Result};
use tokio::{
    sync::mpsc::{Sender, channel},
    task::JoinSet,
};

use crate::{
    Target,
    client::Client,
    events::Events,
    sample::{Sample, cpu_microseconds},
};

/// Where it is created.
const NAMESPACE: &str = "watched";

/// Beginning of the names of what is created.
const PREFIX: &str = "seen-";

/// Connections that the watchers share: a server takes some 200 requests on one.
const CONNECTIONS: u64 = 4;

/// Objects made while they watch.
const CREATES: u64 = 200;

/// `count` watchers see [`CREATES`] creates.
///
/// # Errors
/// On the first request that fails, or where a watch ends.
pub(crate) async fn run(target: &Target) -> Result<Sample> {
    let client = &target.client;
    client.create_namespace(NAMESPACE).await?;
    let (sender, mut seen) = channel(usize::try_from(target.count * 2)?);
    let mut watchers = JoinSet::new();
    let collection = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    for _ in 0..CONNECTIONS {
        let connection = Client::connect(&target.server, &target.identity).await?;
        for _ in 0..target.count / CONNECTIONS {
            watchers.spawn(tell(Events::of(&connection, &collection).await?, sender.clone()));
        }
    }
    let watching = watchers.len();
    let (start, cpu, mut latencies) = (Instant::now(), cpu_microseconds(&target.pids)?, Vec::new());
    for number in 0..CREATES {
        let sent = Instant::now();
        client.create(NAMESPACE, &format!("{PREFIX}{}-{number}", std::process::id())).await?;
        for _ in 0..watching {
            let at = seen.recv().await.context("a watcher ended")?;
            latencies.push(at.saturating_duration_since(sent));
        }
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_microseconds(&target.pids)? - cpu);
    Ok(Sample::new(CREATES, latencies, elapsed, cpu))
}

/// Tells when each of our creates was seen: controllers put objects of their own into a namespace.
async fn tell(mut events: Events, sender: Sender<Instant>) {
    while let Ok((_, object)) = events.next().await {
        let ours = object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && sender.send(Instant::now()).await.is_err() {
            return;
        }
    }
}
