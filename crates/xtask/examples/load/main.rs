//! The load that `cargo xtask bench` puts on a node: a small API client of our own, so that its cost is little and known.
//!
//! `load rows SERVER KUBECONFIG PID SECONDS` prints a row for each kind of request, with the CPU time that the process
//! PID took for one; `load gap SERVER KUBECONFIG PID` kills PID and prints the milliseconds until SERVER takes a write.
//! Closed loops over HTTP/2: a client sends when it has its answer. Leaves out protobuf and rates given from outside.

mod client;
mod rows;

use std::{path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use client::{Client, Identity};

#[tokio::main]
async fn main() -> Result<()> {
    // The only provider in the program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rows", server, kubeconfig, pid, seconds] => {
            let identity = Identity::read(Path::new(kubeconfig))?;
            rows::run(server, &identity, pid.parse()?, seconds.parse()?).await
        }
        ["gap", server, kubeconfig, pid] => gap(server, &Identity::read(Path::new(kubeconfig))?, pid).await,
        _ => bail!("usage: load rows SERVER KUBECONFIG PID SECONDS | load gap SERVER KUBECONFIG PID"),
    }
}

/// Kills the leader and tells how long another node refuses or delays a write.
async fn gap(server: &str, identity: &Identity, pid: &str) -> Result<()> {
    let client = Client::connect(server, identity).await?;
    rows::namespace(&client).await?;
    for number in 0..20 {
        client.create("gap", &format!("before-{pid}-{number}")).await.context("a write before the kill")?;
    }
    let killed = Command::new("sh").args(["-c", "kill -s KILL \"$0\"", pid]).status()?;
    anyhow::ensure!(killed.success(), "process {pid} cannot be killed");
    let start = Instant::now();
    let mut tries = 0;
    while let Err(error) = client.create("gap", &format!("after-{pid}-{tries}")).await {
        tries += 1;
        anyhow::ensure!(start.elapsed().as_secs() < 60, "no write within a minute: {error:#}");
    }
    println!("{}", start.elapsed().as_millis());
    Ok(())
}
