//! Keeps the kernel's table of Services equal to what is known. Decided by [`net::services::Table`]; run here.
//! Main type: [`Services`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use ipnet::IpNet;
use net::NodeId;
use net::dataplane::{NodeFacts, ObjectKind};
use net::services::conntrack::Conntrack;
use net::services::{Facts, Nft, NftError, ObjectKey, Proxy, Service, Slice, Surroundings, Table};
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::knowledge::{Follower, Knowledge};
use super::overlay::overlay_addresses;
use crate::host::{Error, Next, Rules, Work};

/// How often the kernel is asked whether the table is there still: others may flush all rules.
const LOOK_PERIOD: Duration = Duration::from_secs(10);

/// How the host treats [`Services`].
pub(super) fn rules() -> Rules<()> {
    Rules { name: "services", deadline: Duration::from_secs(120), resync: Some((LOOK_PERIOD, vec![()])) }
}

/// See the file's head.
pub(super) struct Services {
    knowledge: Arc<Knowledge>,
    proxy: Mutex<Option<Serving>>,
    /// When the kernel was last asked for the table.
    looked: parking_lot::Mutex<Option<Instant>>,
    /// Nodes whose connections were reset.
    reset: parking_lot::Mutex<BTreeSet<NodeId>>,
}

struct Serving {
    node: NodeFacts,
    proxy: Proxy,
}

impl Services {
    pub(super) fn new(knowledge: Arc<Knowledge>) -> Self {
        Self { knowledge, proxy: Mutex::default(), looked: Default::default(), reset: Default::default() }
    }

    async fn sync(&self) -> Result<Next, Error> {
        let Some(node) = self.knowledge.node().filter(|_| *self.knowledge.whole.borrow()) else {
            return Ok(Next::Done);
        };
        let mut serving = self.proxy.lock().await;
        if serving.as_ref().is_none_or(|serving| serving.node != node) {
            self.knowledge.all_changed(Follower::Services);
            let table = Table::new(facts(&node), around(&node));
            *serving = Some(Serving { node, proxy: Proxy::new(table, Nft::default()) });
        }
        let Some(Serving { proxy, .. }) = serving.as_mut() else { return Ok(Next::Done) };
        self.tell(&mut proxy.table);
        let outcome = self.put_in_force(proxy).await;
        *self.knowledge.served.lock() = (proxy.table.services(), proxy.table.elements());
        self.knowledge.trouble("services", outcome.as_ref().err().map(|error| super::words(error)));
        outcome?;
        self.reset_flows().await;
        Ok(Next::Done)
    }

    async fn put_in_force(&self, proxy: &mut Proxy) -> Result<usize, NftError> {
        // Half, so that each round of the host's counts although changes came between.
        let due = self.looked.lock().is_none_or(|at| at.elapsed() >= LOOK_PERIOD / 2);
        if due {
            proxy.look().await?;
            *self.looked.lock() = Some(Instant::now());
        }
        proxy.sync().await
    }

    /// Ends the connections to nodes that became unreachable since the last time: their clients would wait for long.
    async fn reset_flows(&self) {
        let withdrawn = self.knowledge.withdrawn.borrow().clone();
        let before = std::mem::replace(&mut *self.reset.lock(), withdrawn.clone());
        let new: BTreeSet<NodeId> = withdrawn.difference(&before).copied().collect();
        if new.is_empty() {
            return;
        }
        let dead = self.knowledge.peers().into_iter().filter(|peer| new.contains(&peer.id));
        let ranges: Vec<IpNet> = dead.flat_map(|peer| peer.pod_ranges).collect();
        let reset = tokio::task::spawn_blocking(move || Conntrack::open()?.reset(&ranges)).await;
        match reset.map_err(std::io::Error::other).flatten() {
            Ok(flows) => info!(flows, nodes = ?new, "connections to unreachable nodes are reset"),
            Err(error) => warn!(%error, "connections to unreachable nodes were not reset"),
        }
    }

    /// Gives the table what changed since the last time.
    fn tell(&self, table: &mut Table) {
        for (object, json) in self.knowledge.take_changed(Follower::Services) {
            let key = ObjectKey::new(&object.namespace, &object.name);
            let read = match object.kind {
                ObjectKind::Service => read(json, Service::read).map(|one| table.set_service(key, one)),
                ObjectKind::EndpointSlice => read(json, Slice::read).map(|one| table.set_slice(key, one)),
            };
            if let Err(error) = read {
                warn!(%error, object = %object.name, namespace = %object.namespace, "object left as it was");
            }
        }
        let withdrawn = self.knowledge.withdrawn.borrow().clone();
        let peers = self.knowledge.peers();
        let dead: BTreeSet<_> =
            peers.into_iter().filter(|peer| withdrawn.contains(&peer.id)).map(|peer| peer.name).collect();
        table.set_dead(dead);
    }

    /// Takes the table out of the kernel.
    pub(super) async fn remove() -> Result<(), Error> {
        Ok(Nft::default().remove().await?)
    }
}

fn read<T, E>(json: Option<Vec<u8>>, read: impl Fn(&[u8]) -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    json.map_or(Ok(None), |json| read(&json))
}

fn facts(node: &NodeFacts) -> Facts {
    Facts {
        own_pods: node.pod_ranges.clone(),
        all_pods: node.all_pod_ranges.clone(),
        services: node.service_ranges.clone(),
        overlay: overlay_addresses(node),
        own_services: node.dns.clone(),
    }
}

fn around(node: &NodeFacts) -> Surroundings {
    Surroundings { node: node.name.clone(), zone: node.zone.clone(), dead: BTreeSet::new() }
}

impl Work for Services {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.sync())
    }
}
