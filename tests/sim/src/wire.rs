//! The network between the hosts: what is under way on each directed link, how long it takes, and what becomes of it when
//! the link is cut or held. Main type: [`Wire`].
//!
//! A stream is opened without a round trip, as QUIC does on a connection that stands; what a new connection costs is the
//! caller's to spend (`network.rs`). What a cut loses is sent again until it gets through: then it may be old.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use net::NodeId;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::mpsc;

use crate::stream::{Pipe, Reader, Writer};

/// Shortest time that anything takes on its way.
const LEAST_LATENCY: Duration = Duration::from_micros(200);

/// Times are drawn from an exponential distribution whose mean is this part of the longest: most are short, few are long.
const MEAN_LATENCY: f64 = 0.2;

/// Longest time from when a cut ends until what it lost is sent again: transports back off.
const RETRY: Duration = Duration::from_millis(250);

/// Streams opened to a host that it has not accepted yet; more are refused.
const BACKLOG: usize = 1024;

/// What travels.
#[derive(Debug)]
pub(crate) enum Cargo {
    /// A stream begins: what the other end is to read, and what it is to write into.
    Open(Arc<Pipe>, Arc<Pipe>),
    /// Of a stream.
    Bytes(Arc<Pipe>, Bytes),
    /// The end of a stream.
    Finish(Arc<Pipe>),
    /// This stream is not known.
    Reset(Arc<Pipe>),
}

