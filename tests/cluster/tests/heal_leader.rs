//! Nodes of a small cluster die and stand still under load: DESIGN, "nothing lost" and "failover".

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Load, Steps, Workload, eventually, percentile};

/// How often the leader is killed. `cargo xtask soak` does it many times more.
const KILLS: usize = 5;

/// How long writes may stop on a machine that does much else; 1 s (p99) is the aim on a quiet one.
const GAP_LIMIT: Duration = Duration::from_secs(15);

/// Writes that are to be acknowledged while something is broken.
const WRITES: usize = 30;

#[test]
fn leaders_and_followers_die_and_stand_still_and_nothing_is_lost() {
    let mut cluster = Cluster::start(3).unwrap();
    let workload = cluster.work(Load::default()).unwrap();
    let mut steps = Steps::new();
    steps.step("the leader is killed again and again: writes go on", || leaders_killed(&mut cluster, &workload));
    steps.step("the leader stands still: another leads until and after it goes on", || {
        let leader = cluster.leader()?;
        still(&cluster, &workload, leader)?;
        eventually("another leads", GAP_LIMIT, || {
            let status = cluster.nodes[leader].status()?;
            ensure!(status["leader"].is_string() && status["leader"] != *cluster.nodes[leader].name, "{status}");
            Ok(())
        })
    });
    steps.step("a follower stands still: nobody notices", || {
        let follower = (cluster.leader()? + 1) % cluster.nodes.len();
        let gap = still(&cluster, &workload, follower)?;
        println!("    next write after {gap:.2?}");
        Ok(())
    });
    steps.step("all are killed at once: all that was acknowledged is there", || {
        for node in &mut cluster.nodes {
            node.kill9()?;
        }
        // All at once: none is ready alone.
        for node in &mut cluster.nodes {
            node.launch(cluster::Launch::Up, "")?;
        }
        cluster.settle()?;
        goes_on(&workload, Instant::now()).map(drop)
    });
    steps.step("no write is lost or applied twice, reads are linearizable, watches complete", || {
        println!("    {}", workload.finish()?);
        Ok(())
    });
    steps.end();
}

fn leaders_killed(cluster: &mut Cluster, workload: &Workload) -> Result<()> {
    let mut gaps = Vec::new();
    for _ in 0..KILLS {
        let leader = cluster.leader()?;
        let since = Instant::now();
        cluster.nodes[leader].kill9()?;
        gaps.push(goes_on(workload, since)?);
        ensure!(cluster.leader()? != leader, "the dead node leads");
        cluster.restart(leader)?;
        cluster.settle()?;
    }
    println!("    next write: p50 {:.2?}, p99 {:.2?}", percentile(&gaps, 50), percentile(&gaps, 99));
    Ok(())
}

/// A node stands still while writes go on; returns how long after that the first was acknowledged.
fn still(cluster: &Cluster, workload: &Workload, node: usize) -> Result<Duration> {
    let since = Instant::now();
    cluster.nodes[node].pause()?;
    let gap = goes_on(workload, since);
    cluster.nodes[node].resume()?;
    cluster.settle()?;
    gap
}

/// Waits for many writes; returns how long the first took.
fn goes_on(workload: &Workload, since: Instant) -> Result<Duration> {
    let gap = workload.next_write(since, GAP_LIMIT)?;
    eventually("many writes", GAP_LIMIT, || workload.written_since(since).checked_sub(WRITES).context("too few"))
        .map(|_| gap)
}
