//! Nodes that run pods: [`Sandbox`], a cluster of `mesh dev` with containerds of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use testkit::image::Image;

use crate::clients::clients;
use crate::{Client, Kubectl, Program, mesh};

/// The image that tests run: a shell and the usual programs.
pub const BUSYBOX: &str = "mesh.test/busybox:1";

/// How long a sandbox may take to start or go, on a busy machine.
const SANDBOX_LIMIT: Duration = Duration::from_secs(150);

/// Lines of each log that a failed test shows.
const SHOWN_LINES: usize = 60;

/// A cluster whose nodes run pods. Everything ends and goes on drop.
#[derive(Debug)]
pub struct Sandbox {
    /// Its name; the nodes are `node-1`...
    pub name: String,
    nodes: usize,
    root: TempDir,
}

impl Sandbox {
    /// Starts nodes and imports [`BUSYBOX`] on each. The name is the test's own: what a killed run left is removed first.
    ///
    /// # Errors
    /// Where a node does not become ready, with the end of its log.
    pub fn start(name: &str, nodes: usize) -> Result<Self> {
        Self::start_with(mesh(), name, nodes)
    }

    /// As [`Sandbox::start`], with nodes that run another binary; what is started later runs the one under test.
    ///
    /// # Errors
    /// As [`Sandbox::start`].
    pub fn start_with(binary: &Path, name: &str, nodes: usize) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("mesh-").tempdir()?;
        let sandbox = Self { name: format!("t-{name}"), nodes, root };
        sandbox.dev("down")?;
        let up = Program::new(binary, &format!("dev up --nodes {nodes} --name {}", sandbox.name));
        up.limit(SANDBOX_LIMIT).run()?.prints(&[])?;
        sandbox.import("busybox", Image::busybox(BUSYBOX)?)?;
        for node in sandbox.names() {
            sandbox.write_kubeconfig(&node)?;
        }
        Ok(sandbox)
    }

    /// The nodes' names.
    pub fn names(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("node-{number}")).collect()
    }

    /// Runs `mesh dev <arguments>`; returns what it prints.
    ///
    /// # Errors
    /// Where it fails.
    pub fn dev(&self, arguments: &str) -> Result<String> {
        let program = Program::new(mesh(), &format!("dev {arguments} --name {}", self.name));
        program.limit(SANDBOX_LIMIT).run()?.prints(&[])
    }

    /// A command of `mesh` about this node.
    pub fn on(&self, node: &str, arguments: &str) -> Program {
        Program::new(mesh(), arguments).arg("--data-dir").arg(self.home(node).join("data"))
    }

    /// Imports an image on every node.
    ///
    /// # Errors
    /// Where it cannot be written or is refused.
    pub fn import(&self, name: &str, image: Image) -> Result<()> {
        self.import_on(&self.names(), name, image)
    }

    /// Imports an image on these nodes.
    ///
    /// # Errors
    /// As [`Sandbox::import`].
    pub fn import_on(&self, nodes: &[String], name: &str, image: Image) -> Result<()> {
        let path = self.root.path().join(format!("{name}.tar"));
        image.write(&path)?;
        for node in nodes {
            self.on(node, "image import").arg(&path).run()?.prints(&[])?;
        }
        Ok(())
    }

    /// The network namespace of a node.
    pub fn namespace(&self, node: &str) -> String {
        format!("mesh-{}-{node}", self.name)
    }

    /// What a node keeps: its data directory `data`, and its logs.
    pub fn home(&self, node: &str) -> PathBuf {
        Path::new("/var/lib/mesh-dev").join(&self.name).join(node)
    }

    /// A folder for the test's own files.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A node's address.
    ///
    /// # Errors
    /// Where there is no such node.
    pub fn address(&self, node: &str) -> Result<String> {
        let status: Value = serde_json::from_str(&self.dev("status -o json")?)?;
        let nodes = status["nodes"].as_array().context("nodes are listed")?;
        let found = nodes.iter().find(|one| one["name"] == node).with_context(|| format!("no {node}"))?;
        Ok(found["address"].as_str().context("it has an address")?.to_owned())
    }

    /// kubectl of this release, talking to this node as the administrator.
    pub fn kubectl(&self, client: &Client, node: &str) -> Kubectl {
        Kubectl::new(client, self.root(), self.kubeconfig(node))
    }

    /// The newest kubectl, talking to this node as the administrator.
    pub fn newest(&self, node: &str) -> Kubectl {
        self.kubectl(&clients()[clients().len() - 1], node)
    }

    fn kubeconfig(&self, node: &str) -> PathBuf {
        self.root().join(format!("{node}.kubeconfig"))
    }

    fn write_kubeconfig(&self, node: &str) -> Result<()> {
        let text = self.dev(&format!("kubeconfig {node}"))?;
        Ok(std::fs::write(self.kubeconfig(node), text)?)
    }

    /// On standard output, so that what failed, on standard error, is told last.
    fn show_logs(&self) {
        for node in self.names() {
            for part in ["mesh", "data/dataplane"] {
                let log = self.home(&node).join(format!("{part}.log"));
                let Ok(text) = std::fs::read_to_string(&log) else { continue };
                let lines: Vec<&str> = text.lines().collect();
                let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
                println!("--- {part} of {node}, {} lines\n{}", lines.len(), shown.join("\n"));
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        if let Err(error) = self.dev("down") {
            eprintln!("{}: not removed: {error:#}", self.name);
        }
    }
}
