//! Nodes on loopback for this crate's tests: real sockets, real QUIC, one authority.

pub(crate) mod lab;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::timeout;

use crate::{
    Caller, Channel, ChannelError, Dial, Endpoint, EndpointConfig, Identity, Method, NodeId, Peer, PeerTable, Protocol,
    Removed, Role, Serve, bind,
    ca::{Ca, CaKind, Profile},
};

/// No event in these tests takes nearly so long, but for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits under [`PATIENCE`].
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.expect("the event comes in time")
}

pub(crate) fn authority() -> Ca {
    Ca::create(CaKind::Node, "test", SystemTime::now()).unwrap()
}

/// A node's certificate, good for a year from `issued`.
pub(crate) fn certificate(ca: &Ca, identity: &Identity, issued: SystemTime) -> Vec<u8> {
    let profile = Profile::Node { cluster: "test".into(), id: identity.id(), name: "n".into() };
    let year = Duration::from_secs(365 * 24 * 3600);
    ca.issue_for(&profile, identity.key(), issued, year).unwrap()
}

pub(crate) struct Node {
    pub(crate) identity: Arc<Identity>,
    pub(crate) endpoint: Endpoint,
    pub(crate) peers: Arc<PeerTable>,
    pub(crate) address: SocketAddr,
}

impl Node {
    /// A node with a certificate that is good for a year.
    pub(crate) fn start(ca: &Ca) -> Self {
        let identity = Arc::new(Identity::ephemeral(&mut rand::rng()).unwrap());
        Self::start_as(ca, identity, "127.0.0.1:0".parse().unwrap(), SystemTime::now())
    }

    /// A node with this identity and address, its certificate issued at `issued` for a year.
    pub(crate) fn start_as(ca: &Ca, identity: Arc<Identity>, address: SocketAddr, issued: SystemTime) -> Self {
        let certificate = certificate(ca, &identity, issued);
        let peers = PeerTable::new();
        let config = EndpointConfig {
            identity: identity.clone(),
            certificate,
            authority: ca.certificate().to_vec(),
            peers: peers.clone(),
        };
        let socket = bind(address, "--listen").unwrap();
        let endpoint = Endpoint::start(config, socket).unwrap();
        let address = endpoint.local_address().unwrap();
        Self { identity, endpoint, peers, address }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.identity.id()
    }

    pub(crate) fn peer(&self, role: Role) -> Peer {
        Peer {
            id: self.id(),
            key: self.identity.fingerprint(),
            addresses: vec![self.address],
            role,
            name: format!("n-{}", self.id()),
        }
    }

    pub(crate) fn removed(&self) -> Removed {
        Removed { id: self.id(), key: self.identity.fingerprint() }
    }

    /// One frame there, one back.
    pub(crate) async fn call(&self, to: NodeId, protocol: Protocol, method: u16) -> Result<String, String> {
        let mut channel = self.endpoint.open(to, protocol, Method(method)).await.map_err(|error| error.to_string())?;
        let exchanged: Result<_, ChannelError> = async {
            channel.send(b"hello").await?;
            channel.receive().await
        }
        .await;
        match exchanged {
            Ok(Some(frame)) => Ok(String::from_utf8(frame.to_vec()).unwrap()),
            Ok(None) => Err("no answer".into()),
            Err(error) => Err(format!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string))),
        }
    }
}

/// Voters that know each other.
pub(crate) fn voters(ca: &Ca, count: usize) -> Vec<Node> {
    let nodes: Vec<_> = (0..count).map(|_| Node::start(ca)).collect();
    introduce(&nodes.iter().collect::<Vec<_>>(), &[]);
    nodes
}

/// Puts all but the removed in every table, as voters.
pub(crate) fn introduce(nodes: &[&Node], removed: &[Removed]) {
    for node in nodes {
        let members = nodes.iter().map(|peer| peer.peer(Role::Voter));
        let members = members.filter(|peer| removed.iter().all(|gone| gone.id != peer.id)).collect();
        node.peers.replace(members, removed);
    }
}

/// Answers each frame with who sent it.
pub(crate) struct Echo;

impl Serve for Echo {
    fn serve(self: Arc<Self>, caller: Caller, method: Method, mut channel: Channel) -> BoxFuture<'static, ()> {
        async move {
            while let Ok(Some(frame)) = channel.receive().await {
                let text = format!("{} {} {caller:?}", String::from_utf8_lossy(&frame), method.0);
                if channel.send(text.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
        .boxed()
    }
}
