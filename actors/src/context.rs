//! What the actors of one node share. Main type: [`Context`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use net::seal::SealKey;
use net::{Endpoint, Identity, NodeId, PeerTable};
use runtime::ContainerRuntime;
use store::{Command, Freshness, Guard, Op, Outcome, RequestId, Storage, View};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::home::Home;
use crate::host;
use crate::kubelet::pulled::Pulled;
use crate::liveness::Liveness;
use crate::metrics::Counts;
use crate::rpc::Feed;

/// What the actors of one node share: the node's faces to disk, network and agreement.
pub struct Context {
    /// Settings.
    pub config: Config,
    /// The data directory.
    pub home: Home,
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// This node's name.
    pub name: String,
    /// Who the members are.
    pub peers: Arc<PeerTable>,
    /// The control endpoint.
    pub endpoint: Endpoint,
    /// The agreement.
    pub raft: Arc<consensus::Node>,
    /// The key that seals the cluster's secrets; voters have it.
    pub cluster_key: watch::Sender<Option<SealKey>>,
    /// Which members are silent.
    pub liveness: Liveness,
    /// What has happened since this process started.
    pub counts: Counts,
    /// This node was asked to leave: that it is removed is no news.
    pub leaving: AtomicBool,
    /// The API server, while this node runs one.
    pub api: watch::Sender<Option<Serving>>,
    /// Members and cluster as last heard, by this node's own state or a voter's answer; kept over restarts.
    pub feed: watch::Sender<Option<Arc<Feed>>>,
    /// Which members' pods this node reaches, as its data plane sees it; those it does not know of yet are left out.
    /// `None` while no data plane tells.
    pub paths: watch::Sender<Option<BTreeMap<NodeId, bool>>>,
    /// Who runs this node's containers; none where it runs no pods. It need not answer yet.
    pub runtime: Option<Arc<dyn ContainerRuntime>>,
    /// How this node's images came.
    pub pulled: Arc<Pulled>,
    /// Logs, commands and ports of this node's pods.
    pub streams: Arc<crate::streams::Local>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("name", &self.name).field("id", &self.id()).finish_non_exhaustive()
    }
}

/// A running API server.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Takes connections.
    pub server: apiserver::ApiServer,
    stop: CancellationToken,
    attending: Arc<tokio::sync::Mutex<tokio::task::JoinSet<()>>>,
}

impl Serving {
    /// Starts what a server does beside taking connections.
    pub fn start(server: apiserver::ApiServer) -> Self {
        let stop = CancellationToken::new();
        let mut attending = tokio::task::JoinSet::new();
        let (attended, stopped) = (server.clone(), stop.clone());
        attending.spawn(async move { attended.attend(stopped).await });
        Self { server, stop, attending: Arc::new(attending.into()) }
    }

    /// Takes no new request and lets those under way finish.
    pub async fn drain(&self) {
        self.stop.cancel();
        while self.attending.lock().await.join_next().await.is_some() {}
    }
}

/// A proposal that changed nothing.
#[derive(Debug, thiserror::Error)]
#[error("not written: {0:?}")]
pub struct NotWritten(store::Refusal);

impl Context {
    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.identity.id()
    }

    /// This node's applied state, however old.
    ///
    /// # Errors
    /// Where the agreement has ended.
    pub async fn view(&self) -> Result<View, host::Error> {
        Ok(self.raft.read(Freshness::Any).await?)
    }

    /// The term in which this node leads and has seen all that earlier leaders acknowledged.
    pub fn leading(&self) -> Option<u64> {
        let leadership = *self.raft.leadership().borrow();
        let leads = leadership.leader == Some(self.id()) && leadership.own_first_entry_applied;
        leads.then_some(leadership.term)
    }

    /// Proposes a transaction and waits until it is applied here.
    ///
    /// # Errors
    /// [`NotWritten`] where a guard did not hold, [`store::WriteError`] where there is no quorum.
    pub async fn write(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<(), host::Error> {
        self.propose(Command { request: request_id(), guards, ops }).await
    }

    /// As [`Context::write`], for a command made elsewhere.
    ///
    /// # Errors
    /// As [`Context::write`].
    pub async fn propose(&self, command: Command) -> Result<(), host::Error> {
        match self.raft.propose(command).await? {
            Outcome::Applied { .. } => Ok(()),
            Outcome::Refused(refusal) => Err(NotWritten(refusal).into()),
        }
    }
}

/// A fresh request id.
pub fn request_id() -> RequestId {
    RequestId(rand::random())
}

/// Unix seconds, for what people and other machines compare with their clocks. Agreement never uses it.
pub fn unix_now() -> i64 {
    clock::unix_seconds()
}
