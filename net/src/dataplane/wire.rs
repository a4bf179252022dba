//! What crosses the data plane's socket and lies in its file. **Fixed early**: versions are only ever added, samples are
//! kept as tests. Main types: [`Order`] (to the data plane), [`Report`] (from it).
//!
//! A frame is one bincode value of an enum whose variants are the versions. Objects travel inside as JSON bytes.
//!
//! An exchange: `Hello`, answered by `Welcome`. Then `Observe` and `Stop` are questions; or the feed: `Node`, `Peers`, `Begin`,
//! every `Object`, `Synced` (what was not named since `Begin` is gone), then what changes, for as long as both live.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};
use crate::wire::WireRange;
use crate::{KeyFingerprint, NodeId, overlay::OverlayPeer};

/// Versions of this file that a binary speaks.
pub const WIRE: WireRange = WireRange { oldest: 1, newest: 1 };

/// Largest frame, in bytes: an object of the API's largest size (3 MiB), or thousands of peers.
pub const FRAME_LIMIT: usize = 8 << 20;

/// Kinds that the data plane is told of. Numbers are on the wire: new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its namespace; empty where the kind has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What the data plane must know of its own node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its identity.
    pub id: NodeId,
    /// The name of its Node object.
    pub name: String,
    /// Its failure zone; empty where it has none.
    pub zone: String,
    /// Addresses of its pods, a range a family.
    pub pod_ranges: Vec<IpNet>,
    /// Addresses of all nodes' pods.
    pub all_pod_ranges: Vec<IpNet>,
    /// Addresses of Services.
    pub service_ranges: Vec<IpNet>,
    /// Addresses of the cluster's DNS, which every node answers itself.
    pub dns: Vec<IpAddr>,
    /// Suffix of Services' DNS names.
    pub domain: String,
    /// Where the pods' endpoint listens (UDP).
    pub listen: SocketAddr,
    /// Largest packet of a pod, in bytes.
    pub mtu: u16,
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFacts {
    /// Its identity.
    pub id: NodeId,
    /// The name of its Node object.
    pub name: String,
    /// The key that proves it.
    pub key: KeyFingerprint,
    /// Where its pods' endpoint listens (UDP), best first.
    pub addresses: Vec<SocketAddr>,
    /// Addresses of its pods.
    pub pod_ranges: Vec<IpNet>,
}

impl PeerFacts {
    /// As the overlay knows it.
    pub fn overlay(&self) -> OverlayPeer {
        OverlayPeer {
            id: self.id,
            key: self.key,
            addresses: self.addresses.clone(),
            pod_ranges: self.pod_ranges.clone(),
        }
    }
}

/// What the data plane is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Who speaks: first on every connection.
    Hello {
        /// What it speaks.
        wire: WireRange,
        /// Which code it is; the data plane is restarted where its own differs.
        build: String,
    },
    /// The node itself.
    Node(NodeFacts),
    /// All other members.
    Peers(Vec<PeerFacts>),
    /// A full list of objects follows.
    Begin,
    /// An object as it is now; `None` where it is gone.
    Object {
        /// Which.
        object: ObjectRef,
        /// What it is, JSON.
        json: Option<Vec<u8>>,
    },
    /// The list is whole.
    Synced,
    /// Tell the state, once.
    Observe,
    /// End. What packets need is left in the kernel unless `remove` says otherwise.
    Stop {
        /// Take everything away: the node runs no pods any more.
        remove: bool,
    },
}

/// What the data plane says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Answer to a greeting.
    Welcome {
        /// What it speaks.
        wire: WireRange,
        /// Which code it is.
        build: String,
        /// Its process.
        pid: u32,
    },
    /// Which members it reaches, to whoever feeds it: at first and with each change. Those not known yet are left out.
    Paths(Vec<(NodeId, bool)>),
    /// Answer to [`Order::Observe`].
    Status(Status),
    /// Answer to [`Order::Stop`]: it ends now.
    Stopping,
}

/// The state of a data plane, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Since when it runs, in seconds.
    pub uptime_seconds: u64,
    /// Whether a control process feeds it just now.
    pub fed: bool,
    /// Members other than this node.
    pub peers: u32,
    /// Those that it reaches.
    pub peers_reached: u32,
    /// Services that it serves.
    pub services: u32,
    /// Elements in the kernel's table.
    pub elements: u32,
    /// What does not work, in words.
    pub troubles: Vec<String>,
}

#[derive(Serialize, Deserialize)]
enum OrderFrame {
    V1(Order),
}

#[derive(Serialize, Deserialize)]
enum ReportFrame {
    V1(Report),
}

impl Order {
    /// Its frame.
    pub fn encode(self) -> Vec<u8> {
        codec::encode(&OrderFrame::V1(self))
    }

    /// From a frame.
    pub(super) fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        let OrderFrame::V1(order) = codec::decode::<_, FRAME_LIMIT>(frame)?;
        Ok(order)
    }
}

impl Report {
    /// Its frame.
    pub fn encode(self) -> Vec<u8> {
        codec::encode(&ReportFrame::V1(self))
    }

    /// From a frame.
    pub(super) fn decode(frame: &[u8]) -> Result<Self, Malformed> {
        let ReportFrame::V1(report) = codec::decode::<_, FRAME_LIMIT>(frame)?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests;
