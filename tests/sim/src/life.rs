//! What runs on one simulated machine from power-on to crash: the node, its clients, its watcher. Main function: [`live`].

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use consensus::{Config, Node};
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

/// How often a leader looks whether all nodes vote yet.
const FOUNDING_PERIOD: Duration = Duration::from_millis(200);

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

/// One life of a node: from power-on to crash. One whose agreement ends by itself stays as it is, and is told of.
pub(crate) async fn live(world: Arc<World>, id: u64) -> turmoil::Result {
    let flaw = world.plan.flaw;
    let machine = world.machines[&id].clone();
    tokio::spawn(machine.clone().keep_time());
    let node = loop {
        let dial = Arc::new(SimDial::new(NodeId(id), flaw, world.weather.clone()));
        match Node::start(NodeId(id), config(flaw), machine.power_on(), dial).await {
            Ok(node) => break Arc::new(node),
            Err(_) if machine.is_full() => sleep(RESTART_PAUSE).await,
            Err(error) => return world.breaks(id, &error.to_string()).await,
        }
    };
    world.nodes.lock().insert(id, node.clone());
    if id == 1 {
        let _ = node.initialize().await; // refused in later lives
    }
    tokio::spawn(found(node.clone(), world.plan.nodes, flaw));
    tokio::spawn(world.seen[&id].clone().watch(node.clone(), flaw));
    tokio::spawn(clients(world.clone(), node.clone()));
    tokio::spawn(final_read(world.clone(), id, node.clone()));
    let served = serve(node.raft_service(), node.rpc_service(), world.weather.clone());
    tokio::select! {
        biased;
        broken = node.broken() => world.breaks(id, &broken.to_string()).await,
        served = served => Ok(served?),
    }
}

/// Makes all nodes voters, on whichever node leads.
async fn found(node: Arc<Node>, count: u64, flaw: Option<Flaw>) {
    let all: BTreeSet<NodeId> = (1..=count).map(NodeId).collect();
    loop {
        let status = node.status();
        if flaw == Some(Flaw::ShrinkVoters) && status.followers.iter().any(|follower| follower.lag > SHRINK_LAG) {
            let dead = status.followers.iter().filter(|follower| follower.lag > SHRINK_LAG).map(|follower| follower.id);
            let rest = status.voters.difference(&dead.collect()).copied().collect();
            let _ = node.change_voters(rest).await; // a flaw needs no second try
        }
        if node.leadership().borrow().own_first_entry_applied && (status.voters != all || status.changing) {
            let known: BTreeSet<NodeId> = status.voters.union(&status.learners).copied().collect();
            for id in all.difference(&known) {
                let _ = node.add_learner(*id).await; // tried again
            }
            if known == all && status.followers.iter().all(|follower| follower.caught_up) {
                let _ = node.change_voters(all.clone()).await; // tried again
            }
        }
        sleep(FOUNDING_PERIOD).await;
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
