//! Clusters of several nodes on this machine: each node a network namespace with a containerd and a `mesh` of its own.
//! Main type: [`Sandbox`]. For trying and testing; what a node does in it is what it does on a machine.
//!
//! Nothing is remembered about processes: those of a node are the ones in its network namespaces. So whatever a crash
//! left behind is found, and removed or reused.

mod containerd;
mod groups;
mod mounts;
mod network;
mod node;
pub(crate) mod processes;
mod subnet;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub(crate) use node::{Node, Part};

/// Where sandboxes keep their nodes' data.
const HOME: &str = "/var/lib/mesh-dev";

/// Where they keep what a reboot ends.
const RUN: &str = "/run/mesh-dev";

/// Most nodes: their addresses are from .11 on in a /24.
const MAX_NODES: u16 = 200;

/// Longest name, so that the sockets' paths stay under the 108 bytes of `sockaddr_un`.
const MAX_NAME: usize = 24;

/// What a sandbox is made of; kept in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Sandbox {
    /// Its name.
    pub(crate) name: String,
    /// Its nodes are `node-1` to this.
    pub(crate) nodes: u16,
    /// Third byte of its addresses, 10.89.x.0/24.
    subnet: u8,
}

impl Sandbox {
    /// The sandbox of this name, made if there is none.
    pub(crate) fn make(name: &str, nodes: u16) -> Result<Self> {
        ready_to_run(name)?;
        ensure!((1..=MAX_NODES).contains(&nodes), "--nodes {nodes}: give 1 to {MAX_NODES}");
        if let Some(there) = Self::find(name)? {
            ensure!(there.nodes <= nodes, "{name} has {} nodes: `mesh dev down --name {name}` first", there.nodes);
            let grown = Self { nodes, ..there };
            grown.save()?;
            return Ok(grown);
        }
        let sandbox = Self { name: name.into(), nodes, subnet: subnet::take(Path::new(RUN), name)? };
        sandbox.save()?;
        Ok(sandbox)
    }

    /// The sandbox of this name, which must be there.
    pub(crate) fn open(name: &str) -> Result<Self> {
        ready_to_run(name)?;
        let found = Self::find(name)?;
        found.with_context(|| format!("there is no sandbox {name:?}: `mesh dev up --name {name}` makes one"))
    }

    fn find(name: &str) -> Result<Option<Self>> {
        let path = Path::new(HOME).join(name).join("dev.json");
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// All sandboxes of this machine, by name.
    pub(crate) fn all() -> Result<Vec<String>> {
        let Ok(entries) = fs::read_dir(HOME) else { return Ok(Vec::new()) };
        let mut names: Vec<_> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Whether anything is left of the sandbox of this name.
    pub(crate) fn is_there(name: &str) -> bool {
        Path::new(HOME).join(name).exists()
    }

    fn save(&self) -> Result<()> {
        let home = self.home();
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        Ok(fs::write(home.join("dev.json"), serde_json::to_vec_pretty(self)?)?)
    }

    /// What lasts.
    pub(crate) fn home(&self) -> PathBuf {
        Path::new(HOME).join(&self.name)
    }

    /// What a reboot ends.
    pub(crate) fn run(&self) -> PathBuf {
        Path::new(RUN).join(&self.name)
    }

    /// All its nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> + Clone {
        (1..=self.nodes).map(|number| Node { sandbox: self, number })
    }

    /// The node of this name; its number will do.
    pub(crate) fn node(&self, name: &str) -> Result<Node<'_>> {
        let found = self.nodes().find(|node| node.name() == name || node.number.to_string() == name);
        found.with_context(|| format!("{} has no node {name:?}, only node-1 to node-{}", self.name, self.nodes))
    }

    /// The kubeconfig that `mesh dev up` wrote.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.home().join("kubeconfig")
    }

    /// Makes its networks, as far as they are not there.
    pub(crate) fn wire(&self) -> Result<()> {
        network::wire(self)
    }

    /// Removes every trace of it; returns how many processes were killed.
    pub(crate) fn remove(&self) -> Result<usize> {
        let mut killed = 0;
        for node in self.nodes() {
            killed += node.kill_all()?;
        }
        network::remove(self)?;
        for folder in [self.run(), self.home()] {
            mounts::remove_all(&folder)?;
        }
        subnet::free(Path::new(RUN), self.subnet)?;
        for folder in [RUN, HOME] {
            // Only the last sandbox leaves it empty.
            let _ = fs::remove_dir(folder);
        }
        Ok(killed)
    }
}

/// Checks what every command here needs.
fn ready_to_run(name: &str) -> Result<()> {
    let wrong = api::names::dns1123_label(name);
    ensure!(
        wrong.is_empty() && name.len() <= MAX_NAME,
        "--name {name:?}: give lower case letters, digits and '-', {MAX_NAME} at most"
    );
    ensure!(nix::unistd::geteuid().is_root(), "mesh dev makes network namespaces: run it as root");
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_there(program)).collect();
    if !missing.is_empty() {
        let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        bail!("{} missing; run: apt-get install -y {}", programs.join(", "), packages.join(" "));
    }
    Ok(())
}

/// What is run, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("nsenter", "util-linux"),
    ("setsid", "util-linux"),
];

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
