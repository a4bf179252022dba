//! Every guard, operation and refusal, as a table.

use std::sync::Arc;

use crate::suite::{command, put, put_indexed};
use crate::{Applied, Command, Entry, Guard, Incarnation, Op, Outcome, RECOVERY_JUMP, Refusal, Revision, State};

const TERM: u64 = 7;

fn apply(state: &mut State, command: &Command) -> Applied {
    state.apply(Entry { index: state.applied().index + 1, term: TERM }, command)
}

fn claim(name: &str, owner: &str) -> Op {
    Op::Claim { name: name.into(), owner: owner.into() }
}

fn count(delta: i64, ceiling: Option<i64>) -> Op {
    Op::Count { name: "n".into(), delta, ceiling }
}

fn flag(value: &str) -> Op {
    Op::SetFlag("feature_level".into(), value.into())
}

/// Revision 2: `/a/x` made in 1, `/a/y` in 2 with an index, claim `ip` of `one`, counter 3, flag 5.
fn before() -> State {
    let mut state = State::default();
    apply(&mut state, &command(1, vec![], vec![put("/a/x", "1")]));
    let y = put_indexed("/a/y", "1", &[("node", "n1")]);
    apply(&mut state, &command(2, vec![], vec![y, claim("ip", "one"), count(3, None), flag("5")]));
    state
}

#[test]
fn each_guard_holds_or_refuses() {
    let key = Arc::from;
    let rows = [
        (Guard::Unchanged(key("/a/x"), Revision(1)), true),
        (Guard::Unchanged(key("/a/x"), Revision(2)), false),
        (Guard::Unchanged(key("/a/z"), Revision(0)), false),
        (Guard::Absent(key("/a/z")), true),
        (Guard::Absent(key("/a/x")), false),
        (Guard::Present(key("/a/x")), true),
        (Guard::Present(key("/a/")), false),
        (Guard::NoneUnder(key("/b/")), true),
        (Guard::NoneUnder(key("/a/")), false),
        (Guard::NoneUnder(key("/a/z")), true),
        (Guard::Flag(key("feature_level"), key("5")), true),
        (Guard::Flag(key("feature_level"), key("")), false),
        (Guard::Flag(key("unset"), key("")), true),
        (Guard::Term(TERM), true),
        (Guard::Term(TERM - 1), false),
    ];
    for (guard, holds) in rows {
        let guards = vec![Guard::Term(TERM), guard.clone()];
        let outcome = apply(&mut before(), &command(9, guards, vec![])).outcome;
        let refused = Outcome::Refused(Refusal::Guard(1));
        let expected = if holds { Outcome::Applied { revision: Revision(2) } } else { refused };
        assert_eq!(outcome, expected, "{guard:?}");
    }
}

#[test]
fn operations_make_a_revision_only_where_they_change_something() {
    let release = |owner: &str| Op::Release { name: "ip".into(), owner: owner.into() };
    let rows = [
        (vec![], 2, 0),
        (vec![put("/a/x", "1")], 2, 0),
        (vec![put("/a/x", "2")], 3, 1),
        (vec![put_indexed("/a/x", "1", &[("node", "n1")])], 3, 1),
        (vec![put("/a/x", "2"), put("/a/x", "3")], 3, 1),
        (vec![put("/a/x", "2"), put("/a/x", "1")], 2, 0),
        (vec![put("/a/z", "2"), Op::Delete("/a/z".into())], 2, 0),
        (vec![Op::Delete("/a/x".into()), Op::Delete("/a/y".into())], 3, 2),
        (vec![Op::Delete("/a/z".into())], 2, 0),
        (vec![claim("ip", "one")], 2, 0),
        (vec![claim("ip2", "one")], 3, 0),
        (vec![release("two")], 2, 0),
        (vec![release("one"), claim("ip", "two")], 3, 0),
        (vec![count(0, Some(1))], 2, 0),
        (vec![count(-1, Some(1))], 3, 0),
        (vec![count(1, Some(4))], 3, 0),
        (vec![flag("5")], 2, 0),
        (vec![flag("")], 3, 0),
    ];
    for (ops, revision, events) in rows {
        let applied = apply(&mut before(), &command(9, vec![], ops.clone()));
        assert_eq!(applied.outcome, Outcome::Applied { revision: Revision(revision) }, "{ops:?}");
        assert_eq!(applied.events.len(), events, "{ops:?}");
    }
}

#[test]
fn a_refusal_names_its_reason_and_leaves_nothing() {
    let held = Refusal::Claimed { name: "ip".into(), holder: "one".into() };
    let bounds = Refusal::Ceiling { name: "n".into(), value: 3 };
    let rows = [
        (claim("ip", "two"), held),
        (count(1, Some(3)), bounds.clone()),
        (count(-4, None), bounds.clone()),
        (count(i64::MAX, None), bounds),
    ];
    for (op, refusal) in rows {
        let mut state = before();
        let view = state.view();
        let applied = apply(&mut state, &command(9, vec![], vec![put("/a/x", "2"), op]));
        assert_eq!((applied.outcome, applied.events.len()), (Outcome::Refused(refusal), 0));
        assert_eq!(state.view(), view);
    }
}

#[test]
fn a_recreated_record_is_new_and_one_event() {
    let mut state = before();
    let ops = vec![Op::Delete("/a/x".into()), put("/a/x", "2")];
    let applied = apply(&mut state, &command(9, vec![], ops));
    let new = applied.events[0].new.as_ref().unwrap();
    assert_eq!((applied.events.len(), new.created, new.modified), (1, Revision(3), Revision(3)));
}

#[test]
fn a_jump_compacts_everything_before() {
    let mut state = before();
    state.jump(RECOVERY_JUMP, Incarnation(4));
    let revision = Revision(RECOVERY_JUMP + 2);
    let view = state.view();
    assert_eq!((view.revision(), view.compacted(), view.incarnation()), (revision, revision, Incarnation(4)));
    assert_eq!((view.len(), state.window().events()), (2, 0));
}

#[test]
fn views_page_through_ranges_and_indexes() {
    let mut state = State::default();
    let names = ["/a", "/a/1", "/a/2", "/a/3", "/b/1"];
    let ops = names.iter().map(|name| put_indexed(name, "", &[("node", "n1"), ("owner", name)])).collect();
    apply(&mut state, &command(1, vec![], ops));
    let view = state.view();
    let keys = |prefix, after| view.range(prefix, after).map(|record| &*record.key).collect::<Vec<_>>();
    assert_eq!(keys("", None), names);
    assert_eq!(keys("/a/", None), names[1..4]);
    assert_eq!(keys("/a/", Some("/a/1")), names[2..4]);
    assert_eq!(keys("/a/", Some("/")), names[1..4]);
    assert_eq!((view.count("/a/", None), view.count("/c", None)), (3, 0));
    let found = |prefix, after| view.by_index_under("node", "n1", prefix, after).map(|r| &*r.key).collect::<Vec<_>>();
    assert_eq!(found("/a/", Some("/a/1")), names[2..4]);
    assert_eq!((found("", None), view.by_index("owner", "/a/2").count()), (names.to_vec(), 1));
    assert_eq!((view.by_index("node", "n").count(), view.by_index("nod", "n1").count()), (0, 0));
}
