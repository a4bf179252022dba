//! How long a node takes to be of use: started, joined, and after the leader was killed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{
    lab::Lab,
    node::{self, Node},
    row::Measured,
    sample::{Sample, cpu_microseconds},
};

/// Number of the first node of these rows.
const FIRST: u16 = 2;

/// Nodes that agree when the leader is killed.
const VOTERS: u16 = 3;

/// Nodes that join one cluster.
const JOINERS: u16 = 2;

/// Most kills for a repeat: kills are what percentiles are wanted of.
const KILLS: u16 = 4;

/// Writes before a kill.
const WRITES: u32 = 20;

/// New clusters of one node.
pub(crate) fn founded(lab: &mut Lab) -> Result<Measured> {
    repeat(lab.repeats, || {
        let mut node = lab.spare(FIRST);
        let started = start(&mut node, None)?;
        node.wipe()?;
        Ok(vec![started])
    })
}

/// The same node again and again, after `kill -9`.
pub(crate) fn restarted(lab: &mut Lab) -> Result<Measured> {
    let mut node = lab.spare(FIRST);
    start(&mut node, None)?;
    let measured = repeat(lab.repeats, || {
        node.kill()?;
        Ok(vec![start(&mut node, None)?])
    })?;
    node.wipe()?;
    Ok(measured)
}

/// Nodes that join a young cluster.
pub(crate) fn joined(lab: &mut Lab) -> Result<Measured> {
    repeat(lab.repeats.div_ceil(JOINERS), || {
        let mut nodes = vec![lab.spare(FIRST)];
        start(&mut nodes[0], None)?;
        let line = nodes[0].ask(&["token", "create"])?;
        let mut samples = Vec::new();
        for number in 1..=JOINERS {
            let mut node = lab.spare(FIRST + number);
            samples.push(start(&mut node, Some(&line))?);
            nodes.push(node);
        }
        nodes.into_iter().try_for_each(Node::wipe)?;
        Ok(samples)
    })
}

/// The leader of three is killed, and another node asked to write.
pub(crate) fn failover(lab: &mut Lab) -> Result<Measured> {
    let mut nodes: Vec<Node> = (FIRST..FIRST + VOTERS).map(|number| lab.spare(number)).collect();
    start(&mut nodes[0], None)?;
    let line = nodes[0].ask(&["token", "create"])?;
    for node in &mut nodes[1..] {
        start(node, Some(&line))?;
    }
    let measured = repeat(lab.repeats * KILLS, || Ok(vec![gap(lab, &mut nodes)?]))?;
    nodes.into_iter().try_for_each(Node::wipe)?;
    Ok(measured)
}

fn gap(lab: &Lab, nodes: &mut [Node]) -> Result<(Duration, u64)> {
    node::settled(nodes)?;
    let status = nodes[0].ready()?;
    let leader = nodes.iter().position(|node| status["leader"] == *node.name).context("there is no leader")?;
    let all = nodes.len();
    let pids = (0..all).map(|turn| nodes[(leader + turn) % all].pid()).collect::<Result<Vec<_>>>()?;
    // The leader first; the node that is asked is the next.
    let other = &nodes[(leader + 1) % all];
    let sample = lab.load_at("failover", WRITES, &other.server, &other.ask(&["kubeconfig"])?, &pids)?;
    let leader = &mut nodes[leader];
    leader.kill()?;
    start(leader, None)?;
    Ok((Duration::from_secs_f64(sample.seconds), sample.cpu as u64))
}

/// Starts a node; the time until it is ready, and the processor time it took.
fn start(node: &mut Node, join: Option<&str>) -> Result<(Duration, u64)> {
    let began = Instant::now();
    node.start(join)?;
    node.ready()?;
    Ok((began.elapsed(), cpu_microseconds(&[node.pid()?])?))
}

fn repeat(times: u16, mut run: impl FnMut() -> Result<Vec<(Duration, u64)>>) -> Result<Measured> {
    let (began, mut all) = (Instant::now(), Vec::new());
    for _ in 0..times {
        all.extend(run()?);
    }
    let cpu = all.iter().map(|(_, cpu)| cpu).sum();
    let latencies: Vec<_> = all.into_iter().map(|(time, _)| time).collect();
    Ok(Measured::time(&Sample::new(latencies.len() as u64, latencies, began.elapsed(), cpu)))
}
