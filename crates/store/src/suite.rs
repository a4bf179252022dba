//! What every [`Storage`] must do, as one suite that each implementation runs against itself.
//!
//! Panics (as tests do) where a promise is broken. Uses no clock: what must not come is proved by what comes next.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;

use crate::{
    Batch, Body, Command, Freshness, Guard, Key, Op, Outcome, Refusal, RequestId, Revision, Scope, Storage, Watch,
    WatchError,
};

/// A put without pairs; `text` is the document's tail.
#[must_use]
pub fn put(key: &str, text: &str) -> Op {
    put_indexed(key, text, &[])
}

/// A put with index pairs.
#[must_use]
pub fn put_indexed(key: &str, text: &str, indexes: &[(&str, &str)]) -> Op {
    let indexes = indexes.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
    let body = Body { head: "rv=".into(), tail: text.to_owned().into() };
    Op::Put { key: key.into(), body, labels: vec![], fields: vec![], indexes }
}

/// A command under a request id.
#[must_use]
pub fn command(request: u128, guards: Vec<Guard>, ops: Vec<Op>) -> Command {
    Command { request: RequestId(request), guards, ops }
}

/// Everything under a prefix.
#[must_use]
pub fn scope(prefix: &str) -> Scope {
    Scope { prefix: prefix.into(), index: None }
}

/// Runs every check, each on a fresh and empty storage.
pub async fn run<S: Storage, F: Future<Output = S>>(make: impl Fn() -> F) {
    reads_its_own_writes(&make().await).await;
    refuses_as_a_whole(&make().await).await;
    answers_a_repeat_identically(&make().await).await;
    reads_the_past(&make().await).await;
    watches_from_a_revision(&make().await).await;
    watches_within_a_scope(&make().await).await;
    shows_no_view_before_its_events(&make().await).await;
}

async fn propose(storage: &impl Storage, request: u128, guards: Vec<Guard>, ops: Vec<Op>) -> Outcome {
    storage.propose(command(request, guards, ops)).await.expect("a healthy storage accepts a proposal")
}

async fn applied(storage: &impl Storage, request: u128, ops: Vec<Op>) -> Revision {
    match propose(storage, request, vec![], ops).await {
        Outcome::Applied { revision } => revision,
        Outcome::Refused(refusal) => panic!("an unguarded write was refused: {refusal:?}"),
    }
}

async fn next(watch: &mut Watch) -> Result<Batch, WatchError> {
    watch.next().await.expect("a watch without an error goes on")
}

fn keys(batch: &Batch) -> Vec<Key> {
    batch.iter().map(|event| event.subject().key.clone()).collect()
}

/// A proposal's answer comes after this node can read it, at every freshness.
pub async fn reads_its_own_writes(storage: &impl Storage) {
    for n in 1..=20_u128 {
        let revision = applied(storage, n, vec![put("/a/x", &n.to_string())]).await;
        for freshness in [Freshness::Any, Freshness::AtLeast(revision), Freshness::Linearizable] {
            let view = storage.read(freshness).await.expect("a healthy storage answers a read");
            let record = view.get("/a/x").expect("the record was just written");
            assert_eq!((view.revision(), record.modified), (revision, revision), "{freshness:?}");
            assert_eq!(record.render(), format!("rv={}{n}", revision.0));
        }
    }
}

/// A guard, a claim or a ceiling that does not hold leaves nothing behind.
pub async fn refuses_as_a_whole(storage: &impl Storage) {
    let claim = |owner: &str| Op::Claim { name: "ip/1".into(), owner: owner.into() };
    let count = |delta| Op::Count { name: "quota".into(), delta, ceiling: Some(2) };
    let before = applied(storage, 1, vec![claim("one"), count(2)]).await;
    let held = Refusal::Claimed { name: "ip/1".into(), holder: "one".into() };
    let full = Refusal::Ceiling { name: "quota".into(), value: 2 };
    let rows = [
        (vec![Guard::Present("/a".into())], vec![], Refusal::Guard(0)),
        (vec![], vec![claim("two")], held),
        (vec![], vec![count(1)], full),
    ];
    for (request, (guards, ops, refusal)) in (2..).zip(rows) {
        let ops = [put("/a", "left behind")].into_iter().chain(ops).collect();
        assert_eq!(propose(storage, request, guards, ops).await, Outcome::Refused(refusal));
    }
    let view = storage.read(Freshness::Linearizable).await.expect("a healthy storage answers a read");
    assert_eq!((view.revision(), view.len(), view.counter("quota")), (before, 0, 2));
}

