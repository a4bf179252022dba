//! The control process's side: keeps a data plane running and tells it the node, its peers and the Services, now and
//! with every change. Main type: [`Feeder`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::api::kinds::{self, Kind};
use futures::future::BoxFuture;
use membership::{Member, NodeId};
use net::dataplane::socket::{LinkOrders, LinkReports};
use net::dataplane::wire::ObjectRef;
use net::dataplane::{NodeFacts, ObjectKind, Order, PeerFacts, Report};
use net::{Dial, Protocol};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::launch::LaunchError;
use super::{Settings, launch};
use crate::context::Context;
use crate::host::{Error, Next, Rules, Work};
use crate::node_api::mirror::{Changes, Key};
use crate::node_api::{Api, Face, Mirror};
use crate::rpc::{self, ANNOUNCE, Feed};

/// After so long all is told anew: repairs whatever was lost.
const RETELL: Duration = Duration::from_secs(600);

/// How long one order may take: the data plane reads them as they come.
const ORDER_LIMIT: Duration = Duration::from_secs(10);

/// How long announcing may take.
const ANNOUNCE_LIMIT: Duration = Duration::from_secs(15);

/// Largest packet of a pod, in bytes: fits every path between nodes.
const POD_MTU: u16 = 1280;

/// Which address of a range of Services is the cluster's DNS: the tenth, by custom.
const DNS_ADDRESS: usize = 9;

/// How the host treats [`Feeder`].
pub fn rules() -> Rules<()> {
    let resync = Some((Duration::from_secs(30), vec![()]));
    Rules { name: "dataplane", deadline: RETELL + Duration::from_secs(60), resync }
}

/// See the file's head.
pub struct Feeder {
    context: Arc<Context>,
    collections: [(ObjectKind, Mirror); 2],
    /// Why there is no data plane, as last told.
    trouble: Mutex<Option<String>>,
}

impl Feeder {
    /// Feeds the data plane of this context's node. Within a tokio runtime.
    pub fn new(context: Arc<Context>, api: &Api) -> Self {
        let mirror = |kind: &'static Kind| Mirror::start(api.of(Face::Proxy), kind, "", &[]);
        let collections = [
            (ObjectKind::Service, mirror(&kinds::service::SERVICE)),
            (ObjectKind::EndpointSlice, mirror(&kinds::endpoint_slice::ENDPOINT_SLICE)),
        ];
        Self { context, collections, trouble: Mutex::default() }
    }

    fn settings(&self) -> Settings {
        let config = &self.context.config;
        Settings { data_dir: config.data_dir.clone(), state_dir: config.state_dir.clone() }
    }

    /// One connection, from greeting to retelling.
    async fn feed(&self) -> Result<Next, Error> {
        let mut members = self.context.feed.subscribe();
        let known = members.wait_for(Option::is_some).await?.clone().ok_or("no members are known")?;
        self.announce(&known).await;
        let link = launch::connected(&self.settings()).await;
        self.tell_trouble(link.as_ref().err());
        let link = link?;
        let (reports, mut orders) = link.split();
        let ended = tokio::select! {
            heard = self.hear(reports) => heard,
            told = self.tell(&mut orders, members) => told,
        };
        self.context.paths.send_replace(None);
        ended.map(|()| Next::After(Duration::ZERO))
    }

    /// A person hears once of what keeps failing.
    fn tell_trouble(&self, error: Option<&LaunchError>) {
        let words = error.map(|error| crate::dataplane::words(error));
        let news = std::mem::replace(&mut *self.trouble.lock(), words.clone()) != words;
        if let (true, Some(error)) = (news, words) {
            warn!(error, "there is no data plane: pods of other nodes and Services are not reached, trying on");
        }
    }

    /// Takes the paths that the data plane tells of.
    async fn hear(&self, mut reports: LinkReports) -> Result<(), Error> {
        while let Some(report) = reports.next().await? {
            if let Report::Paths(paths) = report {
                let paths: BTreeMap<NodeId, bool> = paths.into_iter().collect();
                self.context.paths.send_replace(Some(paths));
            }
        }
        Err("the data plane ended the connection".into())
    }

    async fn tell(
        &self,
        orders: &mut LinkOrders,
        mut members: tokio::sync::watch::Receiver<Option<Arc<Feed>>>,
    ) -> Result<(), Error> {
        let end = Instant::now() + RETELL;
        let known = members.borrow_and_update().clone();
        self.tell_members(orders, known.as_deref()).await?;
        let mut changes = self.tell_all(orders).await?;
        info!("the data plane knows all Services");
        loop {
            let [services, slices] = &mut changes;
            let changed = async {
                tokio::select! {
                    changed = members.changed() => changed.map(|()| None).map_err(Error::from),
                    keys = services.next() => Ok(Some((&self.collections[0], keys))),
                    keys = slices.next() => Ok(Some((&self.collections[1], keys))),
                }
            };
            let Ok(changed) = timeout_at(end, changed).await else { return Ok(()) };
            match changed? {
                None => {
                    let known = members.borrow_and_update().clone();
                    self.tell_members(orders, known.as_deref()).await?;
                }
                Some(((kind, mirror), keys)) => {
                    for key in keys {
                        send(orders, order(*kind, mirror, &key)).await?;
                    }
                }
            }
        }
    }

