//! Carries faults out on the simulated machines and network, and takes them back. Main type: [`Chaos`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{disk::Machine, fault::Act, hosts::Hosts, trace, weather::Weather};

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
    Expose(u64, Duration),
}

/// Which faults are in force, what is to follow, and what has been.
pub(crate) struct Chaos<'a> {
    machines: &'a BTreeMap<u64, Arc<Machine>>,
    weather: &'a Weather,
    /// Called when a node is gone.
    gone: Box<dyn Fn(u64) + 'a>,
    /// Whether the others have all that this machine's disk holds, so that it may be lost.
    spare: Box<dyn Fn(u64) -> bool + 'a>,
    /// Whether all followers have all of the log.
    whole: Box<dyn Fn() -> bool + 'a>,
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
        whole: impl Fn() -> bool + 'a,
    ) -> Self {
        let (down, later, counts) = Default::default();
        Self {
            machines,
            weather,
            gone: Box::new(gone),
            spare: Box::new(spare),
            whole: Box::new(whole),
            down,
            later,
            placed: 0,
            counts,
        }
    }

    fn place(&mut self, at: Duration, what: Later) {
        self.placed += 1;
        self.later.insert((at, self.placed), what);
    }

    /// Begins a fault.
    pub(crate) fn perform(&mut self, sim: &mut Hosts<'_>, act: &Act) {
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
                    sim.wire.cut(*from, *to);
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
            Act::Delay(a, b, delay) => both(*a, *b, |from, to| sim.wire.slow_down(from, to, *delay)),
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
            Act::Lie(id, lying, length) => {
                if self.is_spare(*id) && (self.whole)() {
                    self.machines[id].lie();
                    self.place(now + *lying, Later::Expose(*id, *length));
                }
            }
            Act::Rot(id, length) => self.lose_disk(sim, *id, *length, Machine::rot),
            Act::Heal => self.heal(sim),
        }
    }

    fn lose_disk(&mut self, sim: &mut Hosts<'_>, id: u64, length: Duration, how: impl Fn(&Machine)) {
        if self.is_spare(id) {
            self.end(sim, id, length, |machine| {
                machine.cut_power();
                how(machine);
            });
        }
    }

    fn is_spare(&self, id: u64) -> bool {
        let bad = |machine: &Arc<Machine>| machine.is_rotten() || machine.is_lying();
        (self.spare)(id) && !self.machines.values().any(bad)
    }

    fn others(&self, id: u64) -> impl Iterator<Item = u64> + use<> {
        let all: Vec<u64> = self.machines.keys().copied().collect();
        all.into_iter().filter(move |other| *other != id)
    }

    fn end(&mut self, sim: &mut Hosts<'_>, id: u64, length: Duration, how: impl Fn(&Machine)) {
        if self.down.insert(id) {
            how(&self.machines[&id]);
            sim.stop(id);
            (self.gone)(id);
            self.place(sim.elapsed() + length, Later::Up(id));
        }
    }

    /// Does what is due by now.
    pub(crate) fn follow_up(&mut self, sim: &mut Hosts<'_>, now: Duration) {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            match first.remove() {
                Later::Up(id) => {
                    self.down.remove(&id);
                    sim.start(id).expect("a runtime needs nothing that the system may refuse");
                }
                Later::Down(id, length) => self.end(sim, id, length, Machine::cut_power),
                Later::Cut(a, b) => both(a, b, |from, to| sim.wire.cut(from, to)),
                Later::Join(a, b) => both(a, b, |from, to| sim.wire.repair(from, to)),
                Later::Release(id) => self.release(sim, id),
                Later::Wake(id, length) => {
                    self.machines[&id].jump(length);
                    self.release(sim, id);
                }
                Later::Expose(id, length) => self.end(sim, id, length, Machine::expose),
                Later::Room(id) => self.machines[&id].make_room(),
            }
        }
    }

    fn hold(&self, sim: &Hosts<'_>, id: u64) {
        self.others(id).for_each(|other| both(id, other, |from, to| sim.wire.hold(from, to)));
    }

    fn release(&self, sim: &Hosts<'_>, id: u64) {
        self.others(id).for_each(|other| both(id, other, |from, to| sim.wire.release(from, to)));
    }

    fn heal(&self, sim: &Hosts<'_>) {
        self.weather.calm();
        self.machines.values().for_each(|machine| machine.drift(0));
        for a in self.machines.keys() {
            for b in self.others(*a) {
                sim.wire.repair(*a, b);
                sim.wire.slow_down(*a, b, LATENCY);
            }
        }
    }

    /// Takes all faults back: everything that is down comes up, every path and disk is healthy.
    pub(crate) fn rest(&mut self, sim: &mut Hosts<'_>) {
        while let Some((at, _)) = self.later.keys().next().copied() {
            self.follow_up(sim, at); // what ends a node places its return
        }
        self.heal(sim);
        self.machines.values().for_each(|machine| machine.slow_down(Duration::ZERO));
    }
}

/// Does something in both directions of a path.
fn both(a: u64, b: u64, act: impl Fn(u64, u64)) {
    act(a, b);
    act(b, a);
}
