//! Keeps the overlay running with the newest peers, and judges the paths. Main type: [`Tunnels`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use net::dataplane::{NodeFacts, Reach};
use net::overlay::{Overlay, OverlayConfig, OverlayPeer, Paths};
use net::services::ways;
use net::{Identity, NodeId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::knowledge::Knowledge;
use crate::host::{Error, Next, Rules, Work};

/// Looked at although nothing was heard.
const PERIOD: Duration = Duration::from_secs(10);

/// How the host treats [`Tunnels`].
pub(super) fn rules() -> Rules<()> {
    Rules { name: "overlay", deadline: Duration::from_secs(30), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head. Dropped, the overlay ends for a moment; what the kernel holds of it stays.
pub(super) struct Tunnels {
    knowledge: Arc<Knowledge>,
    data_dir: PathBuf,
    peers: watch::Sender<Vec<OverlayPeer>>,
    running: Mutex<Option<Running>>,
}

/// Fed by another node's control process.
#[derive(Debug, thiserror::Error)]
#[error(
    "this data plane serves node {ours} of {}, and was told of node {theirs}: run `mesh down` with that data directory, then \
     `mesh up`",
    data_dir.display()
)]
struct WrongNode {
    data_dir: PathBuf,
    ours: NodeId,
    theirs: NodeId,
}

struct Running {
    node: NodeFacts,
    overlay: Overlay,
    _tasks: JoinSet<()>,
}

impl Tunnels {
    pub(super) fn new(knowledge: Arc<Knowledge>, data_dir: PathBuf) -> Self {
        Self { knowledge, data_dir, peers: watch::Sender::default(), running: Mutex::default() }
    }

    async fn keep(&self) -> Result<Next, Error> {
        let Some(node) = self.knowledge.node() else { return Ok(Next::Done) };
        let peers: Vec<_> = self.knowledge.peers().iter().map(net::dataplane::PeerFacts::overlay).collect();
        self.peers.send_if_modified(|before| {
            let changed = *before != peers;
            *before = peers;
            changed
        });
        if self.runs_for(&node).await {
            return Ok(Next::Done);
        }
        let started = self.start(&node).await;
        self.knowledge.trouble("overlay", started.as_ref().err().map(|error| super::words(error.as_ref())));
        started?;
        Ok(Next::Done)
    }

    /// Whether it runs; one with other settings is ended.
    async fn runs_for(&self, node: &NodeFacts) -> bool {
        let Some(mut running) = self.running.lock().take() else { return false };
        let ended = timeout(Duration::ZERO, running.overlay.ended()).await.is_ok();
        if !ended && same(&running.node, node) {
            *self.running.lock() = Some(running);
            return true;
        }
        warn!(ended, "the overlay is started anew");
        if !ended {
            running.overlay.stop().await;
        }
        false
    }

    async fn start(&self, node: &NodeFacts) -> Result<(), Error> {
        let (data_dir, facts, peers) = (self.data_dir.clone(), node.clone(), self.peers.subscribe());
        let start = move || -> Result<Overlay, Error> {
            let identity = Identity::load_or_create(&data_dir.join("identity"), &mut rand::rng())?;
            if identity.id() != facts.id {
                return Err(WrongNode { data_dir, ours: identity.id(), theirs: facts.id }.into());
            }
            let config = OverlayConfig {
                listen: facts.listen,
                identity: Arc::new(identity),
                ranges: facts.pod_ranges.clone(),
                addresses: overlay_addresses(&facts),
                mtu: facts.mtu,
            };
            let overlay = Overlay::start(config, peers)?;
            ways::route_services(&facts.service_ranges, &overlay_addresses(&facts))?;
            Ok(overlay)
        };
        let overlay = tokio::task::spawn_blocking(start).await??;
        info!(listen = %node.listen, "pods' tunnels are open");
        let mut tasks = JoinSet::new();
        tasks.spawn(judge(self.knowledge.clone(), overlay.paths()));
        *self.running.lock() = Some(Running { node: node.clone(), overlay, _tasks: tasks });
        Ok(())
    }

    /// Ends the overlay: port and device are free then. `remove`: its routes go too.
    pub(super) async fn end(&self, remove: bool) {
        let running = self.running.lock().take();
        match running {
            Some(running) if remove => running.overlay.stop().await,
            Some(running) => running.overlay.pause().await,
            None => {}
        }
    }
}

/// Whether an overlay for the one serves the other.
fn same(one: &NodeFacts, other: &NodeFacts) -> bool {
    let of = |node: &NodeFacts| (node.listen, node.mtu, node.pod_ranges.clone(), node.service_ranges.clone(), node.id);
    of(one) == of(other)
}

/// This node's own addresses among the pods'.
pub(super) fn overlay_addresses(node: &NodeFacts) -> Vec<IpAddr> {
    node.pod_ranges.iter().filter_map(|range| net::pod::overlay_address(*range)).collect()
}

/// Follows the paths until the overlay ends.
async fn judge(knowledge: Arc<Knowledge>, mut paths: Paths) {
    let (started, mut reach) = (Instant::now(), Reach::default());
    loop {
        let states = paths.borrow_and_update().clone();
        let again = reach.observe(&states, started.elapsed());
        knowledge.paths.send_if_modified(|before| {
            let changed = *before != states;
            *before = states;
            changed
        });
        let withdrawn = reach.withdrawn();
        knowledge.withdrawn.send_if_modified(|before| {
            let changed = *before != withdrawn;
            if changed {
                info!(?withdrawn, frozen = reach.is_frozen(), "nodes whose endpoints are not used");
            }
            *before = withdrawn;
            changed
        });
        let ended = match again {
            Some(wait) => timeout(wait, paths.changed()).await.is_ok_and(|changed| changed.is_err()),
            None => paths.changed().await.is_err(),
        };
        if ended {
            return;
        }
    }
}

impl Work for Arc<Tunnels> {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.keep())
    }
}