impl Cargo {
    fn pipe(&self) -> &Pipe {
        match self {
            Self::Open(pipe, _) | Self::Bytes(pipe, _) | Self::Finish(pipe) | Self::Reset(pipe) => pipe,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Whole,
    Cut,
    Held,
}

/// From one host to another.
#[derive(Debug)]
struct Link {
    condition: Condition,
    slowest: Duration,
    /// By when it arrives, then in the order sent.
    under_way: BTreeMap<(Duration, u64), Cargo>,
    /// Held, or lost and to be sent again.
    waiting: VecDeque<Cargo>,
}

#[derive(Debug)]
struct Inner {
    /// The end of the present step: nothing arrives in the step in which it was sent.
    now: Duration,
    rng: StdRng,
    sent: u64,
    slowest: Duration,
    links: BTreeMap<(u64, u64), Link>,
    listeners: BTreeMap<u64, mpsc::Sender<(Reader, Writer)>>,
    /// How often each host has begun to listen.
    lives: BTreeMap<u64, u64>,
    /// Whose calls nobody answers.
    refused: BTreeSet<NodeId>,
}

/// Shared by all hosts of a run; its chances follow from the seed.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<Mutex<Inner>>);

impl Wire {
    /// A whole network on which nothing takes longer than `slowest`.
    pub(crate) fn new(seed: u64, slowest: Duration) -> Self {
        let (links, listeners, lives, refused) = Default::default();
        let rng = StdRng::seed_from_u64(seed);
        Self(Arc::new(Mutex::new(Inner {
            now: Duration::ZERO,
            rng,
            sent: 0,
            slowest,
            links,
            listeners,
            lives,
            refused,
        })))
    }

    /// A step begins that ends at this time.
    pub(crate) fn tick(&self, now: Duration) {
        self.0.lock().now = now;
    }

    /// The streams that others open to this host; refused to them once the receiver is gone.
    pub(crate) fn listen(&self, host: u64) -> mpsc::Receiver<(Reader, Writer)> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut inner = self.0.lock();
        inner.listeners.insert(host, sender);
        *inner.lives.entry(host).or_default() += 1;
        receiver
    }

    /// Changes with each start of a host: a connection to the former one is of no use.
    pub(crate) fn life(&self, host: u64) -> u64 {
        self.0.lock().lives.get(&host).copied().unwrap_or(0)
    }

    /// Nobody answers this node any more, as `net` holds it with members that are forgotten.
    pub(crate) fn refuse(&self, id: NodeId) {
        self.0.lock().refused.insert(id);
    }

    /// Whether nobody answers this node.
    pub(crate) fn refuses(&self, id: NodeId) -> bool {
        self.0.lock().refused.contains(&id)
    }

    /// A new stream from the one host to the other.
    pub(crate) fn open(&self, from: u64, to: u64) -> (Reader, Writer) {
        let (there, back) = <(Arc<Pipe>, Arc<Pipe>)>::default();
        self.send(from, to, Cargo::Open(there.clone(), back.clone()));
        self.ends(from, to, back, there)
    }

    /// What the host `from` holds of a stream with `to`.
    fn ends(&self, from: u64, to: u64, read: Arc<Pipe>, written: Arc<Pipe>) -> (Reader, Writer) {
        (Reader(read), Writer { pipe: written, wire: self.clone(), from, to, finished: false })
    }

    /// On its way, if the link lets it.
    pub(crate) fn send(&self, from: u64, to: u64, cargo: Cargo) {
        self.0.lock().send(from, to, cargo);
    }

    /// What arrives at this host in the present step; it finds it at its beginning.
    pub(crate) fn arrived(&self, host: u64) -> Vec<(u64, Cargo)> {
        let mut inner = self.0.lock();
        let now = inner.now;
        let mut arrived = Vec::new();
        for ((from, _), link) in inner.links.iter_mut().filter(|((_, to), _)| *to == host) {
            while let Some(first) = link.under_way.first_entry().filter(|first| first.key().0 <= now) {
                arrived.push((*from, first.remove()));
            }
        }
        arrived
    }

    /// Hands something over to the host it was sent to.
    pub(crate) fn hand_over(&self, host: u64, from: u64, cargo: Cargo) {
        match cargo {
            Cargo::Open(there, back) => {
                let listener = self.0.lock().listeners.get(&host).cloned();
                let ends = self.ends(host, from, there.clone(), back.clone());
                if listener.is_none_or(|listener| listener.try_send(ends).is_err()) {
                    self.send(host, from, Cargo::Reset(there));
                    self.send(host, from, Cargo::Reset(back));
                }
            }
            Cargo::Bytes(pipe, bytes) => {
                if !pipe.arrive(bytes) {
                    self.send(host, from, Cargo::Reset(pipe));
                }
            }
            Cargo::Finish(pipe) => pipe.finish(),
            Cargo::Reset(pipe) => pipe.reset(),
        }
    }

    /// From now on nothing gets from the one host to the other, nor does what is under way.
    pub(crate) fn cut(&self, from: u64, to: u64) {
        self.change(from, to, |link| {
            link.condition = Condition::Cut;
            link.waiting.extend(std::mem::take(&mut link.under_way).into_values());
        });
    }

    /// From now on all gets through; what is held stays so.
    pub(crate) fn repair(&self, from: u64, to: u64) {
        let inner = &mut *self.0.lock();
        let link = inner.link(from, to);
        if std::mem::replace(&mut link.condition, Condition::Whole) == Condition::Cut {
            let lost = std::mem::take(&mut link.waiting);
            let due = inner.now + RETRY.mul_f64(inner.rng.random());
            lost.into_iter().for_each(|cargo| inner.place(from, to, due, cargo));
        }
    }

    /// From now on all that is sent waits, with what is under way.
    pub(crate) fn hold(&self, from: u64, to: u64) {
        self.change(from, to, |link| {
            link.condition = Condition::Held;
            link.waiting.extend(std::mem::take(&mut link.under_way).into_values());
        });
    }

    /// All that was held arrives at once, and from now on all gets through.
    pub(crate) fn release(&self, from: u64, to: u64) {
        let held = self.change(from, to, |link| {
            link.condition = Condition::Whole;
            std::mem::take(&mut link.waiting)
        });
        let inner = &mut *self.0.lock();
        for cargo in held {
            inner.place(from, to, inner.now, cargo);
        }
    }

    /// From now on a message takes up to so long.
    pub(crate) fn slow_down(&self, from: u64, to: u64, slowest: Duration) {
        self.change(from, to, |link| link.slowest = slowest);
    }

    fn change<T>(&self, from: u64, to: u64, change: impl FnOnce(&mut Link) -> T) -> T {
        change(self.0.lock().link(from, to))
    }
}

impl Inner {
    fn link(&mut self, from: u64, to: u64) -> &mut Link {
        let new = || Link {
            condition: Condition::Whole,
            slowest: self.slowest,
            under_way: BTreeMap::new(),
            waiting: VecDeque::new(),
        };
        self.links.entry((from, to)).or_insert_with(new)
    }

    fn send(&mut self, from: u64, to: u64, cargo: Cargo) {
        let chance: f64 = self.rng.random();
        let now = self.now;
        let link = self.link(from, to);
        match link.condition {
            Condition::Cut | Condition::Held => link.waiting.push_back(cargo),
            Condition::Whole => {
                let part = (-(1.0 - chance).ln() * MEAN_LATENCY).min(1.0);
                let due = now + LEAST_LATENCY + link.slowest.saturating_sub(LEAST_LATENCY).mul_f64(part);
                self.place(from, to, due, cargo);
            }
        }
    }

    fn place(&mut self, from: u64, to: u64, due: Duration, cargo: Cargo) {
        self.sent += 1;
        let place = (cargo.pipe().in_order(due), self.sent);
        self.link(from, to).under_way.insert(place, cargo);
    }
}
