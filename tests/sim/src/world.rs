//! Builds a cluster from a seed, troubles it, heals it, and reports. Main function: [`run`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use consensus::{Config, Node};
use net::NodeId;
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::StdRng};
use store::{Freshness, Storage, View};
use tokio::sync::watch;
use turmoil::Sim;

use crate::{
    client,
    disk::Machine,
    history::{History, Operation},
    network::{SimDial, host, serve},
    plan::{Act, Plan},
    watcher::{Change, Seen},
};

/// Longest virtual time for founding the cluster, and again for coming to rest after the faults.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a leader looks whether all nodes vote yet.
const FOUNDING_PERIOD: Duration = Duration::from_millis(200);

/// Seeds of one test run where none is given.
const SEEDS: u64 = 3;

/// Shorter than in production, so that runs come to rest sooner.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(4);

fn config() -> Config {
    Config { propose_timeout: PROPOSE_TIMEOUT, ..Config::default() }
}

/// What a run leaves to be judged.
#[derive(Debug)]
pub struct Report {
    /// The seed, to be printed with every complaint.
    pub seed: u64,
    /// What clients did and saw.
    pub operations: Vec<Operation>,
    /// What each node's watcher was told.
    pub watchers: Vec<Vec<Change>>,
    /// What each node holds in the end.
    pub finals: Vec<View>,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Real time that it took.
    pub real: Duration,
}

/// The seeds of a test: `SIM_SEED` alone, or some fixed ones.
///
/// # Panics
/// Where `SIM_SEED` is not a number.
pub fn seeds() -> Vec<u64> {
    match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIM_SEED is a number")],
        Err(_) => (1..=SEEDS).collect(),
    }
}

/// What the stages of a run go through; clients and nodes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Founding,
    Chaos,
    Rest,
}

/// What outlives a node's crash.
struct World {
    plan: Plan,
    seed: u64,
    stage: watch::Sender<Stage>,
    history: History,
    machines: BTreeMap<u64, Arc<Machine>>,
    seen: BTreeMap<u64, Seen>,
    nodes: Mutex<BTreeMap<u64, Arc<Node>>>,
    finals: Mutex<BTreeMap<u64, View>>,
    lives: Mutex<u32>,
}

/// Runs one cluster through chaos and healing.
///
/// # Panics
/// Where it does not come to rest, or a node breaks; the seed is printed.
pub fn run(seed: u64, plan: &Plan) -> Report {
    let began = Instant::now();
    consensus::seed_thread(seed);
    let world = Arc::new(World::new(seed, plan));
    let mut sim = build(seed, &world);
    world.found(&mut sim);
    world.stage.send_replace(Stage::Chaos);
    world.trouble(&mut sim);
    world.stage.send_replace(Stage::Rest);
    world.rest(&mut sim);
    let simulated = sim.elapsed();
    drop(sim);
    Report {
        seed,
        operations: world.history.operations(),
        watchers: world.seen.values().map(Seen::changes).collect(),
        finals: world.finals.lock().values().cloned().collect(),
        simulated,
        real: began.elapsed(),
    }
}

fn build(seed: u64, world: &Arc<World>) -> Sim<'static> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(Duration::from_millis(8))
        .tcp_capacity(4096)
        .ephemeral_ports(1024..=65535)
        .build();
    for id in 1..=world.plan.nodes {
        let world = world.clone();
        sim.host(host(NodeId(id)), move || live(world.clone(), id));
    }
    sim
}

/// One life of a node: from power-on to crash.
async fn live(world: Arc<World>, id: u64) -> turmoil::Result {
    let dial = Arc::new(SimDial(NodeId(id)));
    let node = Arc::new(Node::start(NodeId(id), config(), world.machines[&id].power_on(), dial).await?);
    world.nodes.lock().insert(id, node.clone());
    if id == 1 {
        let _ = node.initialize().await; // refused in later lives
    }
    tokio::spawn(found(node.clone(), world.plan.nodes));
    tokio::spawn(world.seen[&id].clone().watch(node.clone()));
    tokio::spawn(clients(world.clone(), node.clone()));
    tokio::spawn(final_read(world.clone(), id, node.clone()));
    let served = serve(node.raft_service(), node.rpc_service());
    tokio::select! {
        biased;
        broken = node.broken() => Err(broken.into()),
        served = served => Ok(served?),
    }
}

/// Makes all nodes voters, on whichever node leads.
async fn found(node: Arc<Node>, count: u64) {
    let all: BTreeSet<NodeId> = (1..=count).map(NodeId).collect();
    loop {
        let status = node.status();
        if node.leadership().borrow().own_first_entry_applied && (status.voters != all || status.changing) {
            let known: BTreeSet<NodeId> = status.voters.union(&status.learners).copied().collect();
            for id in all.difference(&known) {
                let _ = node.add_learner(*id).await; // tried again
            }
            if known == all && status.followers.iter().all(|follower| follower.caught_up) {
                let _ = node.change_voters(all.clone()).await; // tried again
            }
        }
        tokio::time::sleep(FOUNDING_PERIOD).await;
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
        running.spawn(client::work(node.clone(), world.history.clone(), client, seed));
    }
    let _ = stage.wait_for(|stage| *stage >= Stage::Rest).await;
}

