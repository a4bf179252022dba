//! `cargo xtask demo`: three nodes on this machine agree, serve stock kubectl, and survive the death of their leader.
//!
//! A tour of what works today, each step done for real and timed. The nodes stay up for the user to try; `--down`
//! ends them and removes all they kept. Leaves out pods: there are none yet.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    system,
    test::{KUBECTL, PACKAGES},
    workspace::{Features, Workspace},
};

pub(crate) mod build;
pub(crate) mod node;
mod ticks;

use node::{Node, QUORUM_LIMIT, end_all, eventually, settled};
use ticks::Ticks;

/// Nodes of the tour: the least number of which any one may die.
const NODES: u16 = 3;

/// How long kubectl may take for one request, as its own flag spells it.
const REQUEST_TIMEOUT: &str = "--request-timeout=5s";

/// Runs the tour, or ends what a former one left.
///
/// # Errors
/// Names the step that failed, with the node's own words.
pub(crate) fn run(down: bool) -> Result<()> {
    let workspace = Workspace::load(Features::Default)?;
    let folder = workspace.root.join("target/demo");
    if down {
        let ended = remove(&folder)?;
        println!("{ended} nodes ended, {} removed", folder.display());
        return Ok(());
    }
    system::install(PACKAGES)?;
    let tools = system::unpack(&KUBECTL, &workspace.root.join("target/tools"))?;
    let kubectl = tools.map_or_else(|| PathBuf::from(KUBECTL.program), |folder| folder.join(KUBECTL.program));
    let ticks = Ticks::start();
    let mut mesh = PathBuf::new();
    ticks.loud("mesh is built (the first time takes minutes)", || {
        let mut built = build::build(&workspace.root, "fast", &["-p", "mesh"])?;
        mesh = built.remove("mesh").context("cargo built no mesh")?;
        Ok(String::new())
    })?;
    ticks.step("what a former demo left is removed", || Ok(format!("{} nodes ended", remove(&folder)?)))?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut tour = Tour {
        nodes: (1..=NODES).map(|number| Node::new(&mesh, &folder, number)).collect(),
        kubectl,
        folder,
        root: workspace.root,
    };
    tour.walk(&ticks).context("the demo failed; `cargo xtask demo --down` removes what is left of it")?;
    tour.farewell(&mesh, &ticks);
    Ok(())
}

/// Ends the nodes whose files lie below `folder`, and removes what they kept; returns how many there were.
///
/// # Errors
/// Where a node does not end, or the folder does not go.
pub(crate) fn remove(folder: &Path) -> Result<usize> {
    let ended = end_all(folder)?;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(ended),
    }
}

struct Tour {
    nodes: Vec<Node>,
    kubectl: PathBuf,
    folder: PathBuf,
    root: PathBuf,
}

impl Tour {
    fn walk(&mut self, ticks: &Ticks) -> Result<()> {
        ticks.step("n1 founds a cluster", || self.found())?;
        ticks.step("n2 and n3 join with its token", || self.join())?;
        ticks.step("all three vote", || self.settle())?;
        ticks.step("kubectl applies examples/config and examples/rbac", || self.apply())?;
        ticks.step("every node tells the same", || self.read())?;
        ticks.step("RBAC lets the reader read and not write", || self.judge())?;
        let leader = self.leader()?;
        let name = self.nodes[leader].name.clone();
        ticks.step(&format!("{name}, the leader, is killed with SIGKILL"), || {
            self.nodes[leader].kill()?;
            Ok(String::new())
        })?;
        ticks.step("the others go on writing", || self.write())?;
        ticks.step(&format!("{name} comes back and has what it missed"), || self.revive(leader))
    }

    fn found(&mut self) -> Result<String> {
        self.nodes[0].start(None)?;
        self.nodes[0].ready()?;
        let text = self.nodes[0].ask(&["kubeconfig"])?;
        std::fs::write(self.kubeconfig(), text)?;
        Ok(String::new())
    }

