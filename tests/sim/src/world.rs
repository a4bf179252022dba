//! Builds a cluster from a seed, troubles it, heals it, and reports. Main function: [`run`].

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use consensus::Node;
use futures::FutureExt;
use net::NodeId;
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::StdRng};
use store::View;
use tokio::sync::watch;

use crate::{
    chaos::{Chaos, LATENCY},
    disk::Machine,
    flaw::Flaw,
    history::History,
    hosts::Hosts,
    invariants::{one_leader_a_term, quorum_reforms, survival, voters_stay},
    life::live,
    plan::Plan,
    recovery::{Before, SURVIVOR},
    report::Report,
    trace,
    watcher::Seen,
    weather::Weather,
    wire::Wire,
};

/// Longest virtual time for founding the cluster, and again for coming to rest after the faults.
const PATIENCE: Duration = Duration::from_secs(60);

/// Steps between two looks at who votes.
const LOOK_STEPS: u64 = 16;

/// What the stages of a run go through; clients and nodes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Founding,
    Chaos,
    Rest,
}

/// What outlives a node's crash.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) seed: u64,
    pub(crate) stage: watch::Sender<Stage>,
    pub(crate) weather: Weather,
    pub(crate) wire: Wire,
    pub(crate) history: History,
    pub(crate) machines: BTreeMap<u64, Arc<Machine>>,
    pub(crate) seen: BTreeMap<u64, Seen>,
    pub(crate) nodes: Mutex<BTreeMap<u64, Arc<Node>>>,
    pub(crate) finals: Mutex<BTreeMap<u64, View>>,
    pub(crate) lives: Mutex<u32>,
    pub(crate) before: Mutex<Option<Before>>,
    steps: Mutex<u64>,
    /// Each node's progress and term as last noted.
    noted: Mutex<BTreeMap<u64, (u64, u64)>>,
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
    let mut sim = build(&world).expect("a runtime needs nothing that the system may refuse");
    let gone = |number| drop(world.nodes.lock().remove(&number));
    let mut chaos =
        Chaos::new(&world.machines, &world.weather, gone, |number| world.may_be_lost(number), || world.all_caught_up());
    if world.found(&mut sim) {
        world.stage.send_replace(Stage::Chaos);
        world.trouble(&mut sim, &mut chaos);
        if plan.recovers {
            world.lose_the_voter(&mut sim, &mut chaos);
            world.trouble(&mut sim, &mut chaos);
        }
        world.stage.send_replace(Stage::Rest);
        chaos.rest(&mut sim);
        world.rest(&mut sim);
    }
    let faults = std::mem::take(&mut chaos.counts);
    let simulated = sim.elapsed();
    drop(sim);
    world.report(simulated, began.elapsed(), faults)
}

fn build(world: &Arc<World>) -> io::Result<Hosts<'static>> {
    let software = {
        let world = world.clone();
        move |number| live(world.clone(), number).boxed()
    };
    let mut hosts = Hosts::new(world.wire.clone(), software);
    (1..=world.plan.nodes).try_for_each(|number| hosts.start(number))?;
    Ok(hosts)
}

impl World {
    fn new(seed: u64, plan: &Plan) -> Self {
        let ids = 1..=plan.nodes;
        Self {
            plan: plan.clone(),
            seed,
            stage: watch::Sender::new(Stage::Founding),
            weather: Weather::new(seed),
            wire: Wire::new(seed, LATENCY),
            history: History::default(),
            machines: ids
                .clone()
                .map(|id| (id, Arc::new(Machine::new(seed, id, plan.flaw.and_then(Flaw::within)))))
                .collect(),
            seen: ids.map(|id| (id, Seen::default())).collect(),
            nodes: Mutex::default(),
            finals: Mutex::default(),
            lives: Mutex::default(),
            before: Mutex::default(),
            steps: Mutex::default(),
            noted: Mutex::default(),
            leaders: Mutex::default(),
            broken: Mutex::default(),
            observed: Mutex::default(),
        }
    }

    /// The node that each machine is now, unless it is forgotten.
    pub(crate) fn ids(&self) -> BTreeSet<NodeId> {
        self.machines.values().map(|machine| machine.id()).filter(|id| !self.is_forgotten(*id)).collect()
    }

    /// Those of them that are to vote.
    pub(crate) fn voters(&self) -> BTreeSet<NodeId> {
        let voters = self.machines.iter().filter(|(number, _)| self.votes(**number));
        voters.map(|(_, machine)| machine.id()).collect()
    }

