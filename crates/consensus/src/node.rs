//! One node's part in the agreement: starts it, hands out its faces, ends it. Main type: [`Node`].

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use net::{Dial, NodeId, Serve};
use openraft::{async_runtime::watch::WatchReceiver, errors::Fatal};
use parking_lot::Mutex;
use store::State;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracing::{info, warn};
use validit::Validate as _;

use crate::{
    config::{Config, ConfigError},
    contact::Contact,
    leadership::{self, Leadership},
    log::LogStore,
    machine::{Machine, Progress, Published},
    media::Media,
    membership::{MembershipError, Status},
    peers::Peers,
    read::ReadIndex,
    rpc::RpcService,
    service::RaftService,
    snapshot::Snapshots,
    types::TypeConfig,
};

pub(crate) type Raft = openraft::Raft<TypeConfig, Machine>;

/// How long handing over leadership may delay a shutdown.
const HANDOVER_LIMIT: Duration = Duration::from_secs(1);

/// Between two handovers because of full disks: where all are full, leadership is not to run in circles.
const FULL_HANDOVER_PERIOD: Duration = Duration::from_secs(30);

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Log or snapshot could not be read.
    #[error("log or snapshot not usable: {0}")]
    Storage(#[from] std::io::Error),
    /// openraft refused what it read.
    #[error("log and snapshot do not fit together: {0}")]
    Inconsistent(String),
}

/// The agreement on this node has ended for good: a broken invariant or a failed disk. The process should end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("agreement ended on this node: {0}")]
pub struct Broken(pub String);

/// One node's part in the agreement, and the [`store::Storage`] of whoever runs on it.
pub struct Node {
    pub(crate) inner: Arc<Inner>,
    snapshots: Snapshots,
    tasks: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.inner.id).finish_non_exhaustive()
    }
}

/// What the tasks and services of a node share.
pub(crate) struct Inner {
    pub(crate) id: NodeId,
    pub(crate) config: Config,
    pub(crate) raft: Raft,
    pub(crate) log: LogStore,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) published: Arc<Published>,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) contact: Arc<Contact>,
    pub(crate) reads: ReadIndex,
    pub(crate) in_flight: Semaphore,
    /// A proposal was refused because this node's disk is full.
    pub(crate) refused_full: Notify,
}

impl Node {
    /// Starts from what the disk holds; an empty disk waits for [`Node::initialize`] or for a leader to call.
    ///
    /// # Errors
    /// [`StartError`]: retrying does not help.
    pub async fn start(id: NodeId, config: Config, media: Media, dial: Arc<dyn Dial>) -> Result<Self, StartError> {
        let (log, snapshots) = media.open(&config)?;
        let raft_config = Arc::new(config.raft()?);
        let published = Arc::new(Published::new(&State::default()));
        let machine = Machine::new(published.clone(), snapshots.clone());
        let raft = Raft::new(id, raft_config, Peers(dial.clone()), log.clone(), machine)
            .await
            .map_err(|fatal| StartError::Inconsistent(fatal.to_string()))?;
        elect_the_only_voter(id, &raft).await;
        let inner = Arc::new(Inner {
            id,
            raft,
            log: log.clone(),
            dial,
            published,
            leadership: watch::Sender::default(),
            contact: Arc::new(Contact::new()),
            reads: ReadIndex::default(),
            in_flight: Semaphore::new(config.proposals_in_flight),
            refused_full: Notify::new(),
            config,
        });
        let mut tasks = JoinSet::new();
        let progress = inner.published.progress.subscribe();
        tasks.spawn(leadership::follow(inner.raft.clone(), progress.clone(), inner.leadership.clone()));
        tasks.spawn(end_watches_without_leader(inner.clone()));
        tasks.spawn(hand_over_when_full(inner.clone()));
        tasks.spawn(snapshot_by_size(inner.clone(), log, progress));
        Ok(Self { inner, snapshots, tasks: Mutex::new(tasks) })
    }

    /// Who this is.
    pub fn id(&self) -> NodeId {
        self.inner.id
    }

    /// Answers [`net::Protocol::Raft`].
    pub fn raft_service(&self) -> Arc<dyn Serve> {
        let raft = self.inner.raft.clone();
        Arc::new(RaftService { raft, snapshots: self.snapshots.clone(), contact: self.inner.contact.clone() })
    }

    /// Answers the methods [`crate::wire::methods::PROPOSE`] and [`crate::wire::methods::READ_INDEX`] of
    /// [`net::Protocol::Rpc`].
    pub fn rpc_service(&self) -> Arc<dyn Serve> {
        Arc::new(RpcService(self.inner.clone()))
    }

