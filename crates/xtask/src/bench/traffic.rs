//! What goes from a pod to a pod on another node, and what it costs, beside the nodes' own veths. Load: iperf3.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    lab::{Lab, said},
    row::Measured,
    sample::cpu_microseconds,
};
use crate::system::{self, Need};

const IPERF: &[Need] = &[Need { program: "iperf3", package: "iperf3", reason: "measures traffic" }];

/// How long a server may take to listen, looked at so often: it tells no event.
const LISTEN_TRIES: usize = 100;
const LISTEN_PERIOD: Duration = Duration::from_millis(50);

/// A pod on each node, through the data planes.
pub(crate) fn pods(lab: &mut Lab) -> Result<Measured> {
    let sandbox = lab.sandbox()?;
    let (server, kubeconfig, mesh) = (sandbox.server()?, sandbox.kubeconfig()?, sandbox.pid(1, "mesh")?);
    lab.load_at("place", 2, &server, &kubeconfig, &[mesh])?;
    let sandbox = lab.sandbox()?;
    let ends = [sandbox.pod_namespace(1)?, sandbox.pod_namespace(2)?];
    let planes = [sandbox.pid(1, "dataplane")?, sandbox.pid(2, "dataplane")?];
    let address = address(&ends[1])?;
    measure(&ends, &address, &planes, lab.seconds)
}

/// The nodes themselves.
pub(crate) fn veth(lab: &mut Lab) -> Result<Measured> {
    let sandbox = lab.sandbox()?;
    let (ends, address) = ([sandbox.namespace(1), sandbox.namespace(2)], sandbox.address(2)?);
    measure(&ends, &address, &[], lab.seconds)
}

/// One TCP connection from the first network namespace to the second. Processor time is that of both ends and of the processes
/// between them.
fn measure(ends: &[PathBuf; 2], address: &str, between: &[u32], seconds: u32) -> Result<Measured> {
    system::install(IPERF)?;
    let server = Server::start(&ends[1])?;
    let before = cpu_microseconds(between)?;
    let mut client = inside(&ends[0]);
    let told = said(client.args(["iperf3", "-c", address, "-t", &seconds.to_string(), "-J"]))?;
    let between = (cpu_microseconds(between)? - before) as f64 / 1e6;
    drop(server);
    let told: Value = serde_json::from_str(&told)?;
    let end = &told["end"];
    let number = |value: &Value| value.as_f64().with_context(|| format!("iperf3 did not say all: {end}"));
    let (gigabits, gigabytes) =
        (number(&end["sum_received"]["bits_per_second"])? / 1e9, number(&end["sum_received"]["bytes"])? / 1e9);
    let percent = &end["cpu_utilization_percent"];
    let ours = (number(&percent["host_total"])? + number(&percent["remote_total"])?) / 100.0 * f64::from(seconds);
    let note = format!("between the ends {:.2} s/GB", between / gigabytes);
    Ok(Measured { value: gigabits, cpu: (ours + between) / gigabytes, note, ..Measured::default() })
}

/// iperf3 that serves until this is dropped.
struct Server(Child);

impl Server {
    fn start(namespace: &Path) -> Result<Self> {
        let mut command = inside(namespace);
        command.args(["iperf3", "-s"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().context("cannot run iperf3")?);
        for _ in 0..LISTEN_TRIES {
            if said(inside(namespace).args(["ss", "-Hltn", "sport = :5201"]))?.contains("5201") {
                return Ok(server);
            }
            sleep(LISTEN_PERIOD);
        }
        anyhow::bail!("iperf3 does not listen")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in a network namespace.
fn inside(namespace: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.display()));
    command
}

/// The IPv4 address in a network namespace.
fn address(namespace: &Path) -> Result<String> {
    let told = said(inside(namespace).args(["ip", "-j", "-4", "address", "show", "scope", "global"]))?;
    let links: Value = serde_json::from_str(&told)?;
    let found = links.as_array().into_iter().flatten().find_map(|link| link["addr_info"][0]["local"].as_str());
    ensure!(found.is_some(), "no address in {}: {told}", namespace.display());
    Ok(found.unwrap_or_default().to_owned())
}