/// Once the faults are over: what this node holds, after all that was acknowledged.
async fn final_read(world: Arc<World>, id: u64, node: Arc<Node>) {
    let mut stage = world.stage.subscribe();
    let _ = stage.wait_for(|stage| *stage >= Stage::Rest).await;
    tokio::time::sleep(PROPOSE_TIMEOUT + Duration::from_secs(1)).await; // the last proposals end
    loop {
        if let Ok(view) = node.read(Freshness::Linearizable).await {
            world.finals.lock().insert(id, view);
            return;
        }
    }
}

impl World {
    fn new(seed: u64, plan: &Plan) -> Self {
        let ids = 1..=plan.nodes;
        Self {
            plan: plan.clone(),
            seed,
            stage: watch::Sender::new(Stage::Founding),
            history: History::default(),
            machines: ids.clone().map(|id| (id, Arc::new(Machine::new(seed << 8 | id, plan.bug)))).collect(),
            seen: ids.map(|id| (id, Seen::default())).collect(),
            nodes: Mutex::default(),
            finals: Mutex::default(),
            lives: Mutex::default(),
        }
    }

    fn step_until(&self, sim: &mut Sim<'_>, what: &str, done: impl Fn() -> bool) {
        let end = sim.elapsed() + PATIENCE;
        while !done() {
            self.step(sim);
            assert!(sim.elapsed() < end, "seed {}: {what} took over {PATIENCE:?}", self.seed);
        }
    }

    fn step(&self, sim: &mut Sim<'_>) {
        if let Err(error) = sim.step() {
            panic!("seed {}: at {:?}: {error}", self.seed, sim.elapsed());
        }
    }

    fn found(&self, sim: &mut Sim<'_>) {
        let all: BTreeSet<NodeId> = (1..=self.plan.nodes).map(NodeId).collect();
        self.step_until(sim, "founding", || {
            let nodes = self.nodes.lock();
            let founded = |node: &Arc<Node>| {
                let status = node.status();
                status.voters == all && !status.changing
            };
            nodes.len() as u64 == self.plan.nodes && nodes.values().all(founded)
        });
    }

    fn trouble(&self, sim: &mut Sim<'_>) {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let end = sim.elapsed() + self.plan.chaos;
        let mut next = sim.elapsed();
        let mut down: BTreeMap<u64, Duration> = BTreeMap::new();
        while sim.elapsed() < end {
            if sim.elapsed() >= next {
                let act = self.plan.draw(&mut rng);
                self.perform(sim, &act, &mut down);
                next = sim.elapsed() + self.plan.pause(&mut rng);
            }
            let now = sim.elapsed();
            let due: Vec<u64> = down.iter().filter(|(_, up)| **up <= now).map(|(id, _)| *id).collect();
            for id in due {
                down.remove(&id);
                sim.bounce(host(NodeId(id)));
            }
            self.step(sim);
        }
        down.into_keys().for_each(|id| sim.bounce(host(NodeId(id))));
    }

    fn perform(&self, sim: &mut Sim<'_>, act: &Act, down: &mut BTreeMap<u64, Duration>) {
        tracing::info!(at = ?sim.elapsed(), ?act, "fault");
        match act {
            Act::Crash(ids, length) => {
                for id in ids {
                    if down.insert(*id, sim.elapsed() + *length).is_none() {
                        self.crash(sim, *id);
                    }
                }
            }
            Act::Cut(pairs) => {
                for (from, to) in pairs {
                    sim.partition_oneway(host(NodeId(*from)), host(NodeId(*to)));
                }
            }
            Act::Heal => self.heal(sim),
            Act::Slow(id, delay) => self.machines[id].slow_down(*delay),
        }
    }

    fn crash(&self, sim: &mut Sim<'_>, id: u64) {
        sim.crash(host(NodeId(id)));
        self.nodes.lock().remove(&id);
        self.machines[&id].cut_power();
    }

    fn heal(&self, sim: &mut Sim<'_>) {
        for a in 1..=self.plan.nodes {
            for b in (1..=self.plan.nodes).filter(|b| *b != a) {
                sim.repair_oneway(host(NodeId(a)), host(NodeId(b)));
            }
        }
    }

    fn rest(&self, sim: &mut Sim<'_>) {
        self.heal(sim);
        self.machines.values().for_each(|machine| machine.slow_down(Duration::ZERO));
        self.step_until(sim, "coming to rest", || self.finals.lock().len() as u64 == self.plan.nodes);
        let newest = |changes: &Seen| changes.changes().last().map(|change| change.revision);
        self.step_until(sim, "the watchers' last news", || {
            let mut told = self.seen.values().map(newest);
            let first = told.next();
            told.all(|last| Some(last) == first)
        });
    }
}
