//! [`net::dataplane::reach::Reach`] on every node of a world in which nodes die, and paths break alone, in groups and on
//! one side. Main function: [`run`].
//!
//! Judged for every node that runs, at every step: who is dead is not used, unless it is this node that looks cut off; who
//! has been reachable for long is used; while cut off nothing changes; and a node that is not cut off has at most half of
//! its peers dead (with one peer, that one).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use net::{NodeId, dataplane::reach::Reach, overlay::PathState};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Account;

/// Between two looks.
const STEP: Duration = Duration::from_millis(250);

/// Silence after which the overlay calls a path dead.
const DEAD_AFTER: Duration = Duration::from_secs(3);

/// A path that held so long must be used again, whatever its past: the longest hysteresis, what it takes until the path
/// is first heard of, and a step.
const USED_AFTER: Duration = Duration::from_secs(65);

/// How long a world lives.
const LIFE: Duration = Duration::from_secs(3600);

/// Longest time that a fault lasts.
const FAULT: Duration = Duration::from_secs(150);

/// Chance of a fault in one step.
const FAULT_CHANCE: f64 = 0.01;

/// Chance that a sign of life arrives within one step of a path that works.
const HEARD_CHANCE: f64 = 0.7;

/// One node's view of the others.
#[derive(Debug, Default)]
struct Observer {
    reach: Reach,
    heard: BTreeMap<NodeId, Duration>,
    /// Since when each path has worked without this node looking cut off.
    sound_since: BTreeMap<NodeId, Duration>,
}

/// Ends of faults: until then the node is down, or the path (ordered pair) is broken.
#[derive(Debug, Default)]
struct Truth {
    down: BTreeMap<NodeId, Duration>,
    broken: BTreeMap<(NodeId, NodeId), Duration>,
}

impl Truth {
    fn is_up(&self, id: NodeId, now: Duration) -> bool {
        self.down.get(&id).is_none_or(|end| *end <= now)
    }

    fn hears(&self, to: NodeId, from: NodeId, now: Duration) -> bool {
        self.is_up(from, now) && self.broken.get(&(to, from)).is_none_or(|end| *end <= now)
    }

    fn trouble(&mut self, nodes: &[NodeId], now: Duration, rng: &mut StdRng) {
        let end = now + FAULT.mul_f64(rng.random());
        let one = nodes[rng.random_range(0..nodes.len())];
        match rng.random_range(0..4) {
            0 => drop(self.down.insert(one, end)),
            1 => self.split(nodes, end, |id| id == one),
            2 => {
                let sides: u64 = rng.random();
                self.split(nodes, end, |id| sides >> id.0 & 1 == 1);
            }
            _ => drop(self.broken.insert((one, nodes[rng.random_range(0..nodes.len())]), end)),
        }
    }

    fn split(&mut self, nodes: &[NodeId], end: Duration, side: impl Fn(NodeId) -> bool) {
        let pairs = nodes.iter().flat_map(|a| nodes.iter().map(move |b| (*a, *b)));
        self.broken.extend(pairs.filter(|(a, b)| side(*a) != side(*b)).map(|pair| (pair, end)));
    }
}

/// One hour of one world.
///
/// # Errors
/// The invariant that did not hold, when and where.
pub fn run(seed: u64) -> Result<Account, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let nodes: Vec<NodeId> = (1..=rng.random_range(2..10)).map(NodeId).collect();
    let mut truth = Truth::default();
    let mut observers: BTreeMap<NodeId, Observer> = BTreeMap::new();
    let mut account = Account { simulated: LIFE, ..Account::default() };
    let mut now = Duration::ZERO;
    while now < LIFE {
        now += STEP;
        if rng.random_bool(FAULT_CHANCE) {
            truth.trouble(&nodes, now, &mut rng);
            account.faults += 1;
        }
        for id in &nodes {
            if !truth.is_up(*id, now) {
                observers.remove(id);
                continue;
            }
            let observer = observers.entry(*id).or_default();
            let changed = observer.look(*id, &nodes, &truth, now, &mut rng);
            account.decisions += changed.map_err(|why| format!("seed {seed} at {now:?}, node {id}: {why}"))?;
        }
    }
    Ok(account)
}

impl Observer {
    /// Looks once; returns how many peers are newly withdrawn or used again.
    fn look(
        &mut self,
        own: NodeId,
        nodes: &[NodeId],
        truth: &Truth,
        now: Duration,
        rng: &mut StdRng,
    ) -> Result<u64, String> {
        let mut states = BTreeMap::new();
        for peer in nodes.iter().filter(|peer| **peer != own) {
            if !truth.hears(own, *peer, now) {
                self.sound_since.remove(peer);
            } else if rng.random_bool(HEARD_CHANCE) {
                self.heard.insert(*peer, now);
            }
            let state = match self.heard.get(peer) {
                None => PathState::Unknown,
                Some(last) if now - *last <= DEAD_AFTER => PathState::Alive,
                Some(_) => PathState::Dead,
            };
            if state == PathState::Alive && truth.hears(own, *peer, now) {
                self.sound_since.entry(*peer).or_insert(now);
            }
            states.insert(*peer, state);
        }
        let before = self.reach.withdrawn();
        self.reach.observe(&states, now);
        self.judge(&before, &states, now)?;
        Ok(before.symmetric_difference(&self.reach.withdrawn()).count() as u64)
    }

    fn judge(
        &mut self,
        before: &BTreeSet<NodeId>,
        states: &BTreeMap<NodeId, PathState>,
        now: Duration,
    ) -> Result<(), String> {
        let withdrawn = self.reach.withdrawn();
        if self.reach.is_frozen() {
            self.sound_since.clear();
            return if withdrawn == *before { Ok(()) } else { Err("cut off, and changed its mind".into()) };
        }
        let dead: Vec<&NodeId> =
            states.iter().filter(|(_, state)| **state == PathState::Dead).map(|(id, _)| id).collect();
        if dead.len() > 1 && dead.len() * 2 > states.len() {
            return Err(format!("{} of {} peers are dead, and it does not doubt itself", dead.len(), states.len()));
        }
        if let Some(id) = dead.iter().find(|id| !withdrawn.contains(id)) {
            return Err(format!("{id} is dead and used"));
        }
        let long = |id: &&NodeId| self.sound_since.get(id).is_some_and(|since| now - *since >= USED_AFTER);
        match withdrawn.iter().find(long) {
            Some(id) => Err(format!("{id} has been reachable for {USED_AFTER:?} and is not used")),
            None => Ok(()),
        }
    }
}
