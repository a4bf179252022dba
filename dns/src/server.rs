//! Answers questions over UDP and TCP. Main type: [`Server`]. Spec: RFC 1035, RFC 2308 (negative answers), RFC 6891 (EDNS),
//! RFC 7766 (TCP).
//!
//! Questions for the zone are answered where they are read; others become a task of bounded number each. Leaves out: zone
//! transfers, updates, DNSSEC for the zone (upstream's signatures are passed on).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::info;

use crate::metrics::Metrics;
use crate::zone::{Change, Zone};

mod cache;
mod forward;
#[doc(hidden)]
pub mod fuzz;
mod listen;
mod message;
mod resolve;
mod tcp;
mod udp;
mod upstream;

use forward::Forwarder;
pub use upstream::Upstream;

/// Questions that are being forwarded at once, of all clients; one more is told that the server failed.
const FORWARDS: usize = 1024;

/// What a server is to do.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Addresses to answer at, over UDP and TCP alike. They have to be the machine's own already.
    pub listen: Vec<SocketAddr>,
    /// Domain of the cluster, such as `cluster.local`.
    pub domain: String,
    /// Who answers everything else.
    pub upstream: Upstream,
}

/// A server that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened at.
    #[error("cannot listen at {address}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A zone that a server answers from while it changes. Clones share it.
#[derive(Clone, Debug)]
pub struct SharedZone(Arc<RwLock<Zone>>);

impl SharedZone {
    /// Shares a zone.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self(Arc::new(RwLock::new(zone)))
    }

    /// Takes in a changed object; the next question sees it.
    pub fn apply(&self, change: Change<'_>) {
        self.0.write().apply(change);
    }

    /// Replaces everything.
    pub fn replace(&self, zone: Zone) {
        *self.0.write() = zone;
    }

    /// Looks at the zone.
    pub fn with<T>(&self, look: impl FnOnce(&Zone) -> T) -> T {
        look(&self.0.read())
    }
}

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    tasks: JoinSet<()>,
}

/// What the tasks of a server share.
#[derive(Debug)]
struct Shared {
    zone: SharedZone,
    forwarder: Forwarder,
    forwards: Arc<Semaphore>,
    metrics: Metrics,
}

impl Server {
    /// Binds all addresses and answers, from an empty zone. Another process of the same user may answer at the same addresses.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: ServerConfig) -> Result<Self, StartError> {
        let zone = SharedZone::new(Zone::new(&config.domain));
        Self::start_on(config, zone).await
    }

    /// As [`Self::start`], with a zone that is there already; its domain counts.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(config: ServerConfig, zone: SharedZone) -> Result<Self, StartError> {
        let mut sockets = Vec::new();
        for address in &config.listen {
            let error = |source| StartError::Bind { address: *address, source };
            let udp = listen::udp(*address).map_err(error)?;
            let own = udp.local_addr().map_err(error)?;
            sockets.push((own, udp, listen::tcp(own).map_err(error)?));
        }
        let addresses: Vec<SocketAddr> = sockets.iter().map(|(own, ..)| *own).collect();
        let metrics = Metrics::default();
        let upstream = config.upstream.without(&addresses);
        let shared = Arc::new(Shared {
            zone,
            forwarder: Forwarder::new(upstream, metrics.clone()),
            forwards: Arc::new(Semaphore::new(FORWARDS)),
            metrics,
        });
        let mut tasks = JoinSet::new();
        for (own, udp, listener) in sockets {
            info!(listen = %own, "names are answered");
            tasks.spawn(udp::serve(shared.clone(), Arc::new(udp)));
            tasks.spawn(tcp::serve(shared.clone(), listener));
        }
        Ok(Self { shared, addresses, tasks })
    }

    /// The zone it answers from.
    #[must_use]
    pub fn zone(&self) -> SharedZone {
        self.shared.zone.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it counted.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.clone()
    }

    /// Ends it; its addresses are free afterwards.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// From now on, others answer what the zone does not.
    pub fn set_upstream(&self, upstream: &Upstream) {
        self.shared.forwarder.set_upstream(upstream.without(&self.addresses));
    }
}

#[cfg(test)]
mod tests;
