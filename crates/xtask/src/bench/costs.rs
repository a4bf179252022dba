//! What nodes cost: memory and processor time, idle and loaded; and the scheduler by itself.

use std::{process::Command, thread::sleep, time::Duration};

use anyhow::{Context, Result};

use super::{
    lab::{Lab, said},
    row::Measured,
    sample::cpu_microseconds,
};

/// How long a node is left alone before its idling is measured: what it does after its start is over.
const SETTLE: Duration = Duration::from_secs(10);

/// How long its idling is measured.
const IDLE: Duration = Duration::from_secs(20);

/// Pods bound through the API.
const PODS: u32 = 2_000;

/// Number of the node that pods are bound on: fake nodes would trouble other rows.
const SPARE: u16 = 1;

/// A process of an idle node of two that run pods.
pub(crate) fn idle(lab: &mut Lab, part: &str) -> Result<Measured> {
    let pid = lab.sandbox()?.pid(1, part)?;
    // measured: what a process takes over time is what this is about
    sleep(SETTLE);
    let before = cpu_microseconds(&[pid])?;
    sleep(IDLE);
    let cpu = (cpu_microseconds(&[pid])? - before) as f64 / 1e3 / IDLE.as_secs_f64();
    Ok(Measured { value: resident(pid)?, cpu, note: "no pods, of two nodes".into(), ..Measured::default() })
}

/// Memory of the node that requests went to, after some more.
pub(crate) fn loaded(lab: &mut Lab) -> Result<Measured> {
    let sample = lab.load("create", 64)?;
    let pid = lab.node()?.pid()?;
    let note = format!("{} more ConfigMaps of 1 KiB", sample.operations);
    Ok(Measured { value: resident(pid)?, cpu: sample.cpu, note, ..Measured::default() })
}

/// Pods placed by the scheduler's crate, one after the other.
pub(crate) fn scheduler_alone(lab: &mut Lab) -> Result<Measured> {
    let printed = said(&mut Command::new(&lab.programs.scheduler))?;
    let line = printed.lines().next().context("the scheduler's bench prints a line")?;
    let numbers: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [pods, nodes, value, cpu] = numbers[..] else { anyhow::bail!("not what it should print: {line}") };
    Ok(Measured { value, cpu, note: format!("{pods} pods on {nodes} nodes"), ..Measured::default() })
}

/// Pods created and bound on a node of its own.
pub(crate) fn scheduler(lab: &mut Lab) -> Result<Measured> {
    let mut node = lab.spare(SPARE);
    node.start(None)?;
    node.ready()?;
    let sample = lab.load_at("schedule", PODS, &node.server, &node.ask(&["kubeconfig"])?, &[node.pid()?])?;
    node.wipe()?;
    Ok(Measured { note: "create included, 100 nodes".into(), ..Measured::rate(&sample) })
}

/// Resident memory of a process, in MiB.
fn resident(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
