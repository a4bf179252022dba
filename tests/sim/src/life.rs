//! What runs on one simulated machine from power-on to crash: the node, its clients, its watcher. Main function: [`live`].

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use consensus::{Config, Follower, Node, Status};
use net::NodeId;
use store::{Freshness, Storage};
use tokio::time::sleep;

use crate::{
    client,
    flaw::Flaw,
    network::{SimDial, serve},
    world::{Stage, World},
};

/// Pause before a node is started again whose disk was full.
const RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Who founds the cluster, in its first life.
const FOUNDER: NodeId = NodeId(1);

/// How often a leader looks whether all nodes vote yet.
const FOUNDING_PERIOD: Duration = Duration::from_millis(200);

/// How often a node's state is examined as openraft itself would at every access, were its time of no account.
const EXAMINE_PERIOD: Duration = Duration::from_secs(1);

/// A follower this far behind counts as dead; used by [`Flaw::ShrinkVoters`] only.
const SHRINK_LAG: u64 = 4;

/// Shorter than in production, so that runs come to rest sooner.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(4);

fn config(flaw: Option<Flaw>) -> Config {
    Config {
        propose_timeout: PROPOSE_TIMEOUT,
        resume_leadership: flaw == Some(Flaw::ResumeLeadership),
        ..Config::default()
    }
}

/// One life of a machine: from power-on to crash. One whose agreement ends by itself stays as it is, and is told of.
pub(crate) async fn live(world: Arc<World>, number: u64) -> io::Result<()> {
    let flaw = world.plan.flaw;
    let machine = world.machines[&number].clone();
    tokio::spawn(machine.clone().keep_time());
    let node = loop {
        let id = machine.id();
        let dial = Arc::new(SimDial::new(id, flaw, world.weather.clone(), world.wire.clone()));
        match Node::start(id, config(flaw), machine.power_on(), dial).await {
            Ok(node) => break Arc::new(node),
            Err(_) if machine.is_full() => sleep(RESTART_PAUSE).await,
            Err(_) if machine.is_rotten() || machine.has_lied() => machine.wipe(), // what its words tell the operator to do
            Err(error) => return world.breaks(number, &error.to_string()).await,
        }
    };
    let id = machine.id();
    world.nodes.lock().insert(number, node.clone());
    if id == FOUNDER {
        let _ = node.initialize().await; // refused in later lives
    }
    if !world.is_forgotten(id) {
        tokio::spawn(found(world.clone(), node.clone()));
        tokio::spawn(world.seen[&number].clone().watch(node.clone(), flaw));
        tokio::spawn(clients(world.clone(), node.clone()));
        tokio::spawn(final_read(world.clone(), number, node.clone()));
    }
    tokio::spawn(examine(world.clone(), number, node.clone()));
    let served = serve(id, node.raft_service(), node.rpc_service(), world.weather.clone(), world.wire.clone());
    tokio::select! {
        biased;
        broken = node.broken() => world.breaks(number, &broken.to_string()).await,
        () = served => Ok(()),
    }
}

/// Makes the node of each machine a voter or a learner, on whichever node leads, and forgets who they were before.
async fn found(world: Arc<World>, node: Arc<Node>) {
    loop {
        if world.plan.flaw == Some(Flaw::ShrinkVoters) {
            shrink(&node, &node.status()).await;
        }
        if node.leadership().borrow().own_first_entry_applied {
            step_towards(&world.ids(), &world.voters(), &node, &node.status()).await;
        }
        sleep(FOUNDING_PERIOD).await;
    }
}

/// Each step is tried again when it fails.
async fn step_towards(all: &BTreeSet<NodeId>, voters: &BTreeSet<NodeId>, node: &Node, status: &Status) {
    let known: BTreeSet<NodeId> = status.voters.union(&status.learners).copied().collect();
    for id in all.difference(&known) {
        let _ = node.add_learner(*id).await;
    }
    let ready = |id: &NodeId| status.followers.iter().any(|follower| follower.id == *id && follower.caught_up);
    let newcomers_ready = voters.difference(&status.voters).all(ready);
    if (status.voters != *voters || status.changing) && voters.is_subset(&known) && newcomers_ready {
        let _ = node.change_voters(voters.clone()).await;
    }
    for former in status.learners.difference(all).filter(|_| status.voters == *voters) {
        let _ = node.remove(*former).await;
    }
}

/// What [`Flaw::ShrinkVoters`] does.
async fn shrink(node: &Node, status: &Status) {
    let behind = |follower: &&Follower| follower.lag > SHRINK_LAG;
    let dead: BTreeSet<NodeId> = status.followers.iter().filter(behind).map(|follower| follower.id).collect();
    if !dead.is_empty() {
        let _ = node.change_voters(status.voters.difference(&dead).copied().collect()).await; // a flaw needs no second try
    }
}

/// Until the agreement ends, which [`live`] sees too.
async fn examine(world: Arc<World>, number: u64, node: Arc<Node>) {
    loop {
        sleep(EXAMINE_PERIOD).await;
        if let Err(broken) = node.examine().await {
            let _ = world.breaks(number, &broken.to_string()).await; // never returns
        }
    }
}

async fn clients(world: Arc<World>, node: Arc<Node>) {
    let mut stage = world.stage.subscribe();
    let _ = stage.wait_for(|stage| *stage >= Stage::Chaos).await; // the world outlives the node
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..world.plan.clients {
        let client = {
            let mut lives = world.lives.lock();
            *lives += 1;
            *lives
        };
        let seed = world.seed ^ u64::from(client) << 20;
        running.spawn(client::work(node.clone(), world.history.clone(), client, seed, world.plan.flaw));
    }
    let _ = stage.wait_for(|stage| *stage >= Stage::Rest).await;
}

/// Once the faults are over: what this node holds, after all that was acknowledged.
async fn final_read(world: Arc<World>, id: u64, node: Arc<Node>) {
    let mut stage = world.stage.subscribe();
    let _ = stage.wait_for(|stage| *stage >= Stage::Rest).await;
    sleep(PROPOSE_TIMEOUT + Duration::from_secs(1)).await; // the last proposals end
    loop {
        if let Ok(view) = node.read(Freshness::Linearizable).await {
            world.finals.lock().insert(id, view);
            return;
        }
    }
}
