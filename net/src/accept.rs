//! The accepting side: finishes handshakes, judges each connection and each stream by the tables, hands them on.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use quinn::{Connection, Incoming, RecvStream, SendStream, VarInt};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tracing::{debug, error, warn};

use crate::{
    Caller, Channel, KeyFingerprint, Method, PeerTable, Protocol, Serve,
    admit::{self, Admission},
    callers::{allowed, opens},
    limit::PerKey,
    tls,
    transport::{CONNECTION_WINDOW, STREAMS},
};

/// Handshakes under way at once. Each costs some ten KiB and a signature; 200 nodes that come back at once fit.
const HANDSHAKES: usize = 512;

/// From so many on, a peer must first show that it receives at the address it sends from (RFC 9000 §8.1.2).
const HANDSHAKES_UNVALIDATED: usize = 128;

/// A handshake takes a round trip or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections of strangers at once: 200 machines may join at the same time.
const STRANGERS: usize = 256;

/// A stranger has asked and been answered within so long, or is shown the door.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of one member at once: one per protocol, and those that it lost without our knowing yet.
const CONNECTIONS_PER_MEMBER: usize = 32;

/// The method follows the stream's opening at once.
const METHOD_TIMEOUT: Duration = Duration::from_secs(5);

/// Exchanges of a broken connection notice it by themselves; after so long they are dropped.
const EXCHANGE_GRACE: Duration = Duration::from_secs(5);

/// Why a connection or stream ends, as its peer is told. The numbers are on the wire.
pub(crate) mod code {
    use quinn::VarInt;

    /// The caller table does not allow it.
    pub(super) const REFUSED: VarInt = VarInt::from_u32(1);
    /// Nobody serves it here, at least not yet.
    pub(super) const NOT_SERVED: VarInt = VarInt::from_u32(2);
    /// It took too long.
    pub(super) const TIMEOUT: VarInt = VarInt::from_u32(3);
    /// Too many at once.
    pub(super) const BUSY: VarInt = VarInt::from_u32(4);
    /// The caller was removed from the cluster, for ever.
    pub(crate) const REMOVED: VarInt = VarInt::from_u32(5);
}

/// See the module.
pub(crate) struct Acceptor {
    table: Arc<PeerTable>,
    handlers: ArcSwap<HashMap<Protocol, Arc<dyn Serve>>>,
    admission: ArcSwapOption<admit::Gate>,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    members: Arc<PerKey>,
}

