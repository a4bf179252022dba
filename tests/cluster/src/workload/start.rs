//! How a [`Workload`] reaches the two kinds of clusters that tests have.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{Load, Workload};
use crate::{Cluster, Sandbox};

impl Cluster {
    /// Clients at all nodes.
    ///
    /// # Errors
    /// As [`Workload::start`].
    pub fn work(&self, load: Load) -> Result<Workload> {
        let nodes: Vec<SocketAddr> = self.nodes.iter().map(|node| node.ports.api).collect();
        let first = self.nodes.first().context("a cluster has nodes")?;
        Workload::start(&std::fs::read_to_string(self.kubeconfig(first))?, &nodes, load)
    }
}

impl Sandbox {
    /// Clients at all nodes.
    ///
    /// # Errors
    /// As [`Workload::start`].
    pub fn work(&self, load: Load) -> Result<Workload> {
        self.work_at(&self.names(), load)
    }

    /// Clients at these nodes.
    ///
    /// # Errors
    /// As [`Workload::start`].
    pub fn work_at(&self, nodes: &[String], load: Load) -> Result<Workload> {
        let servers = nodes.iter().map(|node| Ok(self.access(node)?.server)).collect::<Result<Vec<_>>>()?;
        let path = self.root().join(format!("{}.kubeconfig", nodes.first().context("a sandbox has nodes")?));
        Workload::start(&std::fs::read_to_string(path)?, &servers, load)
    }
}
