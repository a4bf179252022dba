//! Streams of pods, wherever they run: the API server's way to every node. Main type: [`Nodes`].
//!
//! This node's pods are served by its own runtime ([`Local`]); others' are asked for over `mesh/rpc/1` (`remote`), whose
//! calls `serve` answers there. The caller table lets only voters call: they have judged the user.

mod local;
mod remote;
mod serve;
mod wire;

use std::sync::Arc;

use apiserver::streams::{Command, Duplex, Kubelets, LogOptions, Place, Process, StreamError};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use net::NodeId;

pub use local::Local;
pub use serve::serve;
pub use wire::METHODS;

use crate::context::Context;

/// All nodes that run pods.
pub struct Nodes {
    context: Arc<Context>,
}

/// Where a pod runs.
enum Way {
    Here,
    There(NodeId),
}

impl Nodes {
    /// The nodes as the node of this context reaches them.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn way(&self, place: &Place) -> Result<Way, StreamError> {
        if place.node == self.context.name {
            return Ok(Way::Here);
        }
        let peers = self.context.peers.load();
        let peer = peers.iter().find(|peer| peer.name == place.node);
        let missing = || StreamError::Unreachable(format!("node {:?} is no member of this cluster", place.node));
        peer.map(|peer| Way::There(peer.id)).ok_or_else(missing)
    }
}

#[async_trait]
impl Kubelets for Nodes {
    async fn logs(&self, place: &Place, options: &LogOptions) -> Result<BoxStream<'static, Bytes>, StreamError> {
        match self.way(place)? {
            Way::Here => self.context.streams.logs(place, options).await,
            Way::There(node) => remote::logs(&self.context.endpoint, node, place, options).await,
        }
    }

    async fn exec(&self, place: &Place, command: &Command) -> Result<Process, StreamError> {
        match self.way(place)? {
            Way::Here => self.context.streams.exec(place, command).await,
            Way::There(node) => remote::exec(&self.context.endpoint, node, place, command).await,
        }
    }

    async fn attach(&self, place: &Place, command: &Command) -> Result<Process, StreamError> {
        match self.way(place)? {
            Way::Here => self.context.streams.attach(place, command).await,
            Way::There(node) => remote::attach(&self.context.endpoint, node, place, command).await,
        }
    }

    async fn port_forward(&self, place: &Place, port: u16) -> Result<Box<dyn Duplex>, StreamError> {
        match self.way(place)? {
            Way::Here => self.context.streams.port_forward(place, port).await,
            Way::There(node) => remote::port_forward(&self.context.endpoint, node, place, port).await,
        }
    }
}
