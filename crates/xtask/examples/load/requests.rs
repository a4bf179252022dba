//! Requests for ConfigMaps of 1 KiB, one kind each: [`create`], [`get`], [`patch`], [`list`].

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use bytes::Bytes;
use http::Method;
use tokio::task::JoinSet;

use crate::{
    Target,
    client::{Client, JSON},
    sample::{Sample, cpu_microseconds},
};

/// Their namespace.
const NAMESPACE: &str = "load";

/// Objects that are read and patched.
const OBJECTS: u64 = 1_000;

/// Objects of the collection that is listed.
const LISTED: u64 = 5_000;

/// Clients that make it.
const FILLERS: u64 = 16;

/// The last object of a collection that is complete.
const FILLED: &str = "filled";

/// Creates, by `count` clients.
///
/// # Errors
/// On the first request that fails.
pub(crate) async fn create(target: &Target) -> Result<Sample> {
    target.client.create_namespace(NAMESPACE).await?;
    let process = std::process::id();
    measure(target, move |client, number| async move {
        client.create(NAMESPACE, &format!("c{process}-{number}")).await.map(drop)
    })
    .await
}

/// Reads of single objects in a media type, by `count` clients.
///
/// # Errors
/// On the first request that fails.
pub(crate) async fn get(target: &Target, media: &'static str) -> Result<Sample> {
    fill(&target.client).await?;
    measure(target, move |client, number| async move {
        client.call(Method::GET, &path(number), media, Bytes::new()).await.map(drop)
    })
    .await
}

/// Merge patches, by `count` clients.
///
/// # Errors
/// On the first request that fails.
pub(crate) async fn patch(target: &Target) -> Result<Sample> {
    fill(&target.client).await?;
    measure(target, |client, number| async move {
        let body = format!(r#"{{"data":{{"number":"{number}"}}}}"#);
        client.call(Method::PATCH, &path(number), "application/merge-patch+json", body.into()).await.map(drop)
    })
    .await
}

/// So many lists of the collection in a media type, by one client.
///
/// # Errors
/// On the first request that fails.
pub(crate) async fn list(target: &Target, media: &str) -> Result<Sample> {
    fill(&target.client).await?;
    // Only the first so many: creates may have left more.
    let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps?limit={LISTED}");
    let (start, cpu, mut latencies) = (Instant::now(), cpu_microseconds(&target.pids)?, Vec::new());
    for _ in 0..target.count {
        let sent = Instant::now();
        target.client.call(Method::GET, &path, media, Bytes::new()).await?;
        latencies.push(sent.elapsed());
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_microseconds(&target.pids)? - cpu);
    Ok(Sample::new(target.count, latencies, elapsed, cpu))
}

fn path(number: u64) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/configmaps/o-{}", number % OBJECTS)
}

/// Runs an operation in a closed loop of so many clients.
async fn measure<F, W>(target: &Target, work: W) -> Result<Sample>
where
    F: Future<Output = Result<()>> + Send,
    W: Fn(Client, u64) -> F + Copy + Send + 'static,
{
    let (limit, next) = (target.limit, Arc::new(AtomicU64::new(0)));
    let (start, cpu) = (Instant::now(), cpu_microseconds(&target.pids)?);
    let mut loops = JoinSet::new();
    for _ in 0..target.count {
        let (client, next) = (target.client.clone(), next.clone());
        loops.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < limit {
                let sent = Instant::now();
                work(client.clone(), next.fetch_add(1, Ordering::Relaxed)).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = loops.join_next().await {
        latencies.extend(ended??);
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_microseconds(&target.pids)? - cpu);
    Ok(Sample::new(latencies.len() as u64, latencies, elapsed, cpu))
}

/// Makes the objects `o-0`, `o-1`, ..., unless another row did.
async fn fill(client: &Client) -> Result<()> {
    client.create_namespace(NAMESPACE).await?;
    let filled = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{FILLED}");
    if client.call(Method::GET, &filled, JSON, Bytes::new()).await.is_ok() {
        return Ok(());
    }
    let mut loops = JoinSet::new();
    for first in 0..FILLERS {
        let client = client.clone();
        loops.spawn(async move {
            for number in (first..LISTED).step_by(FILLERS as usize) {
                client.create(NAMESPACE, &format!("o-{number}")).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    client.create(NAMESPACE, FILLED).await.map(drop)
}