    /// Who leads, now and from now on.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.subscribe()
    }

    /// How far this node's state has come.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.inner.published.progress.subscribe()
    }

    /// Founds a cluster of this one voter.
    ///
    /// # Errors
    /// [`MembershipError::Refused`] where the node belongs to a cluster already.
    pub async fn initialize(&self) -> Result<(), MembershipError> {
        self.inner.initialize().await
    }

    /// Sends the log to a further node, without giving it a vote. On the leader only. Safe to repeat.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn add_learner(&self, id: NodeId) -> Result<(), MembershipError> {
        self.inner.add_learner(id).await
    }

    /// Makes exactly these the voters, in one joint step; former voters stay as learners. On the leader only.
    /// They must be learners or voters already, and should have caught up (see [`Node::status`]).
    ///
    /// # Errors
    /// [`MembershipError`].
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), MembershipError> {
        self.inner.change_voters(voters).await
    }

    /// Sends the log to this node no longer, nor asks for its vote. On the leader only.
    ///
    /// # Errors
    /// [`MembershipError`]; the last voter cannot be removed.
    pub async fn remove(&self, id: NodeId) -> Result<(), MembershipError> {
        self.inner.remove(id).await
    }

    /// Hands leadership to this voter. On the leader only.
    ///
    /// # Errors
    /// [`MembershipError::Unknown`] where it does not lead in time.
    pub async fn transfer_leader(&self, to: NodeId) -> Result<(), MembershipError> {
        self.inner.transfer_leader(to).await
    }

    /// How the group is, as this node sees it.
    pub fn status(&self) -> Status {
        self.inner.status()
    }

    /// Whether openraft's state is as openraft holds it must be: what is purged, in a snapshot, applied, committed, written
    /// and accepted lies in this order. For simulations.
    ///
    /// # Errors
    /// [`Broken`] with the relation that does not hold, or where the agreement has ended.
    pub async fn examine(&self) -> Result<(), Broken> {
        let examined = self.inner.raft.with_raft_state(|state| state.validate().map_err(|error| error.to_string()));
        examined.await.map_err(|fatal| Broken(fatal.to_string()))?.map_err(Broken)
    }

    /// Returns only once the agreement has ended on this node although nobody shut it down.
    pub async fn broken(&self) -> Broken {
        let mut metrics = self.inner.raft.data_metrics();
        loop {
            let state = self.inner.raft.metrics().borrow_watched().running_state.clone();
            match state {
                Err(Fatal::Stopped) => std::future::pending().await,
                Err(fatal) => return Broken(fatal.to_string()),
                Ok(()) => {}
            }
            if metrics.changed().await.is_err() {
                let state = self.inner.raft.metrics().borrow_watched().running_state.clone();
                return Broken(
                    state.err().map_or_else(|| "it ended without a reason".into(), |fatal| fatal.to_string()),
                );
            }
        }
    }

    /// Hands leadership over, if it has it, and stops. What is not on disk yet was not acknowledged.
    pub async fn shutdown(&self) {
        if self.inner.raft.is_leader()
            && let Some(heir) = self.inner.heir()
        {
            let moved = timeout(HANDOVER_LIMIT, self.inner.transfer_leader(heir)).await;
            info!(%heir, handed_over = matches!(moved, Ok(Ok(()))), "leader stops");
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        if let Err(error) = self.inner.raft.shutdown().await {
            warn!(%error, "agreement did not stop cleanly");
        }
        self.inner.published.hub.disconnect_all();
    }
}

/// A voter without others need not wait for anybody's silence.
async fn elect_the_only_voter(id: NodeId, raft: &Raft) {
    if raft.voter_ids().eq([id])
        && let Err(fatal) = raft.trigger().elect(false).await
    {
        warn!(error = %fatal, "not elected at once");
    }
}

/// Clients of a node that lost the cluster are to go elsewhere.
async fn end_watches_without_leader(inner: Arc<Inner>) {
    let limit = inner.config.leaderless_limit;
    loop {
        let age = inner.contact.age(&inner.raft);
        if age >= limit {
            inner.published.hub.disconnect_all();
        }
        let wait = limit.checked_sub(age).unwrap_or(limit);
        sleep_until(Instant::now() + wait.max(inner.config.heartbeat)).await;
    }
}

/// One full disk is not to stop the writes of all: another voter may have room.
async fn hand_over_when_full(inner: Arc<Inner>) {
    loop {
        inner.refused_full.notified().await;
        if !inner.log.is_full() || !inner.raft.is_leader() {
            continue;
        }
        let Some(heir) = inner.heir() else { continue };
        let moved = timeout(HANDOVER_LIMIT, inner.transfer_leader(heir)).await;
        warn!(%heir, handed_over = matches!(moved, Ok(Ok(()))), "leader's disk is full");
        sleep_until(Instant::now() + FULL_HANDOVER_PERIOD).await;
    }
}

/// openraft counts entries; large ones make the log long by bytes first.
async fn snapshot_by_size(inner: Arc<Inner>, log: LogStore, mut progress: watch::Receiver<Progress>) {
    let mut counted_from = log.bytes_appended();
    while progress.changed().await.is_ok() {
        let appended = log.bytes_appended();
        if appended - counted_from < inner.config.snapshot_bytes {
            continue;
        }
        counted_from = appended;
        if let Err(fatal) = inner.raft.trigger().snapshot().await {
            warn!(error = %fatal, "snapshot not started");
            return;
        }
    }
}
