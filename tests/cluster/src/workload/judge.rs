//! What must hold of a run, whatever died meanwhile: [`judge`]. Each function judges one sentence.
//!
//! The revision of an object is the order in which the store applied writes, so it is the witness that a search for a
//! linearization (Wing and Gong, 1993) would have to find: reads follow the write whose revision they tell, and real time must
//! agree. That is decided in the time of a sort, for runs of any length. What has no witness is wrong, and what has one is
//! linearizable: linearizability is local to each object (Herlihy and Wing, 1990, theorem 1).

use std::collections::{BTreeMap, HashMap};

use super::history::{Action, Ending, Operation, Token};
use super::watcher::{Event, Told};

/// All that is known of a run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What clients asked and were answered.
    pub operations: Vec<Operation>,
    /// What watchers were told.
    pub watchers: Vec<Told>,
    /// At the end, what each node that runs shows: revision and token of each object.
    pub finals: Vec<BTreeMap<String, (u64, Token)>>,
}

/// Breaches that are told of each sentence; more would not say more.
const SHOWN: usize = 5;

/// All breaches, few of each sentence.
pub fn judge(record: &Record) -> Vec<String> {
    let sentences = [watches_are_complete, nothing_is_lost, nothing_is_applied_twice, reads_are_linearizable];
    sentences.iter().flat_map(|sentence| sentence(record).into_iter().take(SHOWN)).collect()
}

/// Each watcher was told all changes once, in order; they lead to what every node shows in the end.
fn watches_are_complete(record: &Record) -> Vec<String> {
    let mut wrong: Vec<String> = record.watchers.iter().flat_map(|told| told.wrong.iter().cloned()).collect();
    let all = changes(record);
    for (number, told) in record.watchers.iter().enumerate() {
        let place = all.iter().zip(&told.events).take_while(|(one, other)| one == other).count();
        if place < all.len() {
            wrong.push(format!("watcher {number} was not told {:?}, but {:?}", all[place], told.events.get(place)));
        }
    }
    let mut last: BTreeMap<&str, (u64, Token)> = BTreeMap::new();
    for event in all {
        match event.token {
            0 => last.remove(event.key.as_str()),
            token => last.insert(&event.key, (event.revision, token)),
        };
    }
    for (number, shown) in record.finals.iter().enumerate() {
        let differs = |key: &&str| shown.get(*key) != last.get(*key);
        let names = shown.keys().map(String::as_str).chain(last.keys().copied());
        let found = names.filter(differs).map(|key| {
            format!("node {number} shows {key} as {:?}, watchers were told {:?}", shown.get(key), last.get(key))
        });
        wrong.extend(found);
    }
    wrong
}

/// The longest account of what was changed. The others are compared with it.
fn changes(record: &Record) -> &[Event] {
    record.watchers.iter().map(|told| told.events.as_slice()).max_by_key(|events| events.len()).unwrap_or_default()
}

/// What was acknowledged happened, under the revision that was told; what was denied did not.
fn nothing_is_lost(record: &Record) -> Vec<String> {
    let happened: HashMap<(&str, Token), u64> =
        changes(record).iter().map(|event| ((event.key.as_str(), event.token), event.revision)).collect();
    let judge = |operation: &Operation| {
        let found = happened.get(&(operation.key.as_str(), operation.token)).copied();
        match (operation.ending, found) {
            (Ending::Answered(..), None) => Some(format!("acknowledged and lost: {operation:?}")),
            (Ending::Answered(_, Some(told)), Some(found)) if told != found => {
                Some(format!("acknowledged at {told}, happened at {found}: {operation:?}"))
            }
            (Ending::Denied(_), Some(found)) if operation.token != 0 => {
                Some(format!("denied, yet applied at {found}: {operation:?}"))
            }
            _ => None,
        }
    };
    record.operations.iter().filter(|operation| operation.writes()).filter_map(judge).collect()
}

