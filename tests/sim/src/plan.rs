//! What a run does, and the faults it draws. Main type: [`Plan`].

use std::time::Duration;

use consensus::SeededBug;
use rand::{RngExt, rngs::StdRng, seq::IteratorRandom};

/// Shortest and longest pause between two faults.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(2500));

/// Longest time that a crashed node stays down.
const DOWN: Duration = Duration::from_secs(4);

/// Size and length of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Nodes, all of them voters.
    pub nodes: u64,
    /// Clients on each.
    pub clients: u32,
    /// How long faults happen, in virtual time.
    pub chaos: Duration,
    /// Which faults happen.
    pub faults: Vec<Fault>,
    /// A bug put in on purpose, which the run must find.
    pub bug: Option<SeededBug>,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node loses power, and with it what was not synced; it comes back.
    Crash,
    /// All nodes lose power at once and come back.
    Blackout,
    /// One node is cut off from all others.
    Isolate,
    /// The nodes fall into two groups.
    Split,
    /// One node's messages to another get lost, not those back.
    OneWay,
    /// The network is whole again.
    Heal,
    /// A disk takes long for each sync.
    SlowDisk,
}

/// A fault with its details drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These nodes lose power, for so long.
    Crash(Vec<u64>, Duration),
    /// Messages from the one to the other get lost.
    Cut(Vec<(u64, u64)>),
    /// The network is whole again.
    Heal,
    /// This node's disk takes that long for each sync.
    Slow(u64, Duration),
}

impl Default for Plan {
    fn default() -> Self {
        use Fault::{Blackout, Crash, Heal, Isolate, OneWay, SlowDisk, Split};
        let faults = vec![Crash, Crash, Crash, Isolate, Split, OneWay, Heal, Heal, SlowDisk, Blackout];
        Self { nodes: 3, clients: 3, chaos: Duration::from_secs(12), faults, bug: None }
    }
}

impl Plan {
    /// The time until the next fault.
    pub(crate) fn pause(&self, rng: &mut StdRng) -> Duration {
        rng.random_range(PAUSE.0..PAUSE.1)
    }

    /// The next fault.
    pub(crate) fn draw(&self, rng: &mut StdRng) -> Act {
        let fault = self.faults.iter().choose(rng).copied().unwrap_or(Fault::Heal);
        let nodes = 1..=self.nodes;
        let one = rng.random_range(nodes.clone());
        let other = (one + rng.random_range(0..self.nodes - 1)) % self.nodes + 1;
        let down = DOWN.mul_f64(rng.random());
        match fault {
            Fault::Crash => Act::Crash(vec![one], down),
            Fault::Blackout => Act::Crash(nodes.collect(), down),
            Fault::Isolate => Act::Cut(between(nodes, |node| node == one)),
            Fault::Split => {
                let sides: u64 = rng.random();
                Act::Cut(between(nodes, |node| sides >> node & 1 == 1))
            }
            Fault::OneWay => Act::Cut(vec![(one, other)]),
            Fault::Heal => Act::Heal,
            Fault::SlowDisk => Act::Slow(one, Duration::from_millis(rng.random_range(0..60))),
        }
    }
}

/// All pairs of nodes on different sides.
fn between(nodes: std::ops::RangeInclusive<u64>, side: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
    let pairs = nodes.clone().flat_map(|a| nodes.clone().map(move |b| (a, b)));
    pairs.filter(|(a, b)| side(*a) != side(*b)).collect()
}
