//! Answers names at the cluster's DNS addresses, which every node has on `lo`. Answers are [`dns::Zone`]'s; run here.
//! Main type: [`Dns`]. What is not the cluster's is asked of the servers that this machine uses (resolv.conf(5)).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::dns::{Change, Object, Server, ServerConfig, SharedZone, Upstream, Zone};
use futures::future::BoxFuture;
use net::dataplane::{NodeFacts, ObjectKind};
use net::services::ways;
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::warn;

use super::knowledge::{Follower, Knowledge};
use crate::host::{Error, Next, Rules, Work};

/// Looked at although nothing was heard: somebody may have taken the addresses from `lo`, or named other servers.
const PERIOD: Duration = Duration::from_secs(30);

/// Port of DNS.
const PORT: u16 = 53;

/// Where this machine's own resolver is told of its servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How the host treats [`Dns`].
pub(super) fn rules() -> Rules<()> {
    Rules { name: "dns", deadline: Duration::from_secs(30), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub(super) struct Dns {
    knowledge: Arc<Knowledge>,
    serving: Mutex<Option<Serving>>,
}

struct Serving {
    addresses: Vec<IpAddr>,
    domain: String,
    server: Server,
}

impl Dns {
    pub(super) fn new(knowledge: Arc<Knowledge>) -> Self {
        Self { knowledge, serving: Mutex::default() }
    }

    /// Answers, as long as names are known; what changed is taken in.
    pub(super) async fn keep(&self) -> Result<Next, Error> {
        // Before all names are known, an answer could be that there is no such name; silence is asked again.
        let Some(node) = self.knowledge.node().filter(|_| *self.knowledge.whole.borrow()) else {
            return Ok(Next::Done);
        };
        let kept = self.serve(&node).await;
        self.knowledge.trouble("dns", kept.as_ref().err().map(|error| super::words(error.as_ref())));
        kept?;
        Ok(Next::Done)
    }

    async fn serve(&self, node: &NodeFacts) -> Result<(), Error> {
        let addresses = node.dns.clone();
        tokio::task::spawn_blocking(move || ways::answer_at(&addresses)).await??;
        let upstream = upstream(&node.dns).await;
        let mut serving = self.serving.lock().await;
        let fits = |serving: &Serving| serving.addresses == node.dns && serving.domain == node.domain;
        if let Some(serving) = serving.as_ref().filter(|serving| fits(serving)) {
            serving.server.set_upstream(&upstream);
            self.tell(&serving.server.zone());
            return Ok(());
        }
        let zone = SharedZone::new(Zone::new(&node.domain));
        self.knowledge.all_changed(Follower::Dns);
        self.tell(&zone);
        let listen = node.dns.iter().map(|address| SocketAddr::new(*address, PORT)).collect();
        let config = ServerConfig { listen, domain: node.domain.clone(), upstream };
        let server = Server::start_on(config, zone).await?;
        *serving = Some(Serving { addresses: node.dns.clone(), domain: node.domain.clone(), server });
        Ok(())
    }

    /// Gives the zone what changed since the last time.
    fn tell(&self, zone: &SharedZone) {
        for (object, json) in self.knowledge.take_changed(Follower::Dns) {
            let kind = match object.kind {
                ObjectKind::Service => Object::Service,
                ObjectKind::EndpointSlice => Object::EndpointSlice,
            };
            match json.map(|json| serde_json::from_slice::<Value>(&json)).transpose() {
                Ok(value) => zone.apply(Change {
                    kind,
                    namespace: &object.namespace,
                    name: &object.name,
                    object: value.as_ref(),
                }),
                Err(error) => warn!(%error, object = object.name, "names left as they were"),
            }
        }
    }

    /// Takes the addresses away.
    pub(super) async fn remove(node: &NodeFacts) {
        let addresses = node.dns.clone();
        let removed = tokio::task::spawn_blocking(move || ways::answer_no_more_at(&addresses)).await;
        if let Err(error) = removed.map_err(std::io::Error::other).flatten() {
            warn!(%error, "the addresses of DNS were not removed");
        }
    }
}

async fn upstream(own: &[IpAddr]) -> Upstream {
    match tokio::fs::read_to_string(RESOLV_CONF).await {
        Ok(text) => Upstream::from_resolv_conf(&text, own),
        // A machine without one asks nobody either.
        Err(_) => Upstream::default(),
    }
}

impl Work for Arc<Dns> {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.keep())
    }
}