/// The same request again, even when its guards no longer hold, gets the first answer and changes nothing.
pub async fn answers_a_repeat_identically(storage: &impl Storage) {
    let once = || propose(storage, 7, vec![Guard::Absent("/a".into())], vec![put("/a", "1")]);
    let first = once().await;
    let last = applied(storage, 8, vec![put("/b", "1")]).await;
    assert_eq!(once().await, first);
    let view = storage.read(Freshness::Linearizable).await.expect("a healthy storage answers a read");
    assert_eq!(view.revision(), last);
}

/// What was read at a revision can be read again, by key, range and index, until the window has moved past it.
pub async fn reads_the_past(storage: &impl Storage) {
    let on = |key: &str, text: &str, node: &str| put_indexed(key, text, &[("node", node)]);
    let writes = [
        vec![on("/a", "1", "n1"), on("/b", "1", "n1")],
        vec![on("/a", "2", "n2"), Op::Delete("/b".into()), on("/c", "1", "n1")],
        vec![on("/a", "3", "n1"), on("/b", "2", "n2"), Op::Delete("/c".into())],
    ];
    let mut seen = Vec::new();
    for (request, ops) in (1..).zip(writes) {
        applied(storage, request, ops).await;
        seen.push(storage.read(Freshness::Any).await.expect("a stale read never fails"));
    }
    for view in &seen {
        let past = storage.as_of(view.revision()).expect("the window reaches back");
        assert_eq!(past.revision(), view.revision());
        assert!(past.range("", None).eq(view.range("", None)), "{:?}", view.revision());
        assert!(["n1", "n2"].iter().all(|node| past.by_index("node", node).eq(view.by_index("node", node))));
    }
    let newest = seen.last().expect("there were writes").revision();
    assert!(storage.as_of(Revision(newest.0 + 1)).is_none(), "the future cannot be read");
}

/// A watch gives what came after its start, once, in order, one batch per transaction, old and new.
pub async fn watches_from_a_revision(storage: &impl Storage) {
    let first = applied(storage, 1, vec![put("/a", "1")]).await;
    let second = applied(storage, 2, vec![put("/b", "1"), put("/a", "2")]).await;
    let mut watch = storage.watch(scope(""), first).expect("the window reaches back");
    let third = applied(storage, 3, vec![Op::Delete("/b".into())]).await;
    let batch = next(&mut watch).await.expect("the first batch");
    assert_eq!((batch[0].revision, keys(&batch)), (second, vec![Key::from("/b"), Key::from("/a")]));
    assert_eq!(batch[1].old.as_ref().map(|old| old.modified), Some(first));
    let batch = next(&mut watch).await.expect("the second batch");
    assert_eq!((batch[0].revision, batch[0].new.clone()), (third, None));
    assert_eq!(batch[0].render(), format!("rv={}1", third.0));
}

/// A scope lets through its prefix, and of an index pair what has it or had it.
pub async fn watches_within_a_scope(storage: &impl Storage) {
    let start = applied(storage, 1, vec![put("/pods/a", "1")]).await;
    let index = Some((Arc::from("node"), Arc::from("n1")));
    let on_node = Scope { prefix: "/pods/".into(), index };
    let mut node = storage.watch(on_node, start).expect("the window reaches back");
    let mut one = storage.watch(scope("/pods/a"), start).expect("the window reaches back");
    let writes = [
        put_indexed("/pods/b", "1", &[("node", "n1")]),
        put_indexed("/pods/ab", "1", &[("node", "n2")]),
        put_indexed("/pods/b", "2", &[("node", "n2")]),
        put_indexed("/pods/b", "3", &[("node", "n2")]),
        put_indexed("/pods/a", "2", &[("node", "n1")]),
    ];
    for (request, op) in (2..).zip(writes) {
        applied(storage, request, vec![op]).await;
    }
    for expected in ["/pods/b", "/pods/b", "/pods/a"] {
        assert_eq!(keys(&next(&mut node).await.expect("a batch")), [Key::from(expected)]);
    }
    assert_eq!(keys(&next(&mut one).await.expect("a batch")), [Key::from("/pods/a")]);
}

/// What a view shows, a watch has at hand already (what a bookmark promises).
pub async fn shows_no_view_before_its_events(storage: &impl Storage) {
    let mut watch = storage.watch(scope("/a"), Revision(0)).expect("nothing is compacted yet");
    for n in 1..=20_u128 {
        applied(storage, n, vec![put("/a", &n.to_string())]).await;
        let view = storage.read(Freshness::Any).await.expect("a healthy storage answers a read");
        let batch = futures::FutureExt::now_or_never(watch.next()).flatten();
        let batch = batch.expect("the watch was told before the view was shown").expect("a batch");
        assert_eq!(batch[0].revision, view.revision());
    }
}
