//! What runs: packets out, packets in, following the membership. Main type: [`Engine`]; how it comes by tunnels is in
//! [`connect`](super::connect).
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
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    Counters, OverlayConfig, OverlayError, OverlayPeer,
    device::{self, Device, Reader},
    fit::{Fit, fit},
    packet::{destination, ends},
    peers::{Directory, Slot},
    transport,
    tunnel::{BATCH, Tunnel, code},
};
use crate::{
    NodeId, Peer, PeerTable, Role,
    tls::{self, Credentials},
};

/// Routes that the kernel refused are tried again after so long.
const ROUTES_RETRY: Duration = Duration::from_secs(1);

/// Peers hear of a close within so long, or find out by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Engine {
    pub(super) me: NodeId,
    /// Tells peers this process from the ones before.
    pub(super) instance: u64,
    addresses: Vec<IpAddr>,
    pub(super) endpoint: quinn::Endpoint,
    pub(super) credentials: Arc<Credentials>,
    pub(super) transport: Arc<quinn::TransportConfig>,
    pub(super) table: Arc<PeerTable>,
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
    pub(super) async fn downlink(self: Arc<Self>, slot: Arc<Slot>, tunnel: Arc<Tunnel>) {
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
