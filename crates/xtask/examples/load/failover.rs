//! How long writes stop when the leader is killed: [`run`].

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, ensure};

use crate::{
    Target,
    sample::{Sample, cpu_microseconds},
};

/// Where is written.
const NAMESPACE: &str = "failover";

/// Longest wait for a write.
const LIMIT_SECONDS: u64 = 60;

/// Writes `count` objects, kills the first process, and waits until the server takes another write. The others' processor
/// time counts.
///
/// # Errors
/// Where a write fails before the kill, or for long after it.
pub(crate) async fn run(target: &Target) -> Result<Sample> {
    let (victim, others) = target.pids.split_first().context("nobody is to be killed")?;
    let client = &target.client;
    client.create_namespace(NAMESPACE).await?;
    for number in 0..target.count {
        client.create(NAMESPACE, &format!("before-{victim}-{number}")).await.context("a write before the kill")?;
    }
    let cpu = cpu_microseconds(others)?;
    let killed = Command::new("sh").args(["-c", "kill -s KILL \"$0\"", &victim.to_string()]).status()?;
    ensure!(killed.success(), "process {victim} cannot be killed");
    let start = Instant::now();
    let mut tries = 0;
    while let Err(error) = client.create(NAMESPACE, &format!("after-{victim}-{tries}")).await {
        tries += 1;
        ensure!(start.elapsed().as_secs() < LIMIT_SECONDS, "no write within {LIMIT_SECONDS} s: {error:#}");
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_microseconds(others)? - cpu);
    Ok(Sample::new(1, vec![elapsed], elapsed, cpu))
}
