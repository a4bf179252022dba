//! The encrypted network between nodes' pods: packets enter a TUN device and leave over QUIC to the node that has their
//! destination. Main type: [`Overlay`].
//!
//! It has an endpoint and a thread of its own, so that a flood of pods' packets delays no heartbeat. Packets travel as QUIC
//! datagrams (RFC 9221): lost ones stay lost, as on any network. Services and policies are not made here.

mod connect;
mod device;
mod engine;
mod fit;
mod packet;
mod peers;
mod routes;
#[cfg(test)]
mod tests;
mod transport;
mod tunnel;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use ipnet::IpNet;
use tokio::sync::{oneshot, watch};
use tracing::error;

use crate::{BindError, Identity, KeyFingerprint, NodeId, tls::TlsError};
use engine::Engine;

pub use device::OVERLAY_LINK;

/// Every IPv6 link carries so much (RFC 8200 §5), in bytes; a pod's must, too.
const MTU_MIN: u16 = 1280;

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

/// Why there is no overlay.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The port cannot be used.
    #[error("the pods' socket cannot be used")]
    Socket(#[source] io::Error),
    /// No device: not root, no `/dev/net/tun`, or another overlay in this network namespace.
    #[error(
        "no TUN device `{OVERLAY_LINK}` could be made: this takes root and /dev/net/tun, and no other node in this network \
         namespace"
    )]
    Device(#[source] io::Error),
    /// The identity's key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The identity's key cannot sign.
    #[error("no certificate could be made for the node's key")]
    Certificate(#[source] rcgen::Error),
    /// Too small for IPv6.
    #[error("{0} bytes are too few for pods' packets: 1280 is the least")]
    Mtu(u16),
    /// No thread, no runtime.
    #[error("the overlay's thread could not be started")]
    Thread(#[source] io::Error),
}

/// What the overlay has done since it started, in packets.
#[derive(Debug, Default)]
pub struct Counters {
    /// Sent to peers.
    pub sent: AtomicU64,
    /// Received from peers and handed to the kernel.
    pub received: AtomicU64,
    /// For addresses that no peer has, or of a peer that is not connected.
    pub unrouted: AtomicU64,
    /// Not sent because the tunnel was full or broke.
    pub unsent: AtomicU64,
    /// Received and dropped: not from the sender's ranges, not to ours, or no whole packets.
    pub refused: AtomicU64,
    /// Longer than the path carries; cut or answered.
    pub too_long: AtomicU64,
    /// Not understood, here or by the kernel.
    pub malformed: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A running overlay. Dropped, it ends; what would go to peers' pods is then discarded, so that nothing leaves in clear
/// until the next one starts. [`Overlay::stop`] ends it for good.
#[derive(Debug)]
pub struct Overlay {
    paths: Paths,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    ended: watch::Receiver<bool>,
}

impl Overlay {
    /// Starts in the calling thread's network namespace: device, routes and endpoint are made there. Blocks for some ms.
    /// Peers may change at any time; where the sender goes away, the last ones stay.
    ///
    /// # Errors
    /// [`OverlayError`]; nothing is left behind then.
    pub fn start(config: OverlayConfig, peers: watch::Receiver<Vec<OverlayPeer>>) -> Result<Self, OverlayError> {
        if config.mtu < MTU_MIN {
            return Err(OverlayError::Mtu(config.mtu));
        }
        let (started, starting) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let (ending, ended) = watch::channel(false);
        let run = move || {
            run(&config, peers, &started, stopped);
            ending.send_replace(true);
        };
        thread::Builder::new().name("overlay".into()).spawn(run).map_err(OverlayError::Thread)?;
        let panicked = |_| OverlayError::Thread(io::Error::other("it panicked"));
        let (paths, counters) = starting.recv().map_err(panicked)??;
        Ok(Self { paths, counters, stop: Some(stop), ended })
    }

    /// Which peers can be reached, from now on.
    pub fn paths(&self) -> Paths {
        self.paths.clone()
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Waits until it has ended by itself, which it does when its device is taken away.
    pub async fn ended(&mut self) {
        // No sender: the thread is gone.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// Ends it as dropping does, and waits until its port and device are free for the next one.
    pub async fn pause(mut self) {
        drop(self.stop.take());
        self.ended().await;
    }

    /// Ends it for good: peers are told, device and routes are removed.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.ended().await;
    }
}

type Started = mpsc::SyncSender<Result<(Paths, Arc<Counters>), OverlayError>>;

/// The thread. One runtime of one thread: see [`engine`].
fn run(
    config: &OverlayConfig,
    peers: watch::Receiver<Vec<OverlayPeer>>,
    started: &Started,
    stopped: oneshot::Receiver<()>,
) {
    // Whoever starts it waits for the answer.
    let tell = |outcome| drop(started.send(outcome));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(Err(OverlayError::Thread(error))),
    };
    runtime.block_on(async {
        let engine = match Engine::open(config) {
            Ok(engine) => engine,
            Err(error) => return tell(Err(error)),
        };
        tell(Ok((engine.directory.paths.subscribe(), engine.counters.clone())));
        let for_good = tokio::select! {
            error = engine.clone().run(peers) => {
                error!(%error, "the overlay ended");
                false
            }
            stopped = stopped => stopped.is_ok(),
        };
        engine.close(for_good).await;
    });
}
