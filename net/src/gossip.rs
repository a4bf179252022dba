//! Who is alive, by gossip: each node tells a few tiny values, and the others notice when it falls silent.
//!
//! Chitchat (scuttlebutt, phi-accrual failure detection) over [`crate::Protocol::Gossip`]. **Gossip is a hint**,
//! relayed and forgeable by any member: only ids of the peer table are believed, and keys, addresses and roles never
//! come from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chitchat::{ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState, ProtocolVersion};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{error, warn};

use crate::{Dial, NodeId, PeerTable, Serve};

use inbound::Inbound;
use transport::{Messages, address_of, node_at};

mod inbound;
mod outbound;
mod transport;

/// Key of the data plane's liveness value.
pub const NET: &str = "net";

/// Key of the control process' liveness value.
pub const AGENT: &str = "agent";

/// Values of one node: gossip carries liveness, not state.
const VALUES_LIMIT: usize = 8;

/// Longest key and longest value, in bytes.
const TEXT_LIMIT: usize = 64;

/// Messages that may wait to be read: some rounds of a large cluster; more are lost, as on UDP.
const INBOX: usize = 256;

/// Silence that makes a node dead, in gossip intervals: a crash is seen in about two seconds at 300 ms.
const SILENCE_INTERVALS: f64 = 6.0;

/// Heartbeats remembered per node. Few, so that a stream of quick ones never makes the detector impatient: with a
/// prior of two intervals, weighing as much as five heartbeats, the silence never falls below [`SILENCE_INTERVALS`].
const WINDOW: usize = 5;

/// Forgotten so long after death: old generations of restarted nodes do not pile up in every digest.
const FORGET_AFTER: Duration = Duration::from_secs(120);

/// How often members that are not seen alive are called on: repairs whatever gossip itself did not find.
const CALL_PERIOD: Duration = Duration::from_millis(500);

/// Members called on at a time.
const CALLS: usize = 3;

/// Pause before gossip is started anew after it broke.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// What gossip needs to know.
#[derive(Clone, Debug)]
pub struct GossipConfig {
    /// This node.
    pub id: NodeId,
    /// Id and incarnation of the cluster; others are not listened to.
    pub cluster: String,
    /// Higher at each start of this node than before: milliseconds since 1970, say.
    pub generation: u64,
    /// Between rounds; 100 to 500 ms.
    pub interval: Duration,
}

/// A value that is too much for gossip.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Key or value too long.
    #[error("gossip key {0:?} or its value is longer than {TEXT_LIMIT} bytes")]
    TooLong(String),
    /// Too many keys.
    #[error("gossip key {0:?} would be one more than {VALUES_LIMIT}")]
    TooMany(String),
}

type Values = BTreeMap<NodeId, BTreeMap<String, String>>;

/// A running gossip; ends when dropped.
#[derive(Debug)]
pub struct Gossip {
    own: watch::Sender<BTreeMap<String, String>>,
    live: watch::Receiver<BTreeSet<NodeId>>,
    values: watch::Receiver<Values>,
    inbound: Arc<Inbound>,
    task: JoinHandle<()>,
    #[cfg(test)]
    fault: Arc<tokio::sync::Notify>,
}

impl Drop for Gossip {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gossip {
    /// Starts gossiping with the members of `peers`. Its [`Gossip::handler`] must serve [`Protocol::Gossip`].
    ///
    /// [`Protocol::Gossip`]: crate::Protocol::Gossip
    pub fn start(config: GossipConfig, dial: Arc<dyn Dial>, peers: Arc<PeerTable>) -> Self {
        let (own, own_reader) = watch::channel(BTreeMap::new());
        let (live_writer, live) = watch::channel(BTreeSet::from([config.id]));
        let (values_writer, values) = watch::channel(Values::new());
        let inbound = Arc::new(Inbound::default());
        #[cfg(test)]
        let fault = Arc::new(tokio::sync::Notify::new());
        let runner = Runner {
            config,
            dial,
            peers,
            inbound: inbound.clone(),
            own: own_reader,
            live: live_writer,
            values: values_writer,
            #[cfg(test)]
            fault: fault.clone(),
        };
        let task = tokio::spawn(runner.run());
        Self {
            own,
            live,
            values,
            inbound,
            task,
            #[cfg(test)]
            fault,
        }
    }

    /// Serves [`Protocol::Gossip`](crate::Protocol::Gossip).
    pub fn handler(&self) -> Arc<dyn Serve> {
        self.inbound.clone()
    }

    /// The members that are heard of, this node always among them.
    pub fn live(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.live.clone()
    }

    /// Tells all members a value of this node.
    ///
    /// # Errors
    /// [`SetError`]; nothing is changed then.
    pub fn set(&self, key: &str, value: &str) -> Result<(), SetError> {
        if key.len() > TEXT_LIMIT || value.len() > TEXT_LIMIT {
            return Err(SetError::TooLong(key.chars().take(TEXT_LIMIT).collect()));
        }
        let mut fits = true;
        self.own.send_if_modified(|values| {
            fits = values.len() < VALUES_LIMIT || values.contains_key(key);
            fits && values.insert(key.into(), value.into()).as_deref() != Some(value)
        });
        if fits { Ok(()) } else { Err(SetError::TooMany(key.into())) }
    }

    /// A live member's value, as last heard.
    pub fn get(&self, node: NodeId, key: &str) -> Option<String> {
        self.values.borrow().get(&node)?.get(key).cloned()
    }

