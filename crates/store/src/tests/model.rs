//! Random commands against a naive model: equal state, exact events, and snapshots that lose nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::suite::{command, put_indexed};
use crate::{Batch, Command, Entry, Guard, Op, Outcome, Record, Restore, Revision, State};

/// What the store is, said as plainly as possible.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    records: BTreeMap<String, (String, String)>,
    claims: BTreeMap<String, String>,
    counter: i64,
    flag: String,
}

fn name(of: usize) -> impl Strategy<Value = String> {
    (0..of).prop_map(|n| format!("/{}/{n}", n % 2))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (name(6), "[xyz]", "[mn]").prop_map(|(key, text, node)| put_indexed(&key, &text, &[("node", &node)])),
        2 => name(6).prop_map(|key| Op::Delete(key.into())),
        1 => (name(3), "[ab]").prop_map(|(name, owner)| Op::Claim { name: name.into(), owner: owner.into() }),
        1 => (name(3), "[ab]").prop_map(|(name, owner)| Op::Release { name: name.into(), owner: owner.into() }),
        1 => (-2_i64..3).prop_map(|delta| Op::Count { name: "n".into(), delta, ceiling: Some(3) }),
        1 => "[12]?".prop_map(|value| Op::SetFlag("f".into(), value.into())),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        name(6).prop_map(|key| Guard::Absent(key.into())),
        name(6).prop_map(|key| Guard::Present(key.into())),
        "[12]?".prop_map(|value| Guard::Flag("f".into(), value.into())),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let guards = prop::collection::vec(guard(), 0..2);
    let one = (0..60_u128, guards, prop::collection::vec(op(), 0..5));
    prop::collection::vec(one.prop_map(|(request, guards, ops)| command(request, guards, ops)), 1..60)
}

impl Model {
    /// Whether the command is applied; leaves the model alone otherwise.
    fn apply(&mut self, command: &Command) -> bool {
        let mut next = self.clone();
        let holds = command.guards.iter().all(|guard| match guard {
            Guard::Absent(key) => !self.records.contains_key(&**key),
            Guard::Present(key) => self.records.contains_key(&**key),
            Guard::Flag(_, value) => *self.flag == **value,
            other => panic!("the model has no {other:?}"),
        });
        let done = holds && command.ops.iter().all(|op| next.perform(op));
        if done {
            *self = next;
        }
        done
    }

    fn perform(&mut self, op: &Op) -> bool {
        match op {
            Op::Put { key, body, indexes, .. } => {
                let text = String::from_utf8(body.tail.to_vec()).unwrap();
                self.records.insert(key.to_string(), (text, indexes[0].1.to_string()));
            }
            Op::Delete(key) => drop(self.records.remove(&**key)),
            Op::Claim { name, owner } => {
                return self.claims.entry(name.to_string()).or_insert(owner.to_string()) == &**owner;
            }
            Op::Release { name, owner } => self.claims.retain(|held, by| *held != **name || *by != **owner),
            Op::Count { delta, .. } => {
                self.counter += delta;
                return self.counter >= 0 && (*delta <= 0 || self.counter <= 3);
            }
            Op::SetFlag(_, value) => self.flag = value.to_string(),
        }
        true
    }

    fn of(state: &State) -> Self {
        let view = state.view();
        let text = |record: &Record| String::from_utf8(record.body.tail.to_vec()).unwrap();
        let records = view.range("", None).map(|r| (r.key.to_string(), (text(r), r.indexes[0].1.to_string())));
        let claims = view.claims("").map(|(name, owner)| (name.to_string(), owner.to_string()));
        let (records, claims) = (records.collect(), claims.collect());
        Self { records, claims, counter: view.counter("n"), flag: view.flag("f").to_owned() }
    }
}

/// A reader that lists once and then follows the events.
fn follow(shadow: &mut BTreeMap<Arc<str>, Arc<Record>>, batch: &Batch) {
    for event in batch.iter() {
        let key = event.subject().key.clone();
        assert_eq!(shadow.get(&key), event.old.as_ref(), "an event's old record is what was there");
        assert_ne!(event.old, event.new);
        match &event.new {
            Some(new) => shadow.insert(key, new.clone()),
            None => shadow.remove(&key),
        };
    }
}

fn index_is_exact(state: &State) {
    let view = state.view();
    for node in ["m", "n"] {
        let found: Vec<_> = view.by_index("node", node).collect();
        let wanted: Vec<_> = view.range("", None).filter(|record| *record.indexes[0].1 == *node).collect();
        assert_eq!(found, wanted);
    }
}

fn restored(state: &State) -> State {
    let mut restore = Restore::default();
    for chunk in state.snapshot().chunks() {
        restore.push(&chunk.unwrap()).unwrap();
    }
    restore.finish().unwrap()
}

proptest! {
    #[test]
    fn equals_a_naive_model(commands in commands(), cut in 0..60_usize) {
        let (mut state, mut model, mut shadow) = (State::default(), Model::default(), BTreeMap::new());
        let mut answers: BTreeMap<u128, Outcome> = BTreeMap::new();
        let mut twin = State::default();
        let mut views = vec![state.view()];
        for (place, command) in commands.iter().enumerate() {
            let (before, entry) = (Model::of(&state), Entry { index: place as u64 + 1, term: 1 });
            let revision = state.revision();
            let applied = state.apply(entry, command);
            twin = if place == cut { restored(&twin) } else { twin };
            prop_assert_eq!(&twin.apply(entry, command), &applied);
            follow(&mut shadow, &applied.events);
            match answers.get(&command.request.0) {
                Some(first) => prop_assert_eq!(first, &applied.outcome),
                None => {
                    let accepted = matches!(applied.outcome, Outcome::Applied { .. });
                    prop_assert_eq!(model.apply(command), accepted);
                    answers.insert(command.request.0, applied.outcome);
                }
            }
            prop_assert_eq!(&Model::of(&state), &model);
            prop_assert!(state.revision().0 - revision.0 <= 1);
            prop_assert!(before == model || state.revision() > revision);
            let view = state.view();
            prop_assert!(view.range("", None).eq(shadow.values()));
            index_is_exact(&state);
            views.push(view);
        }
        for view in &views {
            let past = state.view().as_of(view.revision(), state.window()).unwrap();
            prop_assert_eq!((&past.0.records, &past.0.index), (&view.0.records, &view.0.index));
        }
        prop_assert_eq!(&twin, &state);
        prop_assert_eq!(&restored(&state), &state);
        let chunks = |state: &State| state.snapshot().chunks().map(Result::unwrap).collect::<Vec<_>>();
        prop_assert_eq!(chunks(&twin), chunks(&state));
        let mut replayed = BTreeMap::new();
        state.window().after(Revision(0)).for_each(|batch| follow(&mut replayed, batch));
        prop_assert_eq!(replayed, shadow);
    }
}
