//! What runs: packets out, packets in, dialing, accepting, following the membership. Main type: [`Engine`].
//!
//! All of it shares one thread, which measured faster than two: the packets of a connection pass through one lock anyway.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use ipnet::IpNet;
use quinn::{ConnectionError, Incoming};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::AbortHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{debug, error, info, warn};

use super::{
    Counters, OverlayConfig, OverlayError, OverlayPeer, PathState,
    device::{self, Device, Reader},
    fit::{Fit, fit},
    packet::{destination, ends},
    peers::{Directory, Origin, Slot},
    transport,
    tunnel::{BATCH, Tunnel, code},
};
use crate::{
    Caller, NodeId, Peer, PeerTable, Protocol, Role,
    callers::opens,
    pool::connect_any,
    tls::{self, Credentials, Expect},
};

/// Silence after which a path is dead.
const DEAD_AFTER: Duration = Duration::from_secs(3);

/// The node with the higher id lets the other dial first, so that two connections are seldom made.
const LET_THE_OTHER_DIAL: Duration = Duration::from_millis(250);

/// Time between dials: grows from one to the other, each with jitter.
const REDIAL_FIRST: Duration = Duration::from_millis(100);
const REDIAL_MAX: Duration = Duration::from_secs(2);

/// Handshakes under way at once: 200 nodes that come back at once fit.
const HANDSHAKES: usize = 512;

/// From so many on, a peer must first show that it receives at the address it sends from (RFC 9000 §8.1.2).
const HANDSHAKES_UNVALIDATED: usize = 128;

/// A handshake takes a round trip or two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// Routes that the kernel refused are tried again after so long.
const ROUTES_RETRY: Duration = Duration::from_secs(1);

/// Of two tunnels the other one is read for so long yet.
const CLOSE_OTHER_AFTER: Duration = Duration::from_secs(1);

/// Peers hear of a close within so long, or find out by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Engine {
    me: NodeId,
    /// Tells peers this process from the ones before.
    instance: u64,
    addresses: Vec<IpAddr>,
    endpoint: quinn::Endpoint,
    credentials: Arc<Credentials>,
    transport: Arc<quinn::TransportConfig>,
    table: Arc<PeerTable>,
    pub(super) directory: Directory,
    device: Device,
    pub(super) counters: Arc<Counters>,
}

