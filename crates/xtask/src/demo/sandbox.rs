//! The nodes of the tour, as `mesh dev` runs them: [`Sandbox`].

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The sandbox's name.
pub(super) const NAME: &str = "demo";

/// Nodes of the tour: the least number of which any one may die.
const NODES: &str = "3";

/// How long kubectl may take for one request, as its own flag spells it.
const REQUEST_TIMEOUT: &str = "--request-timeout=10s";

/// Commands of kubectl that wait longer than one request may take.
const WAITERS: [&str; 3] = ["rollout", "wait", "exec"];

/// Three nodes of `mesh dev`.
#[derive(Debug)]
pub(super) struct Sandbox {
    /// The binary.
    pub(super) mesh: PathBuf,
    /// The client.
    pub(super) kubectl: PathBuf,
    /// The server that is asked, where it is not the kubeconfig's.
    server: RefCell<Option<String>>,
}

impl Sandbox {
    /// The nodes, running or not.
    pub(super) fn new(mesh: PathBuf, kubectl: PathBuf) -> Self {
        Self { mesh, kubectl, server: RefCell::default() }
    }

    /// Starts them all; `mesh` itself tells how far it is.
    pub(super) fn up(&self) -> Result<String> {
        crate::system::run(Command::new(&self.mesh).args(["dev", "up", "--nodes", NODES, "--name", NAME]))?;
        Ok(String::new())
    }

    /// Removes every trace.
    pub(super) fn down(&self) -> Result<String> {
        let said = self.dev(&["down"])?;
        Ok(said.trim().trim_start_matches("demo: ").to_owned())
    }

    /// Kills a node as if it lost power.
    pub(super) fn kill(&self, node: &str) -> Result<String> {
        let said = self.dev(&["kill", node])?;
        Ok(said.trim().split_once(": ").map_or_else(String::new, |(_, rest)| rest.to_owned()))
    }

    /// Starts a node again and waits until it is ready.
    pub(super) fn start(&self, node: &str) -> Result<String> {
        self.dev(&["start", node]).map(|_| String::new())
    }

    fn dev(&self, arguments: &[&str]) -> Result<String> {
        said(Command::new(&self.mesh).arg("dev").args(arguments).args(["--name", NAME]))
    }

    /// What `mesh <arguments>` says on a node.
    pub(super) fn on(&self, node: &str, arguments: &[&str]) -> Result<String> {
        said(Command::new(&self.mesh).args(arguments).arg("--data-dir").arg(self.data_dir(node)))
    }

    fn home(&self) -> &'static Path {
        Path::new("/var/lib/mesh-dev/demo")
    }

    fn data_dir(&self, node: &str) -> PathBuf {
        self.home().join(node).join("data")
    }

    /// What kubectl needs.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.home().join("kubeconfig")
    }

    fn status(&self) -> Result<Vec<Value>> {
        let status: Value = serde_json::from_str(&self.dev(&["status", "-o", "json"])?)?;
        Ok(status["nodes"].as_array().cloned().unwrap_or_default())
    }

    /// The nodes' names.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        Ok(self.status()?.iter().filter_map(|node| node["name"].as_str().map(Into::into)).collect())
    }

    /// The nodes' addresses.
    pub(super) fn addresses(&self) -> Result<Vec<String>> {
        Ok(self.status()?.iter().filter_map(|node| node["address"].as_str().map(Into::into)).collect())
    }

    /// The node that leads.
    pub(super) fn leader(&self) -> Result<String> {
        let status: Value = serde_json::from_str(&self.on("node-1", &["status", "-o", "json"])?)?;
        status["leader"].as_str().map(Into::into).context("there is no leader")
    }

    /// The two nodes beside this one.
    pub(super) fn others(&self, node: &str) -> Result<(String, String)> {
        let mut others = self.names()?.into_iter().filter(|name| name != node);
        others.next().zip(others.next()).context("there are not three nodes")
    }

    /// From now on kubectl asks this node.
    pub(super) fn talk_to(&self, node: &str) -> Result<()> {
        let nodes = self.status()?;
        let found = nodes.iter().find(|status| status["name"] == node).context("no such node")?;
        let address = found["address"].as_str().context("it has an address")?;
        self.server.replace(Some(format!("https://{address}:6443")));
        Ok(())
    }

    /// What kubectl says.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig()).arg("--cache-dir").arg(self.home().join("kubectl-cache"));
        if let Some(server) = &*self.server.borrow() {
            command.args(["--server", server]);
        }
        if !arguments.iter().any(|word| WAITERS.contains(word)) {
            command.arg(REQUEST_TIMEOUT);
        }
        said(command.args(arguments))
    }
}

/// Runs a command to its end and returns what it printed.
fn said(command: &mut Command) -> Result<String> {
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {words}: {}", command.get_program().display(), errors.trim());
    Ok(String::from_utf8(output.stdout)?)
}
