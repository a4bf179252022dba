//! The only voter's disk is lost, and the other member goes on alone with what it has (`mesh recover`). Main type: [`Before`],
//! what was until then.
//!
//! Raft's promise ends there: what the lost voter acknowledged alone is lost. What must hold instead: the survivor's state is
//! one that the old history had (a prefix of it), no write is lost or doubled from then on, and the old member, whose disk
//! turns up with the old history on it, disturbs nobody. That it is refused by its identity is `net`'s, and believed here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use consensus::{Recorded, RecoverError, found_anew};
use net::NodeId;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use store::{Command, Incarnation, RequestId, Revision, View};

use crate::{
    chaos::Chaos,
    client,
    disk::Machine,
    history::{Action, Ending, Operation, Value},
    hosts::Hosts,
    invariants::{disturbs_nobody, recovers},
    watcher::Change,
    world::World,
};

/// The machine whose disk is lost, and the one that goes on.
const LOST: u64 = 1;
pub(crate) const SURVIVOR: u64 = 2;

/// Longest time for which the survivor hears nothing before the loss: what is acknowledged meanwhile is lost.
const BEHIND: Duration = Duration::from_secs(3);

/// How long the old member runs beside the new history: many elections.
const HAUNTING: Duration = Duration::from_secs(5);

/// What was before a recovery, and what the new history began with.
#[derive(Debug, Default)]
pub struct Before {
    /// What clients did and saw.
    pub operations: Vec<Operation>,
    /// What the watcher of the lost voter was told.
    pub told: Vec<Change>,
    /// The survivor's revision, in the old history.
    pub revision: u64,
    /// What each register held, and how often it had been written.
    pub registers: Vec<(Value, i64)>,
}

impl Before {
    fn new(operations: Vec<Operation>, told: Vec<Change>, view: &View) -> Self {
        let held = |register| (client::value(view, register), view.counter(&client::counter(register)));
        Self { operations, told, revision: view.revision().0, registers: (0..client::KEYS).map(held).collect() }
    }

    /// What a register held, and how often it had been written.
    pub fn register(&self, register: u32) -> (Value, i64) {
        self.registers.get(register as usize).copied().unwrap_or_default()
    }

    /// The new history's beginning as operations of it.
    pub fn as_operations(&self) -> impl Iterator<Item = Operation> {
        let held = (0..client::KEYS).map(|register| (register, self.register(register).0));
        held.filter(|(_, value)| *value != 0).map(|(key, value)| Operation {
            key,
            action: Action::Write(value),
            called: 0,
            ending: Ending::Answered(1),
        })
    }

    /// Acknowledged writes that the survivor did not have: what a recovery may cost.
    pub fn lost(&self) -> usize {
        let later = self.told.iter().filter(|change| change.revision > self.revision);
        let later: BTreeSet<Value> = later.map(|change| change.value).collect();
        let acknowledged = |operation: &&Operation| matches!((operation.action, operation.ending), (Action::Write(value), Ending::Answered(_)) if later.contains(&value));
        self.operations.iter().filter(acknowledged).count()
    }
}

/// The survivor began with a state that the old history had: no write of it is missing beneath one that is there.
///
/// # Errors
/// The register that holds something else.
pub fn began_with_a_prefix(before: &Before) -> Result<(), String> {
    let mut folded: BTreeMap<&str, (Value, i64)> = BTreeMap::new();
    for change in before.told.iter().filter(|change| change.revision <= before.revision) {
        let (value, count) = folded.entry(&change.key).or_default();
        (*value, *count) = (change.value, *count + 1);
    }
    // The newest entries may have been on their way to the survivor before the voter itself had them on disk.
    let ahead = before.told.last().map_or(0, |change| change.revision) < before.revision;
    let open = |key, value| {
        let unanswered = |operation: &Operation| operation.ending == Ending::Open && operation.key == key;
        before.operations.iter().any(|operation| unanswered(operation) && operation.action == Action::Write(value))
    };
    for register in 0..client::KEYS {
        let (told, held) =
            (folded.get(&*client::key(register)).copied().unwrap_or_default(), before.register(register));
        if told != held && !(ahead && open(register, held.0)) {
            return Err(format!(
                "register {register} began with {held:x?}, revision {} had {told:x?}",
                before.revision
            ));
        }
    }
    Ok(())
}

impl World {
    /// The voter's disk is lost; the other member founds a new history of what it has; the old member turns up beside it, and
    /// is then wiped and becomes a member again. All faults are over when it begins.
    pub(crate) fn lose_the_voter(&self, sim: &mut Hosts<'_>, chaos: &mut Chaos<'_>) {
        let mut rng = StdRng::seed_from_u64(self.seed);
        chaos.rest(sim);
        // Else both disks would be lost: it may have been wiped just now.
        self.step_until(sim, "the survivor's log", || self.all_caught_up());
        sim.wire.cut(LOST, SURVIVOR);
        self.pass(sim, BEHIND.mul_f64(rng.random()));
        for number in [LOST, SURVIVOR] {
            self.machines[&number].cut_power();
            sim.stop(number);
            self.nodes.lock().remove(&number);
        }
        sim.wire.repair(LOST, SURVIVOR);
        sim.wire.refuse(self.machines[&LOST].id());
        if let Err(why) = self.recover(&self.machines[&SURVIVOR]) {
            return self.observe("recovers", recovers::refused(why));
        }
        let start = |sim: &mut Hosts<'_>, number| sim.start(number).expect("a runtime needs nothing that is refused");
        start(sim, SURVIVOR);
        let leads =
            || self.nodes.lock().get(&SURVIVOR).is_some_and(|node| node.leadership().borrow().own_first_entry_applied);
        self.step_until(sim, "the survivor's leadership", leads);
        let term = self.term();
        start(sim, LOST);
        self.pass(sim, HAUNTING);
        if let Err(complaint) = disturbs_nobody::judge(&(term, true), &(self.term(), leads())) {
            self.observe("disturbs_nobody", complaint);
        }
        self.nodes.lock().remove(&LOST);
        self.machines[&LOST].wipe();
        start(sim, LOST);
    }

    /// What `mesh recover` does, on a disk beside the old one.
    fn recover(&self, survivor: &Machine) -> Result<(), RecoverError> {
        let recorded = Recorded::read(&survivor.power_on())?;
        let (operations, told) = (self.history.begin_anew(), self.seen[&LOST].changes());
        let before = Before::new(operations, told, &recorded.state.view());
        survivor.replace_disk();
        let command = Command { request: RequestId(u128::MAX), guards: Vec::new(), ops: Vec::new() };
        let state = found_anew(&survivor.power_on(), recorded, survivor.id(), &command, Incarnation(1))?;
        survivor.kill();
        let Revision(beginning) = state.revision();
        self.seen.values().for_each(|seen| seen.begin_anew(beginning));
        *self.before.lock() = Some(before);
        Ok(())
    }

    fn term(&self) -> Option<u64> {
        self.nodes.lock().get(&SURVIVOR).map(|node| node.leadership().borrow().term)
    }

    /// Time passes without a further fault.
    fn pass(&self, sim: &mut Hosts<'_>, length: Duration) {
        let end = sim.elapsed() + length;
        while sim.elapsed() < end {
            self.step(sim);
        }
    }

    /// Whether this node belongs to a history that was given up.
    pub(crate) fn is_forgotten(&self, id: NodeId) -> bool {
        self.wire.refuses(id)
    }
}
