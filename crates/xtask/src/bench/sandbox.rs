//! Two nodes of `mesh dev` that run pods: [`Sandbox`].

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::image::Image;

use super::{
    lab::said,
    node::{QUORUM_LIMIT, eventually},
};
use crate::{system, test::PACKAGES};

/// Its name.
const NAME: &str = "bench";

/// Its nodes, `node-1` and `node-2`.
const NODES: [&str; 2] = ["node-1", "node-2"];

/// The image that pods run.
pub(crate) const IMAGE: &str = "mesh.test/busybox:1";

/// Where `mesh dev` keeps what lasts, and what a reboot ends.
const HOME: &str = "/var/lib/mesh-dev/bench";
const RUN: &str = "/run/mesh-dev/bench";

/// Two nodes.
#[derive(Debug)]
pub(crate) struct Sandbox {
    mesh: PathBuf,
    /// The image as an archive.
    pub(crate) archive: PathBuf,
}

impl Sandbox {
    /// Starts them and imports the image.
    ///
    /// # Errors
    /// Where we are not root, or a node does not start.
    pub(crate) fn up(mesh: &Path, folder: &Path) -> Result<Self> {
        ensure!(system::is_root(), "nodes with pods need network namespaces and containerd: run this as root");
        system::install(PACKAGES)?;
        let sandbox = Self { mesh: mesh.into(), archive: folder.join("busybox.tar") };
        sandbox.down()?;
        sandbox.dev(&["up", "--nodes", &NODES.len().to_string()])?;
        Image::busybox(IMAGE)?.write(&sandbox.archive)?;
        for node in NODES {
            let data_dir = Path::new(HOME).join(node).join("data");
            said(Command::new(mesh).args(["image", "import"]).arg(&sandbox.archive).arg("--data-dir").arg(data_dir))?;
        }
        Ok(sandbox)
    }

    /// Removes every trace.
    ///
    /// # Errors
    /// Where that does not go.
    pub(crate) fn down(&self) -> Result<()> {
        self.dev(&["down"]).map(drop)
    }

    fn dev(&self, arguments: &[&str]) -> Result<String> {
        said(Command::new(&self.mesh).arg("dev").args(arguments).args(["--name", NAME]))
    }

    /// The administrator's kubeconfig, which names the first node.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) fn kubeconfig(&self) -> Result<String> {
        self.dev(&["kubeconfig", NODES[0]])
    }

    /// The first node's API server.
    ///
    /// # Errors
    /// Where the nodes do not tell.
    pub(crate) fn server(&self) -> Result<String> {
        Ok(format!("https://{}:6443", self.address(1)?))
    }

    /// A node's address; nodes count from 1.
    ///
    /// # Errors
    /// Where there is no such node.
    pub(crate) fn address(&self, node: usize) -> Result<String> {
        let status = self.status()?;
        let address = status["nodes"][node - 1]["address"].as_str();
        Ok(address.with_context(|| format!("node-{node} has no address"))?.to_owned())
    }

    /// Process id of `mesh`, `dataplane` or `containerd` of a node.
    ///
    /// # Errors
    /// Where it does not run.
    pub(crate) fn pid(&self, node: usize, part: &str) -> Result<u32> {
        let status = self.status()?;
        let pid = status["nodes"][node - 1]["pids"][part].as_u64();
        Ok(pid.with_context(|| format!("{part} of node-{node} does not run"))?.try_into()?)
    }

    fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.dev(&["status", "-o", "json"])?)?)
    }

    /// containerd's socket on the first node.
    pub(crate) fn socket(&self) -> PathBuf {
        Path::new(RUN).join(NODES[0]).join("containerd.sock")
    }

    /// The file that stands for a node's network namespace.
    pub(crate) fn namespace(&self, node: usize) -> PathBuf {
        Path::new("/run/netns").join(format!("mesh-{NAME}-node-{node}"))
    }

    /// The same for the only pod on a node; those of pods deleted before take a moment to go.
    ///
    /// # Errors
    /// Where there is none, or more than one for long.
    pub(crate) fn pod_namespace(&self, node: usize) -> Result<PathBuf> {
        let folder = Path::new(RUN).join(format!("node-{node}")).join("mesh/netns");
        eventually(QUORUM_LIMIT, || {
            let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
            let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            ensure!(found.len() == 1, "{} pods instead of one on node-{node}", found.len());
            found.pop().context("there is one")
        })
    }
}
