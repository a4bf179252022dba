//! How fast the state machine is on this machine: writes with a view and watchers each, and a joined LIST.
//! Run with `cargo run --profile fast -p store --example throughput`.

use std::{sync::Arc, time::Instant};

use store::{Body, Command, Entry, Hub, Op, Pairs, RequestId, Revision, Scope, State};

/// Records, each of about the size of a small pod.
const RECORDS: u64 = 5_000;

/// Changes of them.
const WRITES: u64 = 100_000;

fn put(n: u64) -> Command {
    let indexes: Pairs = vec![("spec.nodeName".into(), format!("node-{}", n % 50).into())];
    let body = Body { head: vec![b'h'; 300].into(), tail: format!("{n:1200}").into() };
    let key = format!("/registry/pods/default/pod-{}", n % RECORDS).into();
    let op = Op::Put { key, body, labels: vec![], fields: vec![], indexes };
    Command { request: RequestId(u128::from(n)), guards: vec![], ops: vec![op] }
}

fn main() {
    let (mut state, hub) = (State::default(), Hub::default());
    let index = |node| Some((Arc::from("spec.nodeName"), Arc::from(format!("node-{node}"))));
    let scope = |node| Scope { prefix: "/registry/pods/".into(), index: index(node) };
    let watches: Vec<_> = (0..10_000).map(|n| hub.watch(scope(n), Revision(0)).expect("nothing compacted")).collect();
    let commands: Vec<_> = (0..WRITES).map(put).collect();

    let start = Instant::now();
    for (index, command) in (1..).zip(&commands) {
        let applied = state.apply(Entry { index, term: 1 }, command);
        hub.publish(&applied.events);
        std::hint::black_box(state.view());
    }
    let each = start.elapsed() / WRITES as u32;
    println!("write: {each:?} each, with {} watchers", watches.len());

    let (view, start) = (state.view(), Instant::now());
    let past = view.as_of(view.compacted(), state.window()).expect("the past is older");
    println!("rolled back: {:?} for {} events, {} records", start.elapsed(), state.window().events(), past.len());

    let start = Instant::now();
    let mut list = Vec::new();
    view.range("/registry/pods/", None).for_each(|record| record.body.render_into(record.modified, &mut list));
    println!("list: {:?} for {} records, {} bytes", start.elapsed(), view.len(), list.len());

    let start = Instant::now();
    let bytes: usize = state.snapshot().chunks().flatten().map(|chunk| chunk.len()).sum();
    println!("snapshot: {:?} for {bytes} bytes", start.elapsed());
}
