//! How long a pod takes to run, beside what containerd's own client takes for a container of the same image.

use std::{path::Path, process::Command, time::Instant};

use anyhow::Result;

use super::{
    lab::{Lab, said},
    row::Measured,
    sample::{Sample, cpu_microseconds, ticks},
};

/// Containers, one after the other, for each repeat.
const PODS: u32 = 4;

/// containerd's namespace for containers that are not ours.
const NAMESPACE: &str = "bench";

/// Where the processor time of ended children stands behind the name in `/proc/PID/stat`.
const CHILDREN: usize = 13;

/// Pods through the API, scheduler included. Processor time is that of `mesh`, its data plane and containerd.
pub(crate) fn run(lab: &mut Lab) -> Result<Measured> {
    let count = PODS * u32::from(lab.repeats);
    let sandbox = lab.sandbox()?;
    let parts = ["mesh", "dataplane", "containerd"];
    let pids = parts.iter().map(|part| sandbox.pid(1, part)).collect::<Result<Vec<_>>>()?;
    let (server, kubeconfig) = (sandbox.server()?, sandbox.kubeconfig()?);
    Ok(Measured::time(&lab.load_at("pods", count, &server, &kubeconfig, &pids)?))
}

/// `ctr run`. Processor time is that of `ctr` and containerd.
pub(crate) fn ctr(lab: &mut Lab) -> Result<Measured> {
    let count = PODS * u32::from(lab.repeats);
    let sandbox = lab.sandbox()?;
    let (socket, containerd) = (sandbox.socket(), sandbox.pid(1, "containerd")?);
    let archive = sandbox.archive.display().to_string();
    ask(&socket, &["images", "import", &archive])?;
    let (began, mut cpu, mut latencies) = (Instant::now(), 0, Vec::new());
    // The first is not counted: it warms what all others use.
    for number in 0..=count {
        let name = format!("bench-{number}");
        let taken = || Ok::<_, anyhow::Error>(cpu_microseconds(&[containerd])? + ticks("self", CHILDREN)?);
        let (start, before) = (Instant::now(), taken()?);
        ask(&socket, &["run", "-d", super::sandbox::IMAGE, &name, "sleep", "300"])?;
        if number > 0 {
            latencies.push(start.elapsed());
            cpu += taken()? - before;
        }
        ask(&socket, &["task", "rm", "-f", &name])?;
        ask(&socket, &["container", "rm", &name])?;
    }
    Ok(Measured::time(&Sample::new(u64::from(count), latencies, began.elapsed(), cpu)))
}

fn ask(socket: &Path, arguments: &[&str]) -> Result<String> {
    said(Command::new("ctr").arg("--address").arg(socket).args(["-n", NAMESPACE]).args(arguments))
}
