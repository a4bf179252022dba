//! What a run does, and the faults it draws. Main type: [`Plan`].

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IteratorRandom};

use crate::{
    chaos::LATENCY,
    fault::{Act, Fault},
    flaw::Flaw,
};

/// Seeds of one test run where none is given: half a minute of one core, and close to three hours of a cluster.
const SEEDS: u64 = 150;

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

/// Longest jump of a clock: many election timeouts.
const JUMP: Duration = Duration::from_secs(20);

/// Shortest and longest time that a disk lies.
const LYING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Shortest time that a machine whose disk lied is down: several elections, so that the others have agreed on a leader, and
/// it on all that was acknowledged, without it. A reboot takes longer.
const REBOOT: Duration = Duration::from_secs(2);

/// Longest that a call is opened late so that others overtake it: below the time that opening one may take.
const SHUFFLE: Duration = Duration::from_millis(250);

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

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Three voters; any of them may be lost.
    Sound,
    /// Two members: one votes, the other follows its log, and may be lost.
    Pair,
    /// Two members; the only voter's disk is lost halfway, and the other goes on alone.
    Recovered,
    /// Three voters, and one disk after another that lies about what it has synced.
    Liar,
    /// Three voters, with a bug put in on purpose.
    Flawed(Flaw),
}

impl Scenario {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Sound, Self::Pair, Self::Recovered, Self::Liar].into_iter().chain(Flaw::ALL.map(Self::Flawed))
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Pair => "pair",
            Self::Recovered => "recovered",
            Self::Liar => "liar",
            Self::Flawed(flaw) => flaw.name(),
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|scenario| scenario.name() == name)
    }
}

/// Size and length of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Nodes.
    pub nodes: u64,
    /// How many of them vote, the first ones; the others follow the log.
    pub voters: u64,
    /// Clients on each.
    pub clients: u32,
    /// How long faults happen, in virtual time.
    pub chaos: Duration,
    /// Which faults happen.
    pub faults: Vec<Fault>,
    /// Whether the only voter's disk is lost and the cluster recovered, between two times of faults.
    pub recovers: bool,
    /// A bug put in on purpose, which the run must find.
    pub flaw: Option<Flaw>,
}

impl Default for Plan {
    fn default() -> Self {
        use Fault::*;
        let faults = vec![
            Crash, Crash, Kill, Kill, Torn, Isolate, Split, OneWay, Partial, Flap, Stall, Delay, Heal, Heal, Heal,
            Heal, SlowDisk, Blackout, FullDisk, Pause, Jump, Drift, Loss, Reorder, Duplicate, Wipe, Rot,
        ];
        Self { nodes: 3, voters: 3, clients: 3, chaos: Duration::from_secs(60), faults, recovers: false, flaw: None }
    }
}

impl Plan {
    /// The plan of this scenario: the one in which it shows most.
    pub fn of(scenario: Scenario) -> Self {
        let plan = Self::default();
        match scenario {
            Scenario::Sound => plan,
            Scenario::Pair => Self { nodes: 2, voters: 1, ..plan },
            Scenario::Recovered => Self { nodes: 2, voters: 1, chaos: plan.chaos / 2, recovers: true, ..plan },
            Scenario::Liar => {
                Self { faults: vec![Fault::Lie, Fault::Lie, Fault::Lie, Fault::SlowDisk, Fault::Duplicate], ..plan }
            }
            Scenario::Flawed(flaw) => match flaw {
                Flaw::AcknowledgeBeforeSync | Flaw::ForgetVotes | Flaw::ResumeLeadership => {
                    Self { faults: vec![Fault::Blackout, Fault::SlowDisk], flaw: Some(flaw), ..plan }
                }
                _ => Self { flaw: Some(flaw), ..plan },
            },
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
            Fault::Delay => Act::Delay(one, other, DELAY.mul_f64(rng.random()).max(LATENCY)),
            Fault::Blackout => Act::Crash(nodes.collect(), down),
            Fault::Isolate => Act::Cut(between(nodes, |node| node == one)),
            Fault::Split => {
                let sides: u64 = rng.random();
                Act::Cut(between(nodes, |node| sides >> node & 1 == 1))
            }
            Fault::OneWay => Act::Cut(vec![(one, other)]),
            Fault::Heal => Act::Heal,
            Fault::SlowDisk => Act::Slow(one, Duration::from_millis(rng.random_range(0..60))),
            Fault::FullDisk => Act::Fill(one, down),
            Fault::Pause => Act::Pause(one, STALL.mul_f64(rng.random())),
            Fault::Jump => Act::Jump(one, JUMP.mul_f64(rng.random())),
            Fault::Drift => Act::Drift(one, rng.random_range(1..50)),
            Fault::Loss => Act::Lose(rng.random_range(1..80)),
            Fault::Reorder => Act::Shuffle(SHUFFLE.mul_f64(rng.random())),
            Fault::Wipe => Act::Wipe(one, down),
            Fault::Lie => Act::Lie(one, rng.random_range(LYING.0..LYING.1), REBOOT + down),
            Fault::Rot => Act::Rot(one, down),
            Fault::Duplicate => Act::Repeat(rng.random_range(10..500)),
        }
    }
}

/// All pairs of nodes on different sides.
fn between(nodes: std::ops::RangeInclusive<u64>, side: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
    let pairs = nodes.clone().flat_map(|a| nodes.clone().map(move |b| (a, b)));
    pairs.filter(|(a, b)| side(*a) != side(*b)).collect()
}
