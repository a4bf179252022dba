//! What a run does, and the faults it draws. Main type: [`Plan`].

use std::time::Duration;

use consensus::SeededBug;
use rand::{RngExt, rngs::StdRng, seq::IteratorRandom};

/// Shortest and longest pause between two faults.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(2500));

/// Longest time that a crashed node stays down.
const DOWN: Duration = Duration::from_secs(4);

/// Longest time between two changes of a path that flaps.
const FLAP: Duration = Duration::from_millis(900);

/// Longest time that messages are held back.
const STALL: Duration = Duration::from_millis(2500);

/// Longest time that a message takes on a slow path: below an election timeout, and above.
const DELAY: Duration = Duration::from_millis(400);

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
    pub flaw: Option<Flaw>,
}

/// A bug put in on purpose: two in the agreement, the others where this simulation stands in for a part of a node or
/// for whoever uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Entries count as durable before they are synced.
    AcknowledgeBeforeSync,
    /// Votes count as durable before they are synced.
    ForgetVotes,
    /// Reads that should be linearizable answer with whatever the node has.
    StaleReads,
    /// A write with an unclear outcome is sent again under a new request id.
    RetryUnderNewId,
    /// A write with an unclear outcome is acknowledged.
    AcknowledgeUnclear,
    /// A write with an unclear outcome is said not to have happened.
    DenyUnclear,
    /// A watch resumed misses the next change.
    WatchSkips,
    /// A watch resumed repeats the last change.
    WatchRepeats,
    /// Voters that do not answer are taken out instead of counted.
    ShrinkVoters,
    /// A peer that could not be reached once is never called again.
    ForgetPeers,
}

impl Flaw {
    /// All there are.
    pub const ALL: [Self; 10] = [
        Self::AcknowledgeBeforeSync,
        Self::ForgetVotes,
        Self::StaleReads,
        Self::RetryUnderNewId,
        Self::AcknowledgeUnclear,
        Self::DenyUnclear,
        Self::WatchSkips,
        Self::WatchRepeats,
        Self::ShrinkVoters,
        Self::ForgetPeers,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeSync => "acknowledge-before-sync",
            Self::ForgetVotes => "forget-votes",
            Self::StaleReads => "stale-reads",
            Self::RetryUnderNewId => "retry-under-new-id",
            Self::AcknowledgeUnclear => "acknowledge-unclear",
            Self::DenyUnclear => "deny-unclear",
            Self::WatchSkips => "watch-skips",
            Self::WatchRepeats => "watch-repeats",
            Self::ShrinkVoters => "shrink-voters",
            Self::ForgetPeers => "forget-peers",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.name() == name)
    }

    /// Those that the agreement itself has a switch for.
    pub(crate) fn within(self) -> Option<SeededBug> {
        match self {
            Self::AcknowledgeBeforeSync => Some(SeededBug::AcknowledgeBeforeSync),
            Self::ForgetVotes => Some(SeededBug::ForgetVotes),
            _ => None,
        }
    }
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node's process is killed; what was written stays, synced or not. It comes back.
    Kill,
    /// A node loses power in the middle of one of its next changes to the disk; it comes back.
    Torn,
    /// Two nodes cannot hear each other; all others can.
    Partial,
    /// Two nodes lose and find each other several times.
    Flap,
    /// All messages of one node are held back, and then arrive at once.
    Stall,
    /// Messages between two nodes take long.
    Delay,
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// These processes are killed, for so long.
    Kill(Vec<u64>, Duration),
    /// This node loses power at its so-manieth change of the disk from now, and is down for so long.
    Torn(u64, u64, Duration),
    /// These two lose each other now and find each other again after this time, so many times.
    Flap(u64, u64, Duration, u32),
    /// All messages of this node are held back for so long.
    Stall(u64, Duration),
    /// Messages between these two take so long.
    Delay(u64, u64, Duration),
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
        use Fault::{Blackout, Crash, Delay, Flap, Heal, Isolate, Kill, OneWay, Partial, SlowDisk, Split, Stall, Torn};
        let faults = vec![
            Crash, Crash, Kill, Kill, Torn, Isolate, Split, OneWay, Partial, Flap, Stall, Delay, Heal, Heal, Heal,
            SlowDisk, Blackout,
        ];
        Self { nodes: 3, clients: 3, chaos: Duration::from_secs(12), faults, flaw: None }
    }
}

impl Plan {
    /// The plan in which this flaw shows soonest.
    pub fn of(flaw: Option<Flaw>) -> Self {
        let faults = match flaw {
            Some(Flaw::AcknowledgeBeforeSync | Flaw::ForgetVotes) => vec![Fault::Blackout, Fault::SlowDisk],
            _ => Self::default().faults,
        };
        Self { faults, flaw, ..Self::default() }
    }
}

impl Act {
    /// Its kind, for the figures.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Kill(..) => "kill",
            Self::Torn(..) => "torn write",
            Self::Flap(..) => "flapping",
            Self::Stall(..) => "stall",
            Self::Delay(..) => "delay",
            Self::Crash(nodes, _) if nodes.len() > 1 => "blackout",
            Self::Crash(..) => "power cut",
            Self::Cut(pairs) if pairs.len() == 1 => "one-way",
            Self::Cut(_) => "partition",
            Self::Heal => "heal",
            Self::Slow(..) => "slow disk",
        }
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
            Fault::Kill => Act::Kill(vec![one], down),
            Fault::Torn => Act::Torn(one, rng.random_range(0..8), down),
            Fault::Partial => Act::Cut(vec![(one, other), (other, one)]),
            Fault::Flap => Act::Flap(one, other, FLAP.mul_f64(rng.random()), rng.random_range(2..6)),
            Fault::Stall => Act::Stall(one, STALL.mul_f64(rng.random())),
            Fault::Delay => Act::Delay(one, other, DELAY.mul_f64(rng.random())),
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
