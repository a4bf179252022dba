//! Tests of the hub: catching up, overflow, lagging, disconnecting, and what a watcher costs.

use std::time::Instant;

use futures::{FutureExt, StreamExt};

use super::seat::BUFFERED_BATCHES;
use super::*;
use crate::suite::{command, put, put_indexed, scope};
use crate::{Entry, Incarnation, WINDOW_EVENTS};

/// Puts a new content under a key and publishes it.
fn write(state: &mut State, hub: &Hub, key: &str) -> Revision {
    let index = state.applied().index + 1;
    let op = put_indexed(key, &index.to_string(), &[("kind", key)]);
    let applied = state.apply(Entry { index, term: 1 }, &command(u128::from(index), vec![], vec![op]));
    hub.publish(&applied.events);
    state.revision()
}

/// Revisions that can be read without waiting, and the error after them.
fn drain(watch: &mut Watch) -> (Vec<u64>, Option<WatchError>) {
    let mut revisions = Vec::new();
    // A catching-up watch may ask to be polled again: bounded by the window.
    for _ in 0..WINDOW_EVENTS {
        match watch.next().now_or_never() {
            Some(Some(Ok(batch))) => revisions.push(batch[0].revision.0),
            Some(Some(Err(error))) => return (revisions, Some(error)),
            Some(None) => break,
            None => break,
        }
    }
    (revisions, None)
}

#[test]
fn reads_on_from_the_window_after_an_overflow() {
    let (mut state, hub) = (State::default(), Hub::default());
    let mut watch = hub.watch(scope(""), Revision(0)).unwrap();
    assert_eq!(drain(&mut watch), (vec![], None));
    let count = 3 * BUFFERED_BATCHES as u64 + 5;
    (0..count).for_each(|_| _ = write(&mut state, &hub, "/a"));
    assert_eq!(drain(&mut watch), ((1..=count).collect(), None));
    write(&mut state, &hub, "/a");
    assert_eq!(drain(&mut watch), (vec![count + 1], None));
}

#[test]
fn a_quiet_scope_does_not_lag_behind_a_busy_store() {
    let (mut state, hub) = (State::default(), Hub::default());
    let mut quiet = hub.watch(scope("/quiet"), Revision(0)).unwrap();
    let mut stalled = hub.watch(scope("/busy"), Revision(0)).unwrap();
    assert_eq!((drain(&mut quiet).0, drain(&mut stalled).0), (vec![], vec![]));
    (0..=WINDOW_EVENTS).for_each(|_| _ = write(&mut state, &hub, "/busy"));
    let last = (0..=BUFFERED_BATCHES).map(|_| write(&mut state, &hub, "/quiet").0).last().unwrap();
    let first = last - BUFFERED_BATCHES as u64;
    assert_eq!(drain(&mut quiet), ((first..=last).collect(), None));
    assert_eq!(drain(&mut stalled), (vec![], Some(WatchError::Lagged)));
    let compacted = state.view().compacted();
    assert!(hub.as_of(&state.view(), compacted).is_some());
    assert_eq!(hub.as_of(&state.view(), Revision(compacted.0 - 1)), None);
    let early = hub.watch(scope(""), Revision(1)).err().unwrap();
    assert_eq!(early, WatchError::Compacted { wanted: Revision(1), oldest: state.view().compacted() });
}

#[test]
fn waits_for_a_revision_that_is_yet_to_come() {
    let (mut state, hub) = (State::default(), Hub::default());
    let mut watch = hub.watch(scope(""), Revision(2)).unwrap();
    (0..4).for_each(|_| _ = write(&mut state, &hub, "/a"));
    assert_eq!(drain(&mut watch), (vec![3, 4], None));
    let mut watch = hub.watch(scope(""), Revision(6)).unwrap();
    assert_eq!(drain(&mut watch), (vec![], None));
    (0..4).for_each(|_| _ = write(&mut state, &hub, "/a"));
    assert_eq!(drain(&mut watch), (vec![7, 8], None));
}

#[test]
fn disconnecting_ends_watches_after_what_they_have() {
    let (mut state, hub) = (State::default(), Hub::default());
    let mut watch = hub.watch(scope(""), Revision(0)).unwrap();
    assert_eq!(drain(&mut watch), (vec![], None));
    write(&mut state, &hub, "/a");
    hub.disconnect_all();
    write(&mut state, &hub, "/a");
    assert_eq!(drain(&mut watch), (vec![1], Some(WatchError::Disconnected)));
    assert_eq!((watch.next().now_or_never().unwrap().is_none(), hub.watchers()), (true, 0));
    assert_eq!(drain(&mut hub.watch(scope(""), Revision(1)).unwrap()), (vec![2], None));
}

#[test]
fn a_restored_window_continues_watches_that_it_reaches() {
    let (mut state, hub) = (State::default(), Hub::default());
    let mut near = hub.watch(scope(""), Revision(0)).unwrap();
    let other = Hub::default();
    write(&mut state, &hub, "/a");
    assert_eq!(drain(&mut near), (vec![1], None));
    write(&mut state, &other, "/a");
    hub.reset(&state);
    assert_eq!(drain(&mut near), (vec![2], None));
    state.jump(10, Incarnation(1));
    hub.reset(&state);
    assert_eq!(drain(&mut near), (vec![], Some(WatchError::Lagged)));
}

#[test]
fn dropping_watches_leaves_nothing_behind() {
    let hub = Hub::default();
    let index = Some((Arc::from("node"), Arc::from("n1")));
    let watches = [scope(""), scope("/a/"), Scope { prefix: "/a/".into(), index }];
    let watches = watches.map(|scope| hub.watch(scope, Revision(0)).unwrap());
    assert_eq!(hub.watchers(), 3);
    drop(watches);
    assert_eq!(format!("{:?}", hub.0.lock().topics), "Topics({})");
}

#[test]
fn ten_thousand_watchers_of_other_keys_cost_a_write_nothing() {
    let time = |watchers: usize| {
        let (mut state, hub) = (State::default(), Hub::default());
        let scopes = (0..watchers).map(|n| scope(&format!("/other/{n}")));
        let mut watches: Vec<_> = scopes.map(|scope| hub.watch(scope, Revision(0)).unwrap()).collect();
        watches.iter_mut().for_each(|watch| assert_eq!(drain(watch), (vec![], None)));
        let start = Instant::now();
        (0..2_000).for_each(|_| _ = write(&mut state, &hub, "/a"));
        start.elapsed()
    };
    let (few, many) = (time(10), time(10_000));
    // All watchers would cost a thousand times more; a machine that is busy elsewhere, a few times.
    assert!(many < few * 50, "{few:?} became {many:?}");
}

#[test]
fn shares_one_batch_among_the_watchers_of_a_scope() {
    let (mut state, hub) = (State::default(), Hub::default());
    let mut watches = [(); 2].map(|()| hub.watch(scope("/a"), Revision(0)).unwrap());
    watches.iter_mut().for_each(|watch| assert_eq!(drain(watch), (vec![], None)));
    let ops = vec![put("/a", "1"), put("/b", "1")];
    hub.publish(&state.apply(Entry { index: 1, term: 1 }, &command(1, vec![], ops)).events);
    let [one, two] = watches.each_mut().map(|watch| watch.next().now_or_never().unwrap().unwrap().unwrap());
    assert!(Arc::ptr_eq(&one, &two) && one.len() == 1);
}
