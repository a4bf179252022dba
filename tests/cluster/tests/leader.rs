//! The leader dies under load: DESIGN, "nothing lost" and "failover".

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Steps, eventually, request};

/// Where the writer writes.
const PATH: &str = "/api/v1/namespaces/default/configmaps";

/// How long one write may take before the writer gives it up and makes another.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Acknowledged writes before and after the leader is killed.
const WRITES: usize = 60;

/// Longest time without an acknowledged write that is accepted here: dev builds, all nodes and clients on two cores.
const GAP_LIMIT: Duration = Duration::from_secs(10);

/// What a writer has done.
#[derive(Default)]
struct Log {
    /// Names that were acknowledged, and when.
    written: Mutex<Vec<(String, Instant)>>,
    refused: Mutex<Vec<String>>,
    enough: AtomicBool,
}

impl Log {
    fn count(&self) -> usize {
        self.written.lock().expect("no panic").len()
    }

    fn names(&self) -> BTreeSet<String> {
        self.written.lock().expect("no panic").iter().map(|(name, _)| name.clone()).collect()
    }

    fn reaches(&self, count: usize) -> Result<()> {
        eventually(&format!("{count} acknowledged writes"), Duration::from_secs(60), || {
            let refused = self.refused.lock().expect("no panic");
            ensure!(self.count() >= count, "{} written, last refusals {:?}", self.count(), refused.last());
            Ok(())
        })
    }

    /// The longest time between two acknowledged writes.
    fn gap(&self) -> Duration {
        let written = self.written.lock().expect("no panic");
        let gaps = written.windows(2).map(|pair| pair[1].1.duration_since(pair[0].1));
        gaps.max().unwrap_or_default()
    }
}

/// Creates one object after the other, each under a name of its own, until told that it is enough.
fn write(to: SocketAddr, round: usize, log: &Log) {
    for number in 0.. {
        if log.enough.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("w{round}-{number}");
        let body = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
        match request(to, "POST", PATH, body.as_bytes(), WRITE_LIMIT) {
            Ok(reply) if reply.code == 201 => log.written.lock().expect("no panic").push((name, Instant::now())),
            Ok(reply) => log.refused.lock().expect("no panic").push(format!("{name}: {}", reply.text)),
            Err(error) => log.refused.lock().expect("no panic").push(format!("{name}: {error:#}")),
        }
    }
}

#[test]
fn killing_the_leader_loses_no_acknowledged_write_and_stops_writes_only_briefly() {
    let mut cluster = Cluster::start(3).unwrap();
    let mut steps = Steps::new();
    for round in 0..3 {
        steps.step(&format!("round {round}: the leader is killed under load"), || kill_under_load(&mut cluster, round));
    }
    steps.end();
}

fn kill_under_load(cluster: &mut Cluster, round: usize) -> Result<()> {
    let leader = cluster.leader()?;
    let writer = (leader + 1) % cluster.nodes.len();
    let proxy = cluster.newest(writer).follow("proxy --port=0")?;
    let says = proxy.says("Starting to serve on")?;
    let to = says.rsplit(' ').next().context("no address")?.parse()?;
    let log = Log::default();
    let killed = std::thread::scope(|scope| {
        scope.spawn(|| write(to, round, &log));
        let killed = log.reaches(WRITES).and_then(|()| {
            cluster.nodes[leader].kill9()?;
            log.reaches(log.count() + WRITES)
        });
        log.enough.store(true, Ordering::Relaxed);
        killed
    });
    killed?;
    let (gap, refused) = (log.gap(), log.refused.lock().expect("no panic").len());
    println!("    {} writes, {refused} not acknowledged, longest gap {gap:.2?}", log.count());
    ensure!(gap < GAP_LIMIT, "no write for {gap:?}");
    ensure!(cluster.leader()? != leader, "the dead node leads");
    same_everywhere(cluster, round, &log)?;
    cluster.restart(leader)?;
    cluster.settle()?;
    same_everywhere(cluster, round, &log)
}

/// Each running node shows all that was acknowledged, and all show the same.
fn same_everywhere(cluster: &Cluster, round: usize, log: &Log) -> Result<()> {
    let mut shown = Vec::new();
    for node in (0..cluster.nodes.len()).filter(|node| cluster.nodes[*node].runs()) {
        let listed = cluster.newest(node).prints("get configmaps -n default -o name", "", &[])?;
        let prefix = format!("configmap/w{round}-");
        let all: BTreeSet<String> = listed.lines().map(Into::into).collect();
        let lost: Vec<_> = log.names().into_iter().filter(|name| !all.contains(&format!("configmap/{name}"))).collect();
        ensure!(lost.is_empty(), "{} lost acknowledged writes: {lost:?}", cluster.nodes[node].name);
        shown.push(all.into_iter().filter(|name| name.starts_with(&prefix)).collect::<BTreeSet<_>>());
    }
    ensure!(shown.windows(2).all(|pair| pair[0] == pair[1]), "nodes show different objects");
    Ok(())
}