    /// Wakes when a value of a live member changes.
    pub fn changes(&self) -> watch::Receiver<BTreeMap<NodeId, BTreeMap<String, String>>> {
        self.values.clone()
    }
}

struct Runner {
    config: GossipConfig,
    dial: Arc<dyn Dial>,
    peers: Arc<PeerTable>,
    inbound: Arc<Inbound>,
    own: watch::Receiver<BTreeMap<String, String>>,
    live: watch::Sender<BTreeSet<NodeId>>,
    values: watch::Sender<Values>,
    #[cfg(test)]
    fault: Arc<tokio::sync::Notify>,
}

impl Runner {
    /// Gossips, and starts anew under the next generation whenever chitchat ends (it panics past 64 KiB of digest).
    async fn run(mut self) {
        loop {
            match self.spawn().await {
                Ok(handle) => self.follow(&handle).await,
                Err(error) => error!(%error, "gossip not started, next try in {RESTART_PAUSE:?}"),
            }
            sleep(RESTART_PAUSE).await;
            self.config.generation += 1;
        }
    }

    async fn spawn(&mut self) -> anyhow::Result<Running> {
        let (sender, inbox) = mpsc::channel(INBOX);
        self.inbound.connect(sender);
        let messages = Messages::new(self.dial.clone(), self.config.id, self.config.interval, inbox);
        let own = self.own.borrow_and_update().clone();
        chitchat::spawn_chitchat(chitchat_config(&self.config), own.into_iter().collect(), &messages).await.map(Running)
    }

    /// Until chitchat ends.
    async fn follow(&mut self, handle: &Running) {
        let handle = &handle.0;
        let mut seen = handle.with_chitchat(|chitchat| chitchat.live_nodes_watcher()).await;
        let mut changes = self.peers.changes();
        let ended = handle.termination_watcher();
        tokio::pin!(ended);
        let mut calls = interval(CALL_PERIOD);
        calls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        #[cfg(test)]
        let fault = self.fault.clone();
        #[cfg(not(test))]
        let fault = NoFault;
        loop {
            self.publish(&seen.borrow_and_update());
            tokio::select! {
                reason = &mut ended => return warn!(?reason, "gossip broke, restarting"),
                Ok(()) = seen.changed() => {}
                Ok(()) = changes.changed() => self.call(handle, &mut turn),
                _ = calls.tick() => self.call(handle, &mut turn),
                Ok(()) = self.own.changed() => self.tell(handle).await,
                () = fault.notified() => handle.abort(),
            }
        }
    }

    async fn tell(&mut self, handle: &ChitchatHandle) {
        let own = self.own.borrow_and_update().clone();
        handle
            .with_chitchat(|chitchat| {
                let state = chitchat.self_node_state();
                own.iter().for_each(|(key, value)| state.set(key, value));
            })
            .await;
    }

    /// Believes of what is seen only members, each at the address that its id makes.
    fn publish(&self, seen: &BTreeMap<ChitchatId, NodeState>) {
        let peers = self.peers.load();
        let mut values = Values::from([(self.config.id, self.own.borrow().clone())]);
        for (id, state) in seen {
            // Generations of one node follow each other in order: the newest wins.
            match node_at(id.gossip_advertise_addr).filter(|node| node.to_string() == *id.node_id) {
                Some(node) if node != self.config.id && peers.get(node).is_some() => {
                    values.insert(node, told(state));
                }
                _ => {}
            }
        }
        let live: BTreeSet<_> = values.keys().copied().collect();
        self.values.send_if_modified(|old| replace(old, values));
        self.live.send_if_modified(|old| replace(old, live));
    }

    /// Calls on some members that are not seen alive, all in their turn.
    fn call(&self, handle: &ChitchatHandle, turn: &mut usize) {
        let live = self.live.borrow().clone();
        let peers = self.peers.load();
        let silent: Vec<_> = peers.iter().map(|peer| peer.id).filter(|id| !live.contains(id)).collect();
        for place in 0..silent.len().min(CALLS) {
            let _ = handle.gossip(address_of(silent[(*turn + place) % silent.len()]));
        }
        *turn = turn.wrapping_add(CALLS);
    }
}

/// Chitchat's own task outlives its handle, so that it is ended here.
struct Running(ChitchatHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Stands where tests break chitchat.
#[cfg(not(test))]
struct NoFault;

#[cfg(not(test))]
impl NoFault {
    fn notified(&self) -> std::future::Pending<()> {
        std::future::pending()
    }
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}

/// What a node tells, within the limits that it should have kept.
fn told(state: &NodeState) -> BTreeMap<String, String> {
    let fits = |(key, value): &(&str, &str)| key.len() <= TEXT_LIMIT && value.len() <= TEXT_LIMIT;
    let told = state.key_values().filter(fits).take(VALUES_LIMIT);
    told.map(|(key, value)| (key.into(), value.into())).collect()
}

fn chitchat_config(config: &GossipConfig) -> ChitchatConfig {
    let address = address_of(config.id);
    ChitchatConfig {
        chitchat_id: ChitchatId::new(config.id.to_string(), config.generation, address),
        cluster_id: config.cluster.clone(),
        gossip_interval: config.interval,
        listen_addr: address,
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: SILENCE_INTERVALS,
            sampling_window_size: WINDOW,
            max_interval: FORGET_AFTER,
            initial_interval: config.interval * 2,
            dead_node_grace_period: FORGET_AFTER,
        },
        marked_for_deletion_grace_period: FORGET_AFTER,
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    }
}

#[cfg(test)]
mod tests;
