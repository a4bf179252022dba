//! `cargo xtask bench`: what one durable node does under load and what it costs, and how fast three replace a leader.
//!
//! The load is `examples/load`. Everything is on one machine, client included: compare CPU per request before rates.
//! Leaves out pods, Services and the pod network: there are none yet.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{
    build::build,
    system,
    test::PACKAGES,
    workspace::{Features, Workspace},
};

mod node;

use node::{Node, remove};

/// Number of the first node, which gives its ports: a demo may go on running.
const FIRST: u16 = 4;

/// Leaders killed; the slowest and the middle one are told.
const KILLS: usize = 7;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Measure the release profile (its build takes many minutes) instead of `fast`
    #[arg(long)]
    release: bool,
    /// How long each row takes
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

/// Builds, measures, prints.
///
/// # Errors
/// Where a build, a node or a request fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    system::install(PACKAGES)?;
    let workspace = Workspace::load(Features::Default)?;
    let folder = workspace.root.join("target/bench");
    let profile = if options.release { "release" } else { "fast" };
    let built = build(&workspace.root, profile, &["-p", "mesh", "-p", "xtask", "--bin", "mesh", "--example", "load"])?;
    let program = |name: &str| built.get(name).cloned().with_context(|| format!("cargo built no {name}"));
    let bench = Bench { mesh: program("mesh")?, load: program("load")?, folder };
    bench.clear()?;
    std::fs::create_dir_all(&bench.folder).with_context(|| format!("cannot make {}", bench.folder.display()))?;
    println!("profile {profile}, TLS, RBAC and fsync on, client on the same machine\n");
    let measured = bench.one(options.seconds).and_then(|()| bench.three());
    bench.clear()?;
    measured
}

struct Bench {
    mesh: PathBuf,
    load: PathBuf,
    folder: PathBuf,
}

impl Bench {
    /// Ends what runs and removes what it kept.
    fn clear(&self) -> Result<()> {
        remove(&self.folder)
    }

    fn kubeconfig(&self, node: &Node) -> Result<PathBuf> {
        let path = self.folder.join("kubeconfig");
        std::fs::write(&path, node.ask(&["kubeconfig"])?)?;
        Ok(path)
    }

    fn one(&self, seconds: u32) -> Result<()> {
        let mut node = Node::new(&self.mesh, &self.folder, FIRST);
        let founded = started(&mut node)?;
        let pid = node.pid().context("the node runs")?;
        let idle = resident(pid)?;
        let kubeconfig = self.kubeconfig(&node)?;
        let mut rows = self.load("rows", &node.server, &kubeconfig, pid);
        system::run(rows.arg(seconds.to_string()))?;
        let loaded = resident(pid)?;
        node.kill()?;
        let again = started(&mut node)?;
        println!("\n{:<34} {founded:>9} ms", "start to ready, a new cluster");
        println!("{:<34} {again:>9} ms", "start to ready, after that load");
        println!("{:<34} {:>9.1} MiB", "resident memory, idle", mib(idle));
        println!("{:<34} {:>9.1} MiB", "resident memory, after the load", mib(loaded));
        node.kill()?;
        // Its ports and its folder are the first of the three's.
        self.clear()?;
        Ok(std::fs::create_dir_all(&self.folder)?)
    }

    fn three(&self) -> Result<()> {
        let numbers = FIRST..FIRST + 3;
        let mut nodes: Vec<Node> = numbers.map(|number| Node::new(&self.mesh, &self.folder, number)).collect();
        started(&mut nodes[0])?;
        let (kubeconfig, line) = (self.kubeconfig(&nodes[0])?, nodes[0].ask(&["token", "create"])?);
        let mut joined = Vec::new();
        for node in &mut nodes[1..] {
            let start = Instant::now();
            node.start(Some(&line))?;
            node.ready()?;
            joined.push(start.elapsed().as_millis());
        }
        println!("{:<34} {:>9} ms", "start of a joining node to ready", joined.iter().max().unwrap_or(&0));
        let mut gaps = Vec::new();
        for _ in 0..KILLS {
            gaps.push(self.gap(&mut nodes, &kubeconfig)?);
        }
        gaps.sort_unstable();
        println!(
            "{:<34} {:>9} ms, slowest of {KILLS} {} ms",
            "leader killed to next write",
            gaps[KILLS / 2],
            gaps[KILLS - 1]
        );
        Ok(())
    }

    fn gap(&self, nodes: &mut [Node], kubeconfig: &Path) -> Result<u64> {
        node::settled(nodes)?;
        let status = nodes[0].ready()?;
        let leader = nodes.iter().position(|node| status["leader"] == *node.name).context("there is no leader")?;
        let pid = nodes[leader].pid().context("the leader runs")?;
        let other = (leader + 1) % nodes.len();
        let output = self.load("gap", &nodes[other].server, kubeconfig, pid).output().context("cannot run the load")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        nodes[leader].kill()?;
        nodes[leader].start(None)?;
        nodes[leader].ready()?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }

    fn load(&self, what: &str, server: &str, kubeconfig: &Path, pid: u32) -> Command {
        let mut command = Command::new(&self.load);
        command.arg(what).arg(server).arg(kubeconfig).arg(pid.to_string());
        command
    }
}

/// Starts a node and waits until it is ready; milliseconds, to some 50.
fn started(node: &mut Node) -> Result<u128> {
    let start = Instant::now();
    node.start(None)?;
    node.ready()?;
    Ok(start.elapsed().as_millis())
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> Result<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the node is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}
