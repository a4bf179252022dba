//! Carries faults out on the simulated machines and network, and takes them back. Main type: [`Chaos`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use net::NodeId;
use turmoil::Sim;

use crate::{disk::Machine, fault::Act, network::host, trace, weather::Weather};

/// Longest time that a message takes on a healthy path, to be rounded up to the next step.
pub(crate) const LATENCY: Duration = Duration::from_millis(12);

/// A torn write ends the node by itself; after this time it is down in any case.
const TEARING: Duration = Duration::from_millis(300);

/// What follows a fault later.
#[derive(Clone, Copy, Debug)]
enum Later {
    Up(u64),
    Down(u64, Duration),
    Cut(u64, u64),
    Join(u64, u64),
    Release(u64),
    Wake(u64, Duration),
    Room(u64),
}

/// Which faults are in force, what is to follow, and what has been.
pub(crate) struct Chaos<'a> {
    machines: &'a BTreeMap<u64, Arc<Machine>>,
    weather: &'a Weather,
    /// Called when a node is gone.
    gone: Box<dyn Fn(u64) + 'a>,
    /// Whether the others have all that this machine's disk holds, so that it may be lost.
    spare: Box<dyn Fn(u64) -> bool + 'a>,
    down: BTreeSet<u64>,
    later: BTreeMap<(Duration, u64), Later>,
    placed: u64,
    /// How often each kind of fault happened.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl<'a> Chaos<'a> {
    pub(crate) fn new(
        machines: &'a BTreeMap<u64, Arc<Machine>>,
        weather: &'a Weather,
        gone: impl Fn(u64) + 'a,
        spare: impl Fn(u64) -> bool + 'a,
    ) -> Self {
        let (down, later, counts) = Default::default();
        Self { machines, weather, gone: Box::new(gone), spare: Box::new(spare), down, later, placed: 0, counts }
    }

    fn place(&mut self, at: Duration, what: Later) {
        self.placed += 1;
        self.later.insert((at, self.placed), what);
    }

    /// Begins a fault.
    pub(crate) fn perform(&mut self, sim: &mut Sim<'_>, act: &Act) {
        tracing::info!(at = ?sim.elapsed(), ?act, "fault");
        trace::note("fault", (sim.elapsed(), act));
        *self.counts.entry(act.kind()).or_default() += 1;
        let now = sim.elapsed();
        match act {
            Act::Crash(ids, length) => ids.iter().for_each(|id| self.end(sim, *id, *length, Machine::cut_power)),
            Act::Kill(ids, length) => ids.iter().for_each(|id| self.end(sim, *id, *length, Machine::kill)),
            Act::Torn(id, changes, length) => {
                if !self.down.contains(id) {
                    self.machines[id].cut_power_after(*changes);
                    self.place(now + TEARING, Later::Down(*id, *length));
                }
            }
            Act::Cut(pairs) => {
                for (from, to) in pairs {
                    sim.partition_oneway(host(NodeId(*from)), host(NodeId(*to)));
                }
            }
            Act::Flap(a, b, period, times) => {
                for time in 0..*times {
                    self.place(now + *period * (2 * time), Later::Cut(*a, *b));
                    self.place(now + *period * (2 * time + 1), Later::Join(*a, *b));
                }
            }
            Act::Stall(id, length) => {
                self.hold(sim, *id);
                self.place(now + *length, Later::Release(*id));
            }
            Act::Delay(a, b, delay) => sim.set_link_max_message_latency(host(NodeId(*a)), host(NodeId(*b)), *delay),
            Act::Slow(id, delay) => self.machines[id].slow_down(*delay),
            Act::Fill(id, length) => {
                self.machines[id].fill();
                self.place(now + *length, Later::Room(*id));
            }
            Act::Pause(id, length) => {
                self.hold(sim, *id);
                self.place(now + *length, Later::Wake(*id, *length));
            }
            Act::Jump(id, by) => self.machines[id].jump(*by),
            Act::Drift(id, percent) => self.machines[id].drift(*percent),
            Act::Lose(rate) => self.weather.change(|sky| sky.loss = *rate),
            Act::Shuffle(longest) => self.weather.change(|sky| sky.shuffle = *longest),
            Act::Repeat(rate) => self.weather.change(|sky| sky.repeat = *rate),
            Act::Wipe(id, length) => self.lose_disk(sim, *id, *length, Machine::wipe),
            Act::Rot(id, length) => self.lose_disk(sim, *id, *length, Machine::rot),
            Act::Heal => self.heal(sim),
        }
    }

    fn lose_disk(&mut self, sim: &mut Sim<'_>, id: u64, length: Duration, how: impl Fn(&Machine)) {
        if (self.spare)(id) && self.machines.values().all(|machine| !machine.is_rotten()) {
            self.end(sim, id, length, |machine| {
                machine.cut_power();
                how(machine);
            });
        }
    }

    fn others(&self, id: u64) -> impl Iterator<Item = u64> + use<> {
        let all: Vec<u64> = self.machines.keys().copied().collect();
        all.into_iter().filter(move |other| *other != id)
    }

    fn end(&mut self, sim: &mut Sim<'_>, id: u64, length: Duration, how: impl Fn(&Machine)) {
        if self.down.insert(id) {
            how(&self.machines[&id]);
            sim.crash(host(NodeId(id)));
            (self.gone)(id);
            self.place(sim.elapsed() + length, Later::Up(id));
        }
    }

    /// Does what is due by now.
    pub(crate) fn follow_up(&mut self, sim: &mut Sim<'_>, now: Duration) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            match first.remove() {
                Later::Up(id) => {
                    self.down.remove(&id);
                    sim.bounce(host(NodeId(id)));
                }
                Later::Down(id, length) => self.end(sim, id, length, Machine::cut_power),
                Later::Cut(a, b) => sim.partition(host(NodeId(a)), host(NodeId(b))),
                Later::Join(a, b) => sim.repair(host(NodeId(a)), host(NodeId(b))),
                Later::Release(id) => self.release(sim, id),
                Later::Wake(id, length) => {
                    self.machines[&id].jump(length);
                    self.release(sim, id);
                }
                Later::Room(id) => self.machines[&id].make_room(),
            }
        }
    }

    fn hold(&self, sim: &Sim<'_>, id: u64) {
        self.others(id).for_each(|other| sim.hold(host(NodeId(id)), host(NodeId(other))));
    }

    fn release(&self, sim: &Sim<'_>, id: u64) {
        self.others(id).for_each(|other| sim.release(host(NodeId(id)), host(NodeId(other))));
    }

    fn heal(&self, sim: &Sim<'_>) {
        self.weather.calm();
        self.machines.values().for_each(|machine| machine.drift(0));
        for a in self.machines.keys() {
            for b in self.others(*a) {
                let (a, b) = (host(NodeId(*a)), host(NodeId(b)));
                sim.repair_oneway(a.clone(), b.clone());
                sim.set_link_max_message_latency(a, b, LATENCY);
            }
        }
    }

    /// Takes all faults back: everything that is down comes up, every path and disk is healthy.
    pub(crate) fn rest(&mut self, sim: &mut Sim<'_>) {
        while let Some((at, _)) = self.later.keys().next().copied() {
            self.follow_up(sim, at); // what ends a node places its return
        }
        self.heal(sim);
        self.machines.values().for_each(|machine| machine.slow_down(Duration::ZERO));
    }
}
