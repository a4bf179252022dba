//! The rows of the table: one kind of request at one number of clients each. Main function: [`run`].

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use tokio::{sync::mpsc, task::JoinSet};

use crate::client::{Client, Identity};

/// Objects that are read and patched.
const OBJECTS: u64 = 1_000;

/// Objects of the collection that is listed.
const LISTED: u64 = 5_000;

/// Lists taken.
const LISTS: u64 = 10;

/// Clients that watch, and connections they share: a server takes some 200 requests on one.
const WATCHERS: usize = 100;
const WATCH_CONNECTIONS: usize = 4;

/// Objects made one at a time while they watch.
const WATCHED: u64 = 200;

/// Microseconds in one tick of `/proc/PID/stat`: Linux tells user space 100 ticks a second on every machine.
const TICK_MICROSECONDS: u64 = 10_000;

/// What a row shows.
struct Row {
    name: String,
    latencies: Vec<Duration>,
    operations: u64,
    elapsed: Duration,
    cpu_microseconds: u64,
}

impl Row {
    fn print(mut self) {
        self.latencies.sort_unstable();
        let at = |part: f64| {
            let place = (self.latencies.len() as f64 * part) as usize;
            let place = place.min(self.latencies.len().saturating_sub(1));
            self.latencies.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let rate = self.operations as f64 / self.elapsed.as_secs_f64();
        let cpu = self.cpu_microseconds / self.operations.max(1);
        println!("{:<34} {rate:>9.0} {:>9.2} {:>9.2} {cpu:>9}", self.name, at(0.5), at(0.99));
    }
}

/// CPU time a process has taken, user and system.
fn cpu_microseconds(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the node is gone")?;
    // The name before the last parenthesis may hold anything; utime and stime are the 12th and 13th word after it.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * TICK_MICROSECONDS)
}

/// Makes the namespace of all rows, or finds it made.
///
/// # Errors
/// Where neither works.
pub(crate) async fn namespace(client: &Client) -> Result<()> {
    for name in ["load", "gap"] {
        match client.create_namespace(name).await {
            Err(error) if !error.to_string().contains("AlreadyExists") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Prints all rows.
///
/// # Errors
/// On the first request that fails.
pub(crate) async fn run(server: &str, identity: &Identity, pid: u32, seconds: u64) -> Result<()> {
    let client = Client::connect(server, identity).await?;
    namespace(&client).await?;
    let limit = Duration::from_secs(seconds);
    println!("{:<34} {:>9} {:>9} {:>9} {:>9}", "request (1 KiB ConfigMaps)", "per s", "p50 ms", "p99 ms", "CPU us");
    for clients in [1, 16, 64] {
        let make = move |client: Client, number: u64| async move {
            client.create("load", &format!("c{clients}-{number}")).await.map(drop)
        };
        measure(&format!("create, {clients} clients"), &client, pid, clients, limit, make).await?.print();
    }
    fill(&client, LISTED).await?;
    measure("get, 64 clients", &client, pid, 64, limit, get).await?.print();
    measure("merge patch, 16 clients", &client, pid, 16, limit, patch).await?.print();
    list(&client, pid).await?;
    watch(server, identity, &client, pid).await
}

async fn get(client: Client, number: u64) -> Result<()> {
    let path = format!("/api/v1/namespaces/load/configmaps/o-{}", number % OBJECTS);
    client.call(Method::GET, &path, "application/json", Bytes::new()).await.map(drop)
}

async fn patch(client: Client, number: u64) -> Result<()> {
    let path = format!("/api/v1/namespaces/load/configmaps/o-{}", number % OBJECTS);
    let body = format!(r#"{{"data":{{"number":"{number}"}}}}"#);
    client.call(Method::PATCH, &path, "application/merge-patch+json", body.into()).await.map(drop)
}

/// Runs an operation in a closed loop of so many clients.
async fn measure<F, W>(name: &str, client: &Client, pid: u32, clients: u64, limit: Duration, work: W) -> Result<Row>
where
    F: Future<Output = Result<()>> + Send,
    W: Fn(Client, u64) -> F + Copy + Send + 'static,
{
    let (next, start, cpu) = (Arc::new(AtomicU64::new(0)), Instant::now(), cpu_microseconds(pid)?);
    let mut loops = JoinSet::new();
    for _ in 0..clients {
        let (client, next) = (client.clone(), next.clone());
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
    let cpu_microseconds = cpu_microseconds(pid)? - cpu;
    let operations = latencies.len() as u64;
    Ok(Row { name: name.into(), operations, latencies, elapsed: start.elapsed(), cpu_microseconds })
}

/// Makes the objects `o-0`, `o-1`, ...
async fn fill(client: &Client, count: u64) -> Result<()> {
    let mut loops = JoinSet::new();
    for first in 0..16 {
        let client = client.clone();
        loops.spawn(async move {
            for number in (first..count).step_by(16) {
                client.create("load", &format!("o-{number}")).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(())
}

async fn list(client: &Client, pid: u32) -> Result<()> {
    // Only the first so many: the creates left more.
    let path = format!("/api/v1/namespaces/load/configmaps?limit={LISTED}");
    let (start, cpu) = (Instant::now(), cpu_microseconds(pid)?);
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    for _ in 0..LISTS {
        let sent = Instant::now();
        bytes = client.call(Method::GET, &path, "application/json", Bytes::new()).await?;
        latencies.push(sent.elapsed());
    }
    let name = format!("list of {LISTED}, {:.1} MB", f64::from(u32::try_from(bytes)?) / 1e6);
    let cpu_microseconds = cpu_microseconds(pid)? - cpu;
    Row { name, latencies, operations: LISTS, elapsed: start.elapsed(), cpu_microseconds }.print();
    Ok(())
}

/// One create at a time, until every watcher has seen it.
async fn watch(server: &str, identity: &Identity, client: &Client, pid: u32) -> Result<()> {
    let (sender, mut seen) = mpsc::channel(WATCHERS * 2);
    let mut watchers = JoinSet::new();
    let from = client.revision("gap").await?;
    let path = format!("/api/v1/namespaces/gap/configmaps?watch=true&timeoutSeconds=600&resourceVersion={from}");
    for _ in 0..WATCH_CONNECTIONS {
        let connection = Client::connect(server, identity).await?;
        for _ in 0..WATCHERS / WATCH_CONNECTIONS {
            let stream = connection.send(Method::GET, &path, "application/json", Bytes::new()).await?;
            let sender = sender.clone();
            watchers.spawn(async move {
                let mut body = stream.into_body();
                while let Some(Ok(frame)) = body.frame().await {
                    let Ok(data) = frame.into_data() else { continue };
                    let events = data.iter().filter(|byte| **byte == b'\n').count();
                    for _ in 0..events {
                        if sender.send(Instant::now()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    }
    let (start, cpu, mut latencies) = (Instant::now(), cpu_microseconds(pid)?, Vec::new());
    for number in 0..WATCHED {
        let sent = Instant::now();
        client.create("gap", &format!("w-{number}")).await?;
        for _ in 0..WATCHERS {
            let at = seen.recv().await.context("a watcher ended")?;
            latencies.push(at.saturating_duration_since(sent));
        }
    }
    let (elapsed, cpu_microseconds) = (start.elapsed(), cpu_microseconds(pid)? - cpu);
    let name = format!("create, seen by {WATCHERS} watchers");
    Row { name, latencies, operations: WATCHED, elapsed, cpu_microseconds }.print();
    watchers.abort_all();
    Ok(())
}