impl Engine {
    /// Binds the port and makes the device. Must run within the runtime that is to run it.
    pub(super) fn open(config: &OverlayConfig) -> Result<Arc<Self>, OverlayError> {
        let transport = transport::config(config.mtu);
        let credentials = credentials(config)?;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls::server(credentials.clone(), tls::PODS)?));
        server.transport_config(transport.clone());
        let socket = transport::socket(config.listen)?;
        let endpoint = quinn::Endpoint::new(
            transport::endpoint(&config.identity, config.mtu),
            Some(server),
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .map_err(OverlayError::Socket)?;
        let device = Device::open(config.mtu, &config.addresses).map_err(OverlayError::Device)?;
        Ok(Arc::new(Self {
            me: config.identity.id(),
            instance: rand::random(),
            addresses: config.addresses.clone(),
            endpoint,
            credentials,
            transport,
            table: PeerTable::new(),
            directory: Directory::new(config.ranges.clone()),
            device,
            counters: Arc::default(),
        }))
    }

    /// Runs until the device fails; whoever stops it drops this.
    pub(super) async fn run(self: Arc<Self>, peers: watch::Receiver<Vec<OverlayPeer>>) -> io::Error {
        tokio::select! {
            error = self.uplink() => error,
            () = self.clone().accept() => io::Error::other("the endpoint closed"),
            () = self.clone().follow(peers) => io::Error::other("the membership is followed no more"),
        }
    }

    /// Says goodbye, and takes the routes away where nobody is to come after.
    pub(super) async fn close(&self, for_good: bool) {
        if for_good {
            let ranges: BTreeSet<IpNet> =
                self.directory.slots().iter().flat_map(|slot| slot.peer.load().pod_ranges.clone()).collect();
            if let Err(error) = device::clear_routes(&ranges) {
                warn!(%error, "routes to other nodes' pods stay behind");
            }
        }
        self.endpoint.close(code::STOPPED, b"stopping");
        let _ = timeout(CLOSE_TIMEOUT, self.endpoint.wait_idle()).await;
    }

    /// Packets from here to others.
    async fn uplink(&self) -> io::Error {
        let mut reader = Reader::new(self.device.mtu());
        let mut batch = Vec::with_capacity(2 * BATCH);
        loop {
            batch.clear();
            match self.device.read(&mut reader, &mut batch).await {
                Ok(()) => self.forward(&mut batch).await,
                // A packet that makes no sense; the device itself fails with an error number.
                Err(error) if error.raw_os_error().is_none() => Counters::add(&self.counters.malformed, 1),
                Err(error) => return error,
            }
        }
    }

    /// One flow's packets to their owner.
    async fn forward(&self, batch: &mut Vec<Bytes>) {
        let owner = batch.first().and_then(|packet| destination(packet));
        let owner = owner.and_then(|address| self.directory.routes.load().find(address).cloned());
        let Some(tunnel) = owner.and_then(|slot| slot.tunnel.load_full()) else {
            return Counters::add(&self.counters.unrouted, batch.len());
        };
        let limit = tunnel.limit();
        if limit == 0 {
            return Counters::add(&self.counters.unrouted, batch.len());
        }
        if batch.iter().any(|packet| packet.len() > limit) {
            self.make_fit(batch, limit).await;
        }
        let count = batch.len();
        let unsent = tunnel.send(batch).await;
        Counters::add(&self.counters.sent, count - unsent);
        Counters::add(&self.counters.unsent, unsent);
    }

    /// Replaces the packets that are too long by shorter ones, or answers them.
    async fn make_fit(&self, batch: &mut Vec<Bytes>, limit: usize) {
        let mut answers = Vec::new();
        for packet in std::mem::take(batch) {
            if packet.len() <= limit {
                batch.push(packet);
                continue;
            }
            Counters::add(&self.counters.too_long, 1);
            match fit(&packet, limit) {
                Fit::Cut(segments) => batch.extend(segments.into_iter().map(Bytes::from)),
                Fit::Answer(answer) => answers.push(answer),
                Fit::Drop => {}
            }
        }
        if let Err(error) = self.device.write(answers.iter()).await {
            debug!(%error, "a sender was not told that its packets are too long");
        }
    }

    /// Packets from a peer to here, until its tunnel ends.
    async fn downlink(self: Arc<Self>, slot: Arc<Slot>, tunnel: Arc<Tunnel>) {
        let mut batch = Vec::with_capacity(BATCH);
        while tunnel.receive(&mut batch).await.is_ok() {
            let count = batch.len();
            self.keep_admitted(&slot, &mut batch);
            Counters::add(&self.counters.refused, count - batch.len());
            match self.device.write(batch.iter()).await {
                Ok(()) => Counters::add(&self.counters.received, batch.len()),
                Err(error) => {
                    debug!(%error, "packets not taken by the kernel");
                    Counters::add(&self.counters.malformed, batch.len());
                }
            }
            batch.clear();
        }
    }

    /// A peer speaks for its own ranges only, and only to ours.
    fn keep_admitted(&self, slot: &Arc<Slot>, batch: &mut Vec<Bytes>) {
        let routes = self.directory.routes.load();
        let mut admitted = None;
        batch.retain(|packet| {
            let Some((source, to)) = ends(packet) else { return false };
            // Most follow one of the same flow.
            if admitted == Some((source, to)) {
                return true;
            }
            let is_its = routes.find(source).is_some_and(|owner| Arc::ptr_eq(owner, slot));
            let is_good = is_its && self.directory.is_own(to);
            if is_good {
                admitted = Some((source, to));
            }
            is_good
        });
    }

    /// Puts a tunnel to use whose peer is proven. Both sides may dial at once and judge at different times, so that one which is not
    /// preferred is read a while yet: the peer may have sent on it.
    fn adopt(self: &Arc<Self>, slot: &Arc<Slot>, origin: Origin, tunnel: &Arc<Tunnel>) {
        debug!(peer = %slot.id, dialed_by = %origin.dialed_by, "tunnel up");
        tokio::spawn(self.clone().downlink(slot.clone(), tunnel.clone()));
        if let Some(other) = slot.adopt(self.me, origin, tunnel.clone()) {
            tokio::spawn(async move {
                sleep(CLOSE_OTHER_AFTER).await;
                other.close(code::DUPLICATE, "another connection is preferred");
            });
        }
    }

    async fn accept(self: Arc<Self>) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        while let Some(incoming) = self.endpoint.accept().await {
            let busy = handshakes.available_permits() < HANDSHAKES - HANDSHAKES_UNVALIDATED;
            if busy && !incoming.remote_address_validated() && incoming.may_retry() {
                let _ = incoming.retry();
                continue;
            }
            match handshakes.clone().try_acquire_owned() {
                Ok(permit) => drop(tokio::spawn(self.clone().greet(incoming, permit))),
                Err(_) => incoming.refuse(),
            }
        }
    }

    /// Judges one that dialed, by its proven key.
    async fn greet(self: Arc<Self>, incoming: Incoming, _permit: OwnedSemaphorePermit) {
        let address = incoming.remote_address();
        let Ok(connecting) = incoming.accept() else { return };
        let Ok(Ok(connection)) = timeout(HANDSHAKE_TIMEOUT, connecting).await else {
            return debug!(%address, "handshake failed or took too long");
        };
        let caller = match tls::proven_key(connection.peer_identity()) {
            Some(key) => self.table.load().caller(&key),
            None => Caller::Anonymous,
        };
        let slot = match caller {
            Caller::Member(id, _) if opens(Protocol::Pods, caller) => self.directory.slot(id),
            _ => None,
        };
        let tunnel = Tunnel::new(connection);
        let Some(slot) = slot else {
            debug!(%address, ?caller, "caller refused");
            return tunnel.close(code::REFUSED, "not a member");
        };
        match tunnel.greeted().await {
            Ok(instance) => self.welcome(&slot, Origin { dialed_by: slot.id, instance }, tunnel),
            Err(reason) => debug!(%address, %reason, "caller did not greet"),
        }
    }

    /// Greets one that dialed, and puts its tunnel to use.
    fn welcome(self: &Arc<Self>, slot: &Arc<Slot>, origin: Origin, tunnel: Tunnel) {
        let tunnel = Arc::new(tunnel);
        match tunnel.greet(self.instance) {
            Ok(()) => self.adopt(slot, origin, &tunnel),
            Err(reason) => debug!(peer = %slot.id, %reason, "not greeted"),
        }
    }

    /// Keeps peers and routes those of the membership; where nobody tells any more, what is known stays.
    async fn follow(self: Arc<Self>, mut peers: watch::Receiver<Vec<OverlayPeer>>) {
        let mut keepers: HashMap<NodeId, AbortHandle> = HashMap::new();
        let mut routed = BTreeSet::new();
        loop {
            let now = peers.borrow_and_update().clone();
            let wanted = self.update(now, &mut keepers);
            let mut is_routed = true;
            match device::set_routes(&routed, &wanted, &self.addresses) {
                Ok(()) => routed = wanted,
                Err(error) => {
                    is_routed = false;
                    warn!(%error, "routes to other nodes' pods not set, next try in {ROUTES_RETRY:?}");
                }
            }
            tokio::select! {
                changed = peers.changed() => if changed.is_err() && is_routed {
                    std::future::pending::<()>().await;
                },
                () = sleep(ROUTES_RETRY), if !is_routed => {}
            }
        }
    }

    /// Tells all parts who the peers are; returns their ranges.
    fn update(
        self: &Arc<Self>,
        peers: Vec<OverlayPeer>,
        keepers: &mut HashMap<NodeId, AbortHandle>,
    ) -> BTreeSet<IpNet> {
        for refused in self.table.replace(peers.iter().map(member).collect(), &[]) {
            warn!(%refused, "a peer is not taken");
        }
        let table = self.table.load();
        let is_known = |peer: &OverlayPeer| table.get(peer.id).is_some_and(|known| known.key == peer.key);
        let changed = self.directory.replace(self.me, peers.into_iter().filter(is_known).collect());
        for id in changed.removed {
            if let Some(keeper) = keepers.remove(&id) {
                keeper.abort();
            }
        }
        for slot in changed.added {
            let id = slot.id;
            keepers.insert(id, tokio::spawn(self.clone().keep(slot)).abort_handle());
        }
        changed.ranges
    }

    /// Keeps the way to one peer, for as long as it is one.
    async fn keep(self: Arc<Self>, slot: Arc<Slot>) {
        let mut silent_since = Instant::now();
        loop {
            self.seek(&slot, silent_since + DEAD_AFTER).await;
            self.directory.tell(slot.id, PathState::Alive);
            while let Some(tunnel) = slot.standing() {
                let reason = tunnel.closed().await;
                silent_since = Instant::now();
                if reason == ConnectionError::TimedOut {
                    silent_since -= DEAD_AFTER;
                }
                debug!(peer = %slot.id, %reason, "tunnel down");
            }
        }
    }

    /// Waits for a tunnel that stands, dialing all the while. The path is told dead when its time has come.
    async fn seek(self: &Arc<Self>, slot: &Arc<Slot>, dead_at: Instant) {
        let mut adopted = slot.adopted.subscribe();
        let dying = async {
            sleep_until(dead_at).await;
            info!(peer = %slot.id, "no way to this node");
            self.directory.tell(slot.id, PathState::Dead);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.dial(slot) => {}
            () = dying => {}
            // The sender is the slot's own.
            _ = adopted.wait_for(|_| slot.standing().is_some()) => {}
        }
    }

    async fn dial(self: &Arc<Self>, slot: &Arc<Slot>) {
        let mut pause = if self.me < slot.id { Duration::ZERO } else { LET_THE_OTHER_DIAL };
        while slot.standing().is_none() {
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            // Not broken off when the other side's dial succeeds first: it may have given up its own for this one.
            let dialing = tokio::spawn(self.clone().dial_once(slot.clone()));
            if let Err(error) = dialing.await {
                error!(%error, "dialing panicked");
            }
            pause = (pause * 2).clamp(REDIAL_FIRST, REDIAL_MAX);
        }
    }

    async fn dial_once(self: Arc<Self>, slot: Arc<Slot>) {
        match self.connect(&slot).await {
            Ok((origin, tunnel)) => self.adopt(&slot, origin, &Arc::new(tunnel)),
            Err(reason) => debug!(peer = %slot.id, %reason, "not reached"),
        }
    }

    async fn connect(&self, slot: &Slot) -> Result<(Origin, Tunnel), String> {
        let peer = slot.peer.load_full();
        let client = tls::client(self.credentials.clone(), Protocol::Pods, Expect::Key(peer.key));
        let mut config = quinn::ClientConfig::new(Arc::new(client.map_err(|error| error.to_string())?));
        config.transport_config(self.transport.clone());
        let tunnel = Tunnel::new(connect_any(&self.endpoint, &config, &peer.addresses).await?);
        tunnel.greet(self.instance).map_err(|error| error.to_string())?;
        let instance = tunnel.greeted().await.map_err(|error| error.to_string())?;
        Ok((Origin { dialed_by: self.me, instance }, tunnel))
    }
}

/// A peer as the table wants it. What it is to the quorum does not matter here.
fn member(peer: &OverlayPeer) -> Peer {
    let OverlayPeer { id, key, addresses, .. } = peer;
    Peer { id: *id, key: *key, addresses: addresses.clone(), role: Role::Worker, name: String::new() }
}

/// Peers know the key; what is said around it nobody reads.
fn credentials(config: &OverlayConfig) -> Result<Arc<Credentials>, OverlayError> {
    let key = config.identity.key();
    let certificate =
        rcgen::CertificateParams::default().self_signed(key.inner()).map_err(OverlayError::Certificate)?;
    Ok(Credentials::new(vec![certificate.der().to_vec()], key)?)
}
