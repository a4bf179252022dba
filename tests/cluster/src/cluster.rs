//! Several nodes that agree: [`Cluster`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::clients::clients;
use crate::node::{Launch, Node};
use crate::{Client, Kubectl, eventually};

/// How long the quorum may take to change, on a busy machine.
const QUORUM_LIMIT: Duration = Duration::from_secs(45);

/// Several nodes that agree, and a folder with all they keep. Everything ends and goes on drop.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes, the founder first.
    pub nodes: Vec<Node>,
    /// The line that admits more nodes, as the founder printed it.
    pub line: String,
    root: TempDir,
}

impl Cluster {
    /// Founds a cluster and joins more nodes until `size` run, all are ready and the wanted number votes.
    ///
    /// # Errors
    /// Where a node does not start, with its log.
    pub fn start(size: usize) -> Result<Self> {
        Self::start_in(tempfile::Builder::new().prefix("mesh-").tempdir()?, size)
    }

    /// As [`Cluster::start`], in a folder that may hold the nodes' data directories (`n1`...) already.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_in(root: TempDir, size: usize) -> Result<Self> {
        Self::start_with(root, size, "")
    }

    /// As [`Cluster::start_in`], with more arguments for each node. A node that is restarted gets them no more.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(root: TempDir, size: usize, more: &str) -> Result<Self> {
        let mut founder = Node::new(root.path(), "n1")?;
        founder.launch(Launch::Up, more)?;
        let line = founder.says("mesh join")?.trim().to_owned();
        let mut cluster = Self { nodes: vec![founder], line, root };
        for number in 2..=size {
            let mut node = Node::new(cluster.root(), &format!("n{number}"))?;
            node.launch(Launch::Join(&cluster.line), more)?;
            cluster.nodes.push(node);
        }
        for node in &cluster.nodes[1..] {
            node.says("joined")?;
        }
        cluster.settle()?;
        cluster.write_kubeconfigs()?;
        Ok(cluster)
    }

    /// The folder with all that the cluster keeps.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Joins one more node and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not.
    pub fn grow(&mut self) -> Result<()> {
        let mut node = Node::new(self.root(), &format!("n{}", self.nodes.len() + 1))?;
        node.start(Launch::Join(&self.line))?;
        node.ready()?;
        self.nodes.push(node);
        self.write_kubeconfigs()
    }

    /// Starts a node that does not run; it goes on where it was.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub fn restart(&mut self, node: usize) -> Result<()> {
        let line = self.nodes[node].start(Launch::Up)?;
        ensure!(line.contains("goes on in its cluster"), "restarted, the node said {line:?}");
        self.nodes[node].ready()?;
        Ok(())
    }

    /// Waits until all running nodes are ready and show the voters that the number of members wants.
    ///
    /// # Errors
    /// Where that takes too long.
    pub fn settle(&self) -> Result<()> {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            let members = node.ready()?["members"].as_array().map_or(0, Vec::len);
            let want = if members < 3 { 1 } else { 3 };
            eventually(&format!("{want} voters as {} sees it", node.name), QUORUM_LIMIT, || {
                let status = node.status()?;
                let voters = named(&status, "voter");
                ensure!(voters.len() == want, "voters are {voters:?}");
                ensure!(status["leader"].is_string(), "there is no leader");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The index of the leader, as a running node names it.
    ///
    /// # Errors
    /// Where there is none for long.
    pub fn leader(&self) -> Result<usize> {
        let asked = self.nodes.iter().find(|node| node.runs()).context("no node runs")?;
        eventually("a leader", QUORUM_LIMIT, || {
            let status = asked.status()?;
            let name = status["leader"].as_str().context("there is no leader")?;
            self.nodes.iter().position(|node| node.runs() && node.name == name).context("it does not run")
        })
    }

    /// kubectl of this release, talking to this node as the administrator.
    pub fn kubectl(&self, client: &Client, node: usize) -> Kubectl {
        Kubectl::new(client, self.root(), self.kubeconfig(&self.nodes[node]))
    }

    /// The newest kubectl, talking to this node as the administrator.
    pub fn newest(&self, node: usize) -> Kubectl {
        self.kubectl(&clients()[clients().len() - 1], node)
    }

    /// Where a node's kubeconfig is.
    pub fn kubeconfig(&self, node: &Node) -> PathBuf {
        self.root().join(format!("{}.kubeconfig", node.name))
    }

    /// One kubeconfig for each node; a voter writes them all, since others hold no secrets.
    fn write_kubeconfigs(&self) -> Result<()> {
        for node in &self.nodes {
            let command = format!("kubeconfig --server https://{}", node.ports.api);
            let text = self.nodes[0].command(&command).run()?.prints(&["kind: Config"])?;
            std::fs::write(self.kubeconfig(node), text)?;
        }
        Ok(())
    }
}

/// Names of the members of a role in a status, sorted.
pub fn named(status: &Value, role: &str) -> Vec<String> {
    let members = status["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let those = members.iter().filter(|member| member["role"] == role);
    let mut names: Vec<_> = those.filter_map(|member| member["name"].as_str().map(String::from)).collect();
    names.sort();
    names
}