/// Every change was asked for, and appears once.
fn nothing_is_applied_twice(record: &Record) -> Vec<String> {
    let mut asked: HashMap<(&str, Token), usize> = HashMap::new();
    for operation in record.operations.iter().filter(|operation| operation.writes()) {
        *asked.entry((operation.key.as_str(), operation.token)).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for event in changes(record) {
        match asked.get_mut(&(event.key.as_str(), event.token)) {
            None => wrong.push(format!("nobody asked for {event:?}")),
            Some(0) => wrong.push(format!("applied twice: {event:?}")),
            Some(left) => *left -= 1,
        }
    }
    wrong
}

/// Revisions agree with real time, reads with the revisions they tell, and an update with the one it replaced.
fn reads_are_linearizable(record: &Record) -> Vec<String> {
    let mut objects: BTreeMap<&str, (Vec<&Operation>, Versions)> = BTreeMap::new();
    for event in changes(record) {
        objects.entry(&event.key).or_default().1.push((event.revision, event.token));
    }
    for operation in &record.operations {
        objects.entry(&operation.key).or_default().0.push(operation);
    }
    objects.into_values().flat_map(|(operations, versions)| one_object(operations, &versions)).collect()
}

/// Revisions and contents of an object, in order. Before the first it is not there.
type Versions = Vec<(u64, Token)>;

fn one_object(mut operations: Vec<&Operation>, versions: &Versions) -> Vec<String> {
    operations.sort_by_key(|operation| operation.called);
    let mut wrong = Vec::new();
    // Revisions that answers brought to light, by the moment of the answer.
    let mut answered: Vec<(u64, u64)> = Vec::new();
    let mut known = Floor::default();
    for operation in operations {
        let Some(at) = operation.answered() else { continue };
        let floor = known.before(operation.called, &mut answered);
        match placed(operation, versions, floor) {
            Ok(revision) => answered.push((at, revision)),
            Err(why) => wrong.push(format!("{why}, {floor} was known before: {operation:?}")),
        }
    }
    wrong
}

/// The newest revision that was known at a moment; moments only rise.
#[derive(Default)]
struct Floor(u64);

impl Floor {
    fn before(&mut self, moment: u64, answered: &mut Vec<(u64, u64)>) -> u64 {
        answered.retain(|(at, revision)| {
            let passed = *at < moment;
            if passed {
                self.0 = self.0.max(*revision);
            }
            !passed
        });
        self.0
    }
}

/// The revision at which an answered operation took place, as early as the answer and what was known allow.
fn placed(operation: &Operation, versions: &Versions, floor: u64) -> Result<u64, &'static str> {
    let fits = |revision: u64| if operation.writes() { revision > floor } else { revision >= floor };
    let told = match operation.ending {
        Ending::Answered(_, told) => told,
        Ending::Denied(_) | Ending::Open => None,
    };
    let found = match told {
        Some(revision) => versions.binary_search_by_key(&revision, |(one, _)| *one).ok().map(|place| versions[place]),
        None => {
            let absent = std::iter::once((0, 0)).filter(|_| !operation.writes());
            absent
                .chain(versions.iter().copied())
                .find(|(revision, token)| *token == operation.token && fits(*revision))
        }
    };
    let explains = |(revision, token): &(u64, Token)| *token == operation.token && fits(*revision);
    let (revision, _) = found.filter(explains).ok_or("no version explains the answer")?;
    let place = versions.partition_point(|(one, _)| *one < revision);
    replaced(operation.action, place.checked_sub(1).map(|place| versions[place])).map(|()| revision)
}

/// Whether a write may have replaced this version.
fn replaced(action: Action, before: Option<(u64, Token)>) -> Result<(), &'static str> {
    match (action, before) {
        (Action::Update(base), before) if before.map(|(revision, _)| revision) != Some(base) => {
            Err("the update replaced another revision")
        }
        (Action::Create, Some((_, token))) if token != 0 => Err("the create replaced something"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
