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
    chaos::{Chaos, LATENCY},
    client,
    disk::Machine,
    history::{History, Operation},
    network::{SimDial, host, serve},
    plan::{Flaw, Plan},
    trace,
    watcher::{Change, Seen},
};

/// Longest virtual time for founding the cluster, and again for coming to rest after the faults.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a leader looks whether all nodes vote yet.
const FOUNDING_PERIOD: Duration = Duration::from_millis(200);

/// Seeds of one test run where none is given.
const SEEDS: u64 = 3;

/// Virtual time of one step: what the network is precise to.
const TICK: Duration = Duration::from_millis(2);

/// Steps between two looks at who votes.
const LOOK_STEPS: u64 = 64;

/// A follower this far behind counts as dead; used by [`Flaw::ShrinkVoters`] only.
const SHRINK_LAG: u64 = 4;

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
    /// What was seen to be wrong while it ran: invariant and complaint.
    pub observed: Vec<(&'static str, String)>,
    /// Hash of all that happened, in its order.
    pub trace: u64,
    /// How often each kind of fault happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// What the watcher of each node was told whose agreement did not end.
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
    steps: Mutex<u64>,
    /// Who led in each term.
    leaders: Mutex<BTreeMap<u64, u64>>,
    /// Nodes whose agreement ended by itself.
    broken: Mutex<BTreeSet<u64>>,
    observed: Mutex<Vec<(&'static str, String)>>,
}

/// Runs one cluster through chaos and healing. What goes wrong on the way is in the report.
pub fn run(seed: u64, plan: &Plan) -> Report {
    let began = Instant::now();
    consensus::seed_thread(seed);
    trace::start();
    let world = Arc::new(World::new(seed, plan));
    let mut sim = build(seed, &world);
    let mut chaos = Chaos::new(&world.machines, |id| drop(world.nodes.lock().remove(&id)));
    if world.found(&mut sim) {
        world.stage.send_replace(Stage::Chaos);
        world.trouble(&mut sim, &mut chaos);
        world.stage.send_replace(Stage::Rest);
        chaos.rest(&mut sim);
        world.rest(&mut sim);
    }
    let faults = std::mem::take(&mut chaos.counts);
    let simulated = sim.elapsed();
    drop(sim);
    world.report(simulated, began.elapsed(), faults)
}

fn build(seed: u64, world: &Arc<World>) -> Sim<'static> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(LATENCY)
        .tick_duration(TICK)
        .tcp_capacity(4096)
        .ephemeral_ports(1024..=65535)
        .build();
    for id in 1..=world.plan.nodes {
        let world = world.clone();
        sim.host(host(NodeId(id)), move || live(world.clone(), id));
    }
    sim
}

