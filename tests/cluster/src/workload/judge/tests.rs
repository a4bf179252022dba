//! A good history passes; each kind of wrong one is found.

use super::*;
use crate::workload::judge::judge;

fn operation(key: &str, action: Action, token: Token, called: u64, answered: Option<(u64, Option<u64>)>) -> Operation {
    let ending = answered.map_or(Ending::Open, |(at, revision)| Ending::Answered(at, revision));
    Operation { key: key.into(), action, token, called, ending }
}

fn event(revision: u64, key: &str, token: Token) -> Event {
    Event { revision, key: key.into(), token }
}

/// One object is created, patched, read, updated; another comes and goes; one write is never answered.
fn good() -> Record {
    let operations = vec![
        operation("r", Action::Create, 1, 10, Some((20, Some(5)))),
        operation("r", Action::Patch, 2, 30, Some((40, Some(6)))),
        operation("r", Action::Read, 2, 50, Some((60, Some(6)))),
        operation("r", Action::Update(6), 3, 70, Some((80, Some(8)))),
        operation("own", Action::Create, 4, 72, Some((78, Some(7)))),
        operation("own", Action::Delete, 0, 82, Some((90, None))),
        operation("own", Action::Read, 0, 95, Some((96, None))),
        operation("r", Action::Patch, 9, 100, None),
    ];
    let events = vec![event(5, "r", 1), event(6, "r", 2), event(7, "own", 4), event(8, "r", 3), event(9, "own", 0)];
    let told = Told { events, wrong: Vec::new(), streams: 1 };
    let shown = BTreeMap::from([("r".to_owned(), (8, 3))]);
    Record { operations, watchers: vec![told.clone(), told], finals: vec![shown.clone(), shown] }
}

/// Seeds something wrong; the judge must say so in these words.
fn check(name: &str, seed: impl FnOnce(&mut Record), words: &str) {
    let mut record = good();
    seed(&mut record);
    let wrong = judge(&record);
    assert!(wrong.iter().any(|one| one.contains(words)), "{name}: {wrong:#?}");
}

#[test]
fn a_good_history_passes() {
    assert_eq!(judge(&good()), Vec::<String>::new());
}

#[test]
fn an_unanswered_write_may_happen_late() {
    let mut record = good();
    for told in &mut record.watchers {
        told.events.push(event(10, "r", 9));
    }
    for shown in &mut record.finals {
        shown.insert("r".into(), (10, 9));
    }
    assert_eq!(judge(&record), Vec::<String>::new());
}

#[test]
fn every_kind_of_wrong_history_is_found() {
    check("a lost write", |run| forget(run, 6), "acknowledged and lost");
    check(
        "a write under another revision",
        |run| run.operations[1].ending = Ending::Answered(40, Some(4)),
        "happened at 6",
    );
    check("a denied write that happened", |run| run.operations[1].ending = Ending::Denied(503), "denied, yet applied");
    check("a write applied twice", |run| tell(run, event(11, "r", 2)), "applied twice");
    check("a write nobody asked for", |run| tell(run, event(11, "r", 77)), "nobody asked");
    check("a stale read", |run| reads(run, 2, (1, Some(5))), "no version explains");
    check("a read of what is not there yet", |run| reads(run, 2, (0, None)), "no version explains");
    check("a read of what is gone", |run| reads(run, 6, (4, Some(7))), "no version explains");
    check("a read of what nobody wrote", |run| reads(run, 2, (88, Some(6))), "no version explains");
    check("an update over another's write", |run| run.operations[3].action = Action::Update(5), "replaced another");
    check("a create over something", |run| run.operations[3].action = Action::Create, "create replaced");
    check("a write before one that was answered", swap, "no version explains");
    check("a gap in one watch", |run| drop(run.watchers[1].events.remove(2)), "watcher 1 was not told");
    check("a change told twice", |run| run.watchers[0].wrong.push("told after".into()), "told after");
    check("a node that shows something else", |run| shows(run, 1, "r", (6, 2)), "node 1 shows r");
    check("a node that shows what was removed", |run| shows(run, 0, "own", (7, 4)), "shows own");
}

fn shows(run: &mut Record, node: usize, key: &str, what: (u64, Token)) {
    run.finals[node].insert(key.into(), what);
}

fn tell(run: &mut Record, event: Event) {
    for told in &mut run.watchers {
        told.events.push(event.clone());
    }
}

fn forget(run: &mut Record, revision: u64) {
    for told in &mut run.watchers {
        told.events.retain(|event| event.revision != revision);
    }
}

fn reads(run: &mut Record, place: usize, (token, revision): (Token, Option<u64>)) {
    run.operations[place].token = token;
    let at = run.operations[place].answered().unwrap_or_default();
    run.operations[place].ending = Ending::Answered(at, revision);
}

/// The patch is asked after the update was answered, yet has the older revision.
fn swap(run: &mut Record) {
    run.operations[1].called = 81;
    run.operations[1].ending = Ending::Answered(85, Some(6));
}