    fn join(&mut self) -> Result<String> {
        let line = self.nodes[0].ask(&["token", "create"])?;
        for node in &mut self.nodes[1..] {
            node.start(Some(&line))?;
        }
        self.nodes[1..].iter_mut().try_for_each(|node| node.ready().map(drop))?;
        Ok(String::new())
    }

    fn settle(&mut self) -> Result<String> {
        settled(&mut self.nodes)?;
        Ok(String::new())
    }

    fn apply(&self) -> Result<String> {
        let examples = self.root.join("examples");
        let (config, rbac) = (examples.join("config"), examples.join("rbac"));
        let said = self.kubectl(0, &["apply", "-f", &config.to_string_lossy(), "-f", &rbac.to_string_lossy()])?;
        Ok(format!("{} objects", said.lines().count()))
    }

    fn read(&self) -> Result<String> {
        let mut told = Vec::new();
        for node in 0..self.nodes.len() {
            told.push(self.kubectl(node, &["get", "configmap,secret,role", "-n", "hello", "-o", "name"])?);
        }
        ensure!(told.windows(2).all(|pair| pair[0] == pair[1]), "they differ: {told:?}");
        Ok(told[0].split_whitespace().collect::<Vec<_>>().join(", "))
    }

    fn judge(&self) -> Result<String> {
        let may = |verb| {
            let reader = "--as=system:serviceaccount:hello:reader";
            let answer = self.command(1, &["auth", "can-i", verb, "configmaps", "-n", "hello", reader]).output()?;
            Ok::<_, anyhow::Error>(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        };
        let (list, delete) = (may("list")?, may("delete")?);
        ensure!((&*list, &*delete) == ("yes", "no"), "list: {list:?}, delete: {delete:?}");
        Ok(format!("list {list}, delete {delete}"))
    }

    fn leader(&mut self) -> Result<usize> {
        let status = self.nodes[0].ready()?;
        let name = status["leader"].as_str().context("there is no leader")?;
        self.nodes.iter().position(|node| node.name == name).context("the leader is none of ours")
    }

    /// Writes through a node that is left as soon as one takes it.
    fn write(&self) -> Result<String> {
        let killed = Instant::now();
        let alive = self.nodes.iter().position(Node::runs).context("no node is left")?;
        eventually(QUORUM_LIMIT, || {
            self.kubectl(alive, &["create", "configmap", "after", "-n", "hello", "--from-literal=leader=gone"])
        })?;
        Ok(format!("written through {} {:.2} s after the kill", self.nodes[alive].name, killed.elapsed().as_secs_f32()))
    }

    fn revive(&mut self, dead: usize) -> Result<String> {
        self.nodes[dead].start(None)?;
        self.nodes[dead].ready()?;
        let read = ["get", "configmap", "after", "-n", "hello", "-o", "jsonpath={.data.leader}"];
        let told = eventually(QUORUM_LIMIT, || self.kubectl(dead, &read))?;
        ensure!(told == "gone", "it tells {told:?}");
        Ok(String::new())
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    fn command(&self, node: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.folder.join("kubectl-cache"));
        command.args(["--server", &self.nodes[node].server, REQUEST_TIMEOUT]).args(arguments);
        command
    }

    fn kubectl(&self, node: usize, arguments: &[&str]) -> Result<String> {
        let output = self.command(node, arguments).output().context("cannot run kubectl")?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {} through {}: {}", arguments.join(" "), self.nodes[node].name, words.trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn farewell(&self, mesh: &Path, ticks: &Ticks) {
        println!("\nDone in {:.1} s. Three nodes keep running; try them:\n", ticks.seconds());
        println!("  export KUBECONFIG={}", self.kubeconfig().display());
        println!("  {} get configmaps -A", self.kubectl.display());
        println!("  {} status --data-dir {}", mesh.display(), self.folder.join("n1").display());
        println!("\nRemove every trace:\n\n  cargo xtask demo --down");
    }
}
