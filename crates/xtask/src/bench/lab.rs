//! What rows measure: [`Lab`]. Nodes are started when the first row needs them, and end with the bench.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{
    node::{self, Node},
    sample::Sample,
    sandbox::Sandbox,
};

/// Number of the first node, which gives its ports: a demo may go on running.
const FIRST: u16 = 4;

/// The programs that are measured with, and where nodes keep their data.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Under test.
    pub(crate) mesh: PathBuf,
    /// `examples/load`.
    pub(crate) load: PathBuf,
    /// The scheduler's own bench.
    pub(crate) scheduler: PathBuf,
    /// Below it is all that nodes keep.
    pub(crate) folder: PathBuf,
}

/// Nodes and how long to load them.
#[derive(Debug)]
pub(crate) struct Lab {
    /// What it runs.
    pub(crate) programs: Programs,
    /// How long a rate is measured, in seconds.
    pub(crate) seconds: u32,
    /// How often what takes long is repeated.
    pub(crate) repeats: u16,
    node: Option<Node>,
    sandbox: Option<Sandbox>,
}

impl Lab {
    /// Removes what a former run left. No node runs yet.
    ///
    /// # Errors
    /// Where that does not go.
    pub(crate) fn open(programs: Programs, seconds: u32, repeats: u16) -> Result<Self> {
        let folder = &programs.folder;
        node::remove(folder)?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { programs, seconds, repeats, node: None, sandbox: None })
    }

    /// Ends what runs and removes what it kept.
    ///
    /// # Errors
    /// Where that does not go.
    pub(crate) fn close(self) -> Result<()> {
        if let Some(sandbox) = self.sandbox {
            sandbox.down()?;
        }
        node::remove(&self.programs.folder)
    }

    /// A node of a row's own, which does not run yet. Number 0 is the one that requests go to.
    pub(crate) fn spare(&self, number: u16) -> Node {
        Node::new(&self.programs.mesh, &self.programs.folder, FIRST + number)
    }

    /// The node that requests go to.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn node(&mut self) -> Result<&mut Node> {
        if self.node.is_none() {
            let mut node = self.spare(0);
            node.start(None)?;
            node.ready()?;
            self.node = Some(node);
        }
        self.node.as_mut().context("it was started")
    }

    /// Two nodes that run pods.
    ///
    /// # Errors
    /// Where they do not start: this needs root and containerd.
    pub(crate) fn sandbox(&mut self) -> Result<&Sandbox> {
        if self.sandbox.is_none() {
            self.sandbox = Some(Sandbox::up(&self.programs.mesh, &self.programs.folder)?);
        }
        self.sandbox.as_ref().context("it was started")
    }

    /// Loads the node that requests go to.
    ///
    /// # Errors
    /// Where a request fails.
    pub(crate) fn load(&mut self, what: &str, count: u32) -> Result<Sample> {
        let node = self.node()?;
        let (server, kubeconfig, pid) = (node.server.clone(), node.ask(&["kubeconfig"])?, node.pid()?);
        self.load_at(what, count, &server, &kubeconfig, &[pid])
    }

    /// Loads another server; the processor time of these processes counts.
    ///
    /// # Errors
    /// Where a request fails.
    pub(crate) fn load_at(
        &self,
        what: &str,
        count: u32,
        server: &str,
        kubeconfig: &str,
        pids: &[u32],
    ) -> Result<Sample> {
        let path = self.kubeconfig(kubeconfig)?;
        let pids = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new(&self.programs.load);
        command.args([what, &count.to_string(), server]).arg(path).args([pids, self.seconds.to_string()]);
        Ok(serde_json::from_str(&said(&mut command)?)?)
    }

    fn kubeconfig(&self, text: &str) -> Result<PathBuf> {
        let path: &Path = &self.programs.folder.join("kubeconfig");
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.into())
    }
}

/// Runs a command to its end; returns what it printed.
///
/// # Errors
/// With its words, where it fails.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {words}: {}", errors.trim());
    Ok(String::from_utf8(output.stdout)?)
}