    async fn tell_members(&self, orders: &mut LinkOrders, feed: Option<&Feed>) -> Result<(), Error> {
        let Some((feed, node)) = feed.and_then(|feed| Some((feed, self.node(feed)?))) else { return Ok(()) };
        send(orders, Order::Node(node)).await?;
        let others = feed.members.iter().filter(|member| member.id != self.context.id());
        send(orders, Order::Peers(others.map(peer).collect())).await
    }

    /// Tells every object, and returns what will change of them.
    async fn tell_all(&self, orders: &mut LinkOrders) -> Result<[Changes; 2], Error> {
        for (_, mirror) in &self.collections {
            mirror.wait_synced().await;
        }
        let mut changes = [self.collections[0].1.changes(), self.collections[1].1.changes()];
        send(orders, Order::Begin).await?;
        for ((kind, mirror), changes) in self.collections.iter().zip(&mut changes) {
            // Without objects there would be nothing to wait for.
            if mirror.list().is_empty() {
                continue;
            }
            for key in changes.next().await {
                send(orders, order(*kind, mirror, &key)).await?;
            }
        }
        send(orders, Order::Synced).await?;
        Ok(changes)
    }

    fn node(&self, feed: &Feed) -> Option<NodeFacts> {
        let own = feed.members.iter().find(|member| member.id == self.context.id())?;
        let cluster = feed.cluster.as_ref()?;
        Some(NodeFacts {
            id: own.id,
            name: self.context.name.clone(),
            zone: own.zone.clone(),
            pod_ranges: own.pod_ranges.clone(),
            all_pod_ranges: cluster.pod_ranges.clone(),
            service_ranges: cluster.service_ranges.clone(),
            dns: cluster.service_ranges.iter().filter_map(|range| range.hosts().nth(DNS_ADDRESS)).collect(),
            domain: cluster.domain.clone(),
            listen: self.context.config.pods_listen,
            mtu: POD_MTU,
        })
    }

    /// Has it written down where this node's pods' endpoint listens, where that is news. Until then others try the usual port.
    async fn announce(&self, feed: &Feed) {
        let addresses = self.context.config.pod_addresses();
        let own = feed.members.iter().find(|member| member.id == self.context.id());
        if own.is_none_or(|own| own.pod_addresses == addresses) {
            return;
        }
        let voters = feed.members.iter().filter(|member| member.role == membership::Role::Voter);
        for voter in voters {
            match timeout(ANNOUNCE_LIMIT, self.announce_to(voter, &addresses)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => debug!(%error, voter = voter.name, "the pods' endpoint was not announced"),
                Err(_) => debug!(voter = voter.name, "the pods' endpoint was not announced: no answer"),
            }
        }
    }

    async fn announce_to(&self, voter: &Member, addresses: &[std::net::SocketAddr]) -> Result<(), Error> {
        if voter.id == self.context.id() {
            return rpc::announce(&self.context, voter.id, addresses.to_vec()).await;
        }
        let mut channel = self.context.endpoint.open(voter.id, Protocol::Rpc, ANNOUNCE).await?;
        channel.send(&serde_json::to_vec(addresses)?).await?;
        channel.finish().await?;
        channel.receive().await?.map(drop).ok_or_else(|| "it was refused".into())
    }
}

async fn send(orders: &mut LinkOrders, order: Order) -> Result<(), Error> {
    Ok(timeout(ORDER_LIMIT, orders.send(order)).await??)
}

fn peer(member: &Member) -> PeerFacts {
    PeerFacts {
        id: member.id,
        name: member.name.clone(),
        key: member.key,
        addresses: member.pods_endpoints(),
        pod_ranges: member.pod_ranges.clone(),
    }
}

fn order(kind: ObjectKind, mirror: &Mirror, (namespace, name): &Key) -> Order {
    let object = ObjectRef { kind, namespace: namespace.clone(), name: name.clone() };
    Order::Object { object, json: mirror.get(namespace, name).map(|object| trimmed(&object)) }
}

/// Without what tells of writers and tools: most of a small object's bytes.
fn trimmed(object: &Value) -> Vec<u8> {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("annotations");
    }
    object.to_string().into_bytes()
}

impl Work for Feeder {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.feed())
    }
}
