//! Connections to members, one per member and protocol, dialed once for all who wait and again once broken.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
    stream::FuturesUnordered,
};
use parking_lot::Mutex;
use quinn::{Connection, VarInt};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    Channel, DialError, Method, NodeId, Peer, PeerTable, Protocol, Role,
    accept::code,
    tls::{self, Credentials, Expect},
    transport,
};

/// The next address is tried beside the first after so long (RFC 8305 calls it the connection attempt delay).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(150);

/// One address answers within so long, or is given up. A live peer in reach needs one round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer that grants no stream for so long is treated as unreachable.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// Streams that a peer may open towards us on a connection that we dialed: none, it dials its own.
const STREAMS_FROM_SERVER: u32 = 0;

type Dialing = Shared<BoxFuture<'static, Result<Connection, DialError>>>;

/// See the module.
pub(crate) struct Pool {
    endpoint: quinn::Endpoint,
    table: Arc<PeerTable>,
    credentials: Arc<Credentials>,
    /// At most one entry per member and protocol; entries of former members are swept.
    slots: Mutex<HashMap<(NodeId, Protocol), Dialing>>,
    /// The member that told this node that it was removed.
    dismissed: watch::Sender<Option<NodeId>>,
}

impl Pool {
    pub(crate) fn new(endpoint: quinn::Endpoint, table: Arc<PeerTable>, credentials: Arc<Credentials>) -> Self {
        Self { endpoint, table, credentials, slots: Mutex::default(), dismissed: watch::Sender::default() }
    }

    /// Opens a stream and announces the method.
    pub(crate) async fn open(&self, to: NodeId, protocol: Protocol, method: Method) -> Result<Channel, DialError> {
        let unreachable = |reason: String| DialError::Unreachable { node: to, reason };
        let connection = self.connection(to, protocol).await?;
        let opened = timeout(OPEN_TIMEOUT, async {
            let (mut writer, reader) = connection.open_bi().await.map_err(|error| error.to_string())?;
            writer.write_all(&method.0.to_le_bytes()).await.map_err(|error| error.to_string())?;
            Ok(Channel::new(reader, writer))
        });
        match opened.await {
            Ok(channel) => channel.map_err(unreachable),
            Err(_) => Err(unreachable(format!("it granted no stream within {OPEN_TIMEOUT:?}"))),
        }
    }

    /// Who told this node that it was removed, once somebody did.
    pub(crate) fn dismissed(&self) -> watch::Receiver<Option<NodeId>> {
        self.dismissed.subscribe()
    }

    /// Closes the connections to nodes that are members no more.
    pub(crate) fn sweep(&self) {
        let peers = self.table.load();
        self.slots.lock().retain(|(node, _), slot| {
            let stays = peers.get(*node).is_some();
            if !stays && let Some(Ok(connection)) = slot.peek() {
                connection.close(VarInt::from_u32(0), b"no longer a member");
            }
            stays
        });
    }

    async fn connection(&self, to: NodeId, protocol: Protocol) -> Result<Connection, DialError> {
        let peer = self.table.load().get(to).cloned().ok_or(DialError::Unknown(to))?;
        let dialing = {
            let mut slots = self.slots.lock();
            match slots.get(&(to, protocol)).filter(|slot| is_useful(slot)) {
                Some(slot) => slot.clone(),
                None => {
                    let dialing = self.dial(peer, protocol);
                    slots.insert((to, protocol), dialing.clone());
                    dialing
                }
            }
        };
        let connection = dialing.await?;
        // It may have been removed while it was dialed.
        match self.table.load().get(to) {
            Some(_) => Ok(connection),
            None => {
                connection.close(VarInt::from_u32(0), b"no longer a member");
                Err(DialError::Unknown(to))
            }
        }
    }

    /// Starts a dial that goes on though its first caller gives up: others may wait for it.
    fn dial(&self, peer: Arc<Peer>, protocol: Protocol) -> Dialing {
        let expect = Expect::Key(peer.key);
        let config = client_config(self.credentials.clone(), protocol, expect);
        let endpoint = self.endpoint.clone();
        let dismissed = self.dismissed.clone();
        let dialing = async move {
            let unreachable = |reason| DialError::Unreachable { node: peer.id, reason };
            let config = config.map_err(|error| unreachable(error.to_string()))?;
            let connection = connect_any(&endpoint, &config, &peer.addresses).await.map_err(unreachable)?;
            // Only voters are believed: a worker that was broken into must not be able to stop others.
            if peer.role == Role::Voter {
                tokio::spawn(hear_dismissal(connection.clone(), peer.id, dismissed));
            }
            Ok(connection)
        };
        let dialing = dialing.boxed().shared();
        tokio::spawn(dialing.clone());
        dialing
    }
}

/// Until the connection ends. The peer is who the table says, so its word about the membership counts.
async fn hear_dismissal(connection: Connection, peer: NodeId, dismissed: watch::Sender<Option<NodeId>>) {
    if let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await
        && close.error_code == code::REMOVED
    {
        dismissed.send_replace(Some(peer));
    }
}

/// Whether a slot is still dialing, or holds a connection that stands.
fn is_useful(slot: &Dialing) -> bool {
    match slot.peek() {
        None => true,
        Some(Ok(connection)) => connection.close_reason().is_none(),
        Some(Err(_)) => false,
    }
}

/// The QUIC side of one dial.
pub(crate) fn client_config(
    credentials: Arc<Credentials>,
    protocol: Protocol,
    expect: Expect,
) -> Result<quinn::ClientConfig, tls::TlsError> {
    let mut config = quinn::ClientConfig::new(Arc::new(tls::client(credentials, protocol, expect)?));
    config.transport_config(transport::config(STREAMS_FROM_SERVER, transport::CONNECTION_WINDOW));
    Ok(config)
}

/// Tries the addresses in their order, each a little after the one before; the first to answer wins.
pub(crate) async fn connect_any(
    endpoint: &quinn::Endpoint,
    config: &quinn::ClientConfig,
    addresses: &[SocketAddr],
) -> Result<Connection, String> {
    let attempt = |(place, address): (usize, &SocketAddr)| {
        let address = *address;
        async move {
            sleep(NEXT_ADDRESS_AFTER * place as u32).await;
            connect(endpoint, config, address).await.map_err(|reason| format!("{address}: {reason}"))
        }
    };
    let mut attempts: FuturesUnordered<_> = addresses.iter().enumerate().map(attempt).collect();
    let mut reasons = Vec::new();
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(connection) => return Ok(connection),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(if reasons.is_empty() { "it has no address".into() } else { reasons.join("; ") })
}

async fn connect(
    endpoint: &quinn::Endpoint,
    config: &quinn::ClientConfig,
    address: SocketAddr,
) -> Result<Connection, String> {
    let connecting =
        endpoint.connect_with(config.clone(), address, tls::SERVER_NAME).map_err(|error| error.to_string())?;
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECT_TIMEOUT:?}")),
    }
}