/// One life of a node: from power-on to crash. One whose agreement ends by itself stays as it is, and is told of.
async fn live(world: Arc<World>, id: u64) -> turmoil::Result {
    let flaw = world.plan.flaw;
    let dial = Arc::new(SimDial::new(NodeId(id), flaw));
    let node = match Node::start(NodeId(id), config(), world.machines[&id].power_on(), dial).await {
        Ok(node) => Arc::new(node),
        Err(error) => return world.breaks(id, &error.to_string()).await,
    };
    world.nodes.lock().insert(id, node.clone());
    if id == 1 {
        let _ = node.initialize().await; // refused in later lives
    }
    tokio::spawn(found(node.clone(), world.plan.nodes, flaw));
    tokio::spawn(world.seen[&id].clone().watch(node.clone(), flaw));
    tokio::spawn(clients(world.clone(), node.clone()));
    tokio::spawn(final_read(world.clone(), id, node.clone()));
    let served = serve(node.raft_service(), node.rpc_service());
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
        running.spawn(client::work(node.clone(), world.history.clone(), client, seed, world.plan.flaw));
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
            machines: ids
                .clone()
                .map(|id| (id, Arc::new(Machine::new(seed << 8 | id, plan.flaw.and_then(Flaw::within)))))
                .collect(),
            seen: ids.map(|id| (id, Seen::default())).collect(),
            nodes: Mutex::default(),
            finals: Mutex::default(),
            lives: Mutex::default(),
            steps: Mutex::default(),
            leaders: Mutex::default(),
            broken: Mutex::default(),
            observed: Mutex::default(),
        }
    }

    fn observe(&self, invariant: &'static str, complaint: String) {
        let mut observed = self.observed.lock();
        if !observed.iter().any(|(name, _)| *name == invariant) {
            observed.push((invariant, complaint));
        }
    }

    /// The agreement of this node has ended although its disk is as it was promised to be.
    async fn breaks(&self, id: u64, why: &str) -> turmoil::Result {
        if !self.machines[&id].is_off() {
            self.observe("survival", format!("node {id}: {why}"));
            self.broken.lock().insert(id);
        }
        std::future::pending().await
    }

    /// Steps until something is so, or complains.
    fn step_until(&self, sim: &mut Sim<'_>, what: &str, done: impl Fn() -> bool) -> bool {
        let end = sim.elapsed() + PATIENCE;
        while !done() {
            self.step(sim);
            if sim.elapsed() >= end {
                self.observe("quorum_reforms", format!("{what} took over {PATIENCE:?}"));
                return false;
            }
        }
        true
    }

    fn step(&self, sim: &mut Sim<'_>) {
        if let Err(error) = sim.step() {
            self.observe("survival", format!("at {:?}: {error}", sim.elapsed()));
        }
        *self.steps.lock() += 1;
        let look = self.steps.lock().is_multiple_of(LOOK_STEPS);
        for (id, node) in &*self.nodes.lock() {
            let leadership = *node.leadership().borrow();
            trace::note("progress", (id, node.progress().borrow().index, leadership.term));
            if leadership.own_first_entry_applied {
                self.judge_leader(*id, node, leadership.term, look);
            }
        }
    }

    /// One leader a term (Raft §5.2), and no voter fewer for all that fails.
    fn judge_leader(&self, id: u64, node: &Node, term: u64, look: bool) {
        let first = *self.leaders.lock().entry(term).or_insert(id);
        if first != id {
            self.observe("one_leader_a_term", format!("term {term} is led by {first} and by {id}"));
        }
        if look && *self.stage.borrow() > Stage::Founding {
            let voters = node.status().voters.len() as u64;
            if voters < self.plan.nodes {
                self.observe("voters_stay", format!("{voters} of {} nodes vote", self.plan.nodes));
            }
        }
    }

    fn found(&self, sim: &mut Sim<'_>) -> bool {
        let all: BTreeSet<NodeId> = (1..=self.plan.nodes).map(NodeId).collect();
        self.step_until(sim, "founding", || {
            let nodes = self.nodes.lock();
            let founded = |node: &Arc<Node>| {
                let status = node.status();
                status.voters == all && !status.changing
            };
            nodes.len() as u64 == self.plan.nodes && nodes.values().all(founded)
        })
    }

    fn trouble(&self, sim: &mut Sim<'_>, chaos: &mut Chaos<'_>) {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let end = sim.elapsed() + self.plan.chaos;
        let mut next = sim.elapsed();
        while sim.elapsed() < end {
            if sim.elapsed() >= next {
                chaos.perform(sim, &self.plan.draw(&mut rng));
                next = sim.elapsed() + self.plan.pause(&mut rng);
            }
            let now = sim.elapsed();
            chaos.follow_up(sim, now);
            self.step(sim);
        }
    }

    fn rest(&self, sim: &mut Sim<'_>) {
        let whole = |id: &u64| !self.broken.lock().contains(id);
        let all_read = || self.machines.keys().filter(|id| whole(id)).all(|id| self.finals.lock().contains_key(id));
        if !self.step_until(sim, "coming to rest", all_read) {
            return;
        }
        let newest = |changes: &Seen| changes.changes().last().map(|change| change.revision);
        self.step_until(sim, "the watchers' last news", || {
            let mut told = self.seen.iter().filter(|(id, _)| whole(id)).map(|(_, seen)| newest(seen));
            let first = told.next();
            told.all(|last| Some(last) == first)
        });
    }

    fn report(&self, simulated: Duration, real: Duration, faults: BTreeMap<&'static str, u64>) -> Report {
        let broken = self.broken.lock().clone();
        Report {
            seed: self.seed,
            operations: self.history.operations(),
            observed: self.observed.lock().clone(),
            trace: trace::finish(),
            faults,
            watchers: self.seen.iter().filter(|(id, _)| !broken.contains(id)).map(|(_, seen)| seen.changes()).collect(),
            finals: self.finals.lock().values().cloned().collect(),
            simulated,
            real,
        }
    }
}