    /// Whether the node of this machine is to vote.
    fn votes(&self, number: u64) -> bool {
        if self.before.lock().is_some() { number == SURVIVOR } else { number <= self.plan.voters }
    }

    /// Whether this machine's disk may be lost: it follows only, or a leader knows more than two voters with all of the log.
    fn may_be_lost(&self, number: u64) -> bool {
        if !self.votes(number) {
            return true;
        }
        let all = self.voters();
        let leads = |node: &Node| node.leadership().borrow().own_first_entry_applied;
        let whole = |node: &Arc<Node>| {
            let status = node.status();
            status.voters == all && !status.changing
        };
        all.len() > 2 && self.nodes.lock().values().filter(|node| leads(node)).any(whole)
    }

    /// Whether a leader knows of all machines that they are there and have all of the log.
    pub(crate) fn all_caught_up(&self) -> bool {
        let all = self.ids();
        let knows = |node: &Arc<Node>| {
            let status = node.status();
            let ready = status.followers.iter().filter(|follower| follower.caught_up && follower.lag == 0);
            node.leadership().borrow().own_first_entry_applied && ready.count() + 1 == all.len()
        };
        self.nodes.lock().len() == all.len() && self.nodes.lock().values().any(knows)
    }

    pub(crate) fn observe(&self, invariant: &'static str, complaint: String) {
        let mut observed = self.observed.lock();
        if !observed.iter().any(|(name, _)| *name == invariant) {
            observed.push((invariant, complaint));
        }
    }

    /// The agreement of this node has ended although its disk is as it was promised to be.
    pub(crate) async fn breaks(&self, id: u64, why: &str) -> io::Result<()> {
        if !self.machines[&id].is_off() {
            self.observe("survival", survival::ended(id, why));
            self.broken.lock().insert(id);
        }
        std::future::pending().await
    }

    /// Steps until something is so, or complains.
    pub(crate) fn step_until(&self, sim: &mut Hosts<'_>, what: &str, done: impl Fn() -> bool) -> bool {
        let end = sim.elapsed() + PATIENCE;
        while !done() {
            self.step(sim);
            if sim.elapsed() >= end {
                let states: Vec<_> = self.nodes.lock().iter().map(|(id, node)| (*id, node.status())).collect();
                self.observe("quorum_reforms", quorum_reforms::late(what, PATIENCE, states));
                return false;
            }
        }
        true
    }

    pub(crate) fn step(&self, sim: &mut Hosts<'_>) {
        if let Err(error) = sim.step() {
            self.observe("survival", survival::died(sim.elapsed(), error));
        }
        *self.steps.lock() += 1;
        let look = self.steps.lock().is_multiple_of(LOOK_STEPS);
        for (id, node) in &*self.nodes.lock() {
            let leadership = *node.leadership().borrow();
            let progress = (node.progress().borrow().index, leadership.term);
            if self.noted.lock().insert(*id, progress) != Some(progress) {
                trace::note("progress", (id, progress));
            }
            if leadership.leader == Some(self.machines[id].id()) {
                self.judge_leader(*id, node, leadership.term, look);
            }
        }
    }

    fn judge_leader(&self, id: u64, node: &Node, term: u64, look: bool) {
        if let Err(complaint) = one_leader_a_term::judge(&mut self.leaders.lock(), term, id) {
            self.observe("one_leader_a_term", complaint);
        }
        if look
            && *self.stage.borrow() > Stage::Founding
            && let Err(complaint) = voters_stay::judge(&node.status(), self.plan.voters)
        {
            self.observe("voters_stay", complaint);
        }
    }

    fn found(&self, sim: &mut Hosts<'_>) -> bool {
        let (all, voters) = (self.ids(), self.voters());
        self.step_until(sim, "founding", || {
            let nodes = self.nodes.lock();
            let founded = |node: &Arc<Node>| {
                let status = node.status();
                status.voters == voters
                    && !status.changing
                    && all.difference(&voters).all(|id| status.learners.contains(id))
            };
            nodes.len() as u64 == self.plan.nodes && nodes.values().all(founded)
        })
    }

    fn trouble(&self, sim: &mut Hosts<'_>, chaos: &mut Chaos<'_>) {
        let again = u64::from(self.before.lock().is_some()); // other faults than before
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(again));
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

    fn rest(&self, sim: &mut Hosts<'_>) {
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
            before: self.before.lock().take(),
            simulated,
            real,
        }
    }
}