impl Acceptor {
    pub(crate) fn new(table: Arc<PeerTable>) -> Self {
        Self {
            table,
            handlers: ArcSwap::default(),
            admission: ArcSwapOption::empty(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            members: PerKey::new(CONNECTIONS_PER_MEMBER),
        }
    }

    pub(crate) fn serve(&self, protocol: Protocol, handler: Arc<dyn Serve>) {
        self.handlers.rcu(|handlers| {
            let mut handlers = HashMap::clone(handlers);
            handlers.insert(protocol, handler.clone());
            handlers
        });
    }

    pub(crate) fn admit(&self, admission: Arc<dyn Admission>) {
        self.admission.store(Some(Arc::new(admit::Gate::new(admission, self.table.clone()))));
    }

    /// Accepts until the endpoint closes. Dropping it ends all exchanges.
    pub(crate) async fn run(self: Arc<Self>, endpoint: quinn::Endpoint) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => self.receive(incoming, &mut connections),
                    None => return,
                },
                Some(ended) = connections.join_next() => report_panic(ended),
            }
        }
    }

    fn receive(self: &Arc<Self>, incoming: Incoming, connections: &mut JoinSet<()>) {
        let busy = self.handshakes.available_permits() < HANDSHAKES - HANDSHAKES_UNVALIDATED;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            return;
        }
        match self.handshakes.clone().try_acquire_owned() {
            Ok(permit) => {
                connections.spawn(self.clone().connection(incoming, permit));
            }
            Err(_) => incoming.refuse(),
        }
    }

    async fn connection(self: Arc<Self>, incoming: Incoming, permit: OwnedSemaphorePermit) {
        let address = incoming.remote_address();
        let connecting = match incoming.accept() {
            Ok(connecting) => connecting,
            Err(reason) => return debug!(%address, %reason, "handshake not begun"),
        };
        let connection = match timeout(HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(reason)) => return debug!(%address, %reason, "handshake failed"),
            Err(_) => return debug!(%address, "handshake took too long"),
        };
        drop(permit);
        let protocol = tls::agreed_protocol(connection.handshake_data());
        let key = tls::proven_key(connection.peer_identity());
        let (Some(protocol), Some(key)) = (protocol, key) else {
            return connection.close(code::REFUSED, b"no protocol or no key");
        };
        match protocol {
            Protocol::Join => self.stranger(connection, key).await,
            _ => self.member(connection, protocol, key).await,
        }
    }

    /// One question, one answer. Strangers and members alike.
    async fn stranger(self: Arc<Self>, connection: Connection, key: KeyFingerprint) {
        let Ok(_permit) = self.strangers.clone().try_acquire_owned() else {
            return connection.close(code::BUSY, b"too many join at once");
        };
        let Some(gate) = self.admission.load_full() else {
            return connection.close(code::NOT_SERVED, b"this node admits nobody yet");
        };
        let address = connection.remote_address();
        let answered = timeout(STRANGER_TIMEOUT, async {
            let Ok((writer, mut reader)) = connection.accept_bi().await else { return };
            let method = read_method(&mut reader).await;
            if method.is_some_and(|method| allowed(Protocol::Join, method, Caller::Anonymous)) {
                gate.answer(Channel::new(reader, writer), key, address).await;
            }
            connection.closed().await;
        });
        if answered.await.is_err() {
            connection.close(code::TIMEOUT, b"no question within the time for it");
        }
    }

    async fn member(self: Arc<Self>, connection: Connection, protocol: Protocol, key: KeyFingerprint) {
        let Some(_use) = self.members.take(key) else {
            return connection.close(code::BUSY, b"too many connections of this node");
        };
        let mut changes = self.table.changes();
        let mut exchanges = JoinSet::new();
        let mut granted = false;
        loop {
            let caller = self.table.load().caller(&key);
            if self.table.load().is_removed_key(&key) {
                return connection.close(code::REMOVED, b"removed from the cluster");
            }
            if !opens(protocol, caller) {
                debug!(address = %connection.remote_address(), ?protocol, ?caller, %key, "caller refused");
                return connection.close(code::REFUSED, b"not a member in a role for this");
            }
            if !granted {
                connection.set_max_concurrent_bi_streams(VarInt::from_u32(STREAMS));
                connection.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW));
                granted = true;
            }
            tokio::select! {
                // The table's sender lives as long as `self`.
                _ = changes.changed() => {}
                stream = connection.accept_bi() => match stream {
                    Ok((writer, reader)) => {
                        let address = connection.remote_address();
                        exchanges.spawn(self.clone().exchange(protocol, key, address, writer, reader));
                    }
                    Err(reason) => {
                        debug!(?caller, ?protocol, %reason, "connection ended");
                        break;
                    }
                },
                Some(ended) = exchanges.join_next() => report_panic(ended),
            }
        }
        let _ = timeout(EXCHANGE_GRACE, async {
            while let Some(ended) = exchanges.join_next().await {
                report_panic(ended);
            }
        })
        .await;
    }

    async fn exchange(
        self: Arc<Self>,
        protocol: Protocol,
        key: KeyFingerprint,
        address: SocketAddr,
        writer: SendStream,
        mut reader: RecvStream,
    ) {
        let refuse = |mut writer: SendStream, mut reader: RecvStream, code| {
            let _ = writer.reset(code);
            let _ = reader.stop(code);
        };
        let Some(method) = read_method(&mut reader).await else { return refuse(writer, reader, code::TIMEOUT) };
        let caller = self.table.load().caller(&key);
        if !allowed(protocol, method, caller) {
            warn!(%address, ?protocol, method = method.0, ?caller, "call refused");
            return refuse(writer, reader, code::REFUSED);
        }
        match self.handlers.load().get(&protocol).cloned() {
            Some(handler) => handler.serve(caller, method, Channel::new(reader, writer)).await,
            None => refuse(writer, reader, code::NOT_SERVED),
        }
    }
}

async fn read_method(reader: &mut RecvStream) -> Option<Method> {
    let mut method = [0; 2];
    match timeout(METHOD_TIMEOUT, reader.read_exact(&mut method)).await {
        Ok(Ok(())) => Some(Method(u16::from_le_bytes(method))),
        _ => None,
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(reason) = ended
        && reason.is_panic()
    {
        error!(%reason, "an exchange panicked");
    }
}
