//! The load that `cargo xtask bench` puts on nodes: a small API client of our own, so that its cost is little and known.
//!
//! `load WHAT COUNT SERVER KUBECONFIG PIDS SECONDS` prints a [`Sample`] as JSON, with the processor time that the processes PIDS
//! (`1,2`) took for an operation. COUNT is the number of clients, or of operations. Closed loops over HTTP/2: a client sends
//! when it has its answer. Leaves out rates given from outside.

mod client;
mod events;
mod failover;
mod pods;
mod requests;
#[path = "../../src/bench/sample.rs"]
mod sample;
mod schedule;
mod watchers;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use client::{Client, Identity, JSON, PROTOBUF};
use sample::Sample;

/// Whom to load, and how much.
struct Target {
    server: String,
    identity: Identity,
    client: Client,
    pids: Vec<u32>,
    count: u64,
    limit: Duration,
}

#[tokio::main]
async fn main() -> Result<()> {
    // The only provider in the program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, count, server, kubeconfig, pids, seconds] = &arguments[..] else {
        bail!("usage: load WHAT COUNT SERVER KUBECONFIG PIDS SECONDS");
    };
    let identity = Identity::read(Path::new(kubeconfig))?;
    let target = Target {
        client: Client::connect(server, &identity).await?,
        server: server.clone(),
        identity,
        pids: pids.split(',').map(str::parse).collect::<Result<_, _>>()?,
        count: count.parse()?,
        limit: Duration::from_secs(seconds.parse()?),
    };
    let sample = run(what, &target).await?;
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

async fn run(what: &str, target: &Target) -> Result<Sample> {
    match what {
        "create" => requests::create(target).await,
        "get" => requests::get(target, JSON).await,
        "get-protobuf" => requests::get(target, PROTOBUF).await,
        "patch" => requests::patch(target).await,
        "list" => requests::list(target, JSON).await,
        "list-protobuf" => requests::list(target, PROTOBUF).await,
        "watchers" => watchers::run(target).await,
        "schedule" => schedule::run(target).await,
        "pods" => pods::run(target).await,
        "place" => pods::place(target).await,
        "failover" => failover::run(target).await,
        _ => bail!("no load is called {what:?}"),
    }
}
