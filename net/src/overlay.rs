//! The encrypted network between nodes' pods: packets enter a TUN device and leave over QUIC to the node that has their
//! destination. Main type: [`Overlay`].
//!
//! It has an endpoint and a thread of its own, so that a flood of pods' packets delays no heartbeat. Packets travel as QUIC
//! datagrams (RFC 9221): lost ones stay lost, as on any network. Services and policies are not made here.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use tokio::sync::watch;

use crate::{Identity, KeyFingerprint, NodeId};

/// What an [`Overlay`] needs to know.
#[derive(Clone, Debug)]
pub struct OverlayConfig {
    /// Where the pods' endpoint listens (UDP).
    pub listen: SocketAddr,
    /// Who this node is. Its key is what peers know it by; no certificate of the cluster is needed.
    pub identity: Arc<Identity>,
    /// This node's pod ranges, at most one per family.
    pub ranges: Vec<IpNet>,
    /// This node's own addresses in the cluster, at most one per family: see [`crate::pod::overlay_address`].
    pub addresses: Vec<IpAddr>,
    /// Largest packet of a pod, in bytes; at least 1280.
    pub mtu: u16,
}

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayPeer {
    /// Its identity.
    pub id: NodeId,
    /// The key that proves it.
    pub key: KeyFingerprint,
    /// Where its pods' endpoint listens (UDP), best first.
    pub addresses: Vec<SocketAddr>,
    /// The ranges of its pods and its own overlay addresses.
    pub pod_ranges: Vec<IpNet>,
}

/// Whether packets reach a peer from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// Not known yet: since this node started, nobody has answered or had the time to.
    Unknown,
    /// It was heard within the last 3 s.
    Alive,
    /// It was not.
    Dead,
}

/// The paths to all peers, by node.
pub type Paths = watch::Receiver<BTreeMap<NodeId, PathState>>;
