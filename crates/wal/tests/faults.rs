//! Power cuts at every step, full and failing disks, and a model with random operations.

mod common;

use bytes::Bytes;
use common::{all, open, record, records, salts};
use proptest::prelude::*;
use std::sync::Arc;
use wal::{AppendError, Committer, Config, Disk, Faults, Log, MemoryDisk, Record, SyncError};

#[derive(Clone, Debug)]
enum Op {
    Append(u64),
    Truncate(u64),
    Purge(u64),
    Vote(u8),
    Sync,
    Reopen,
    PowerCut,
}

/// What a log must hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    first: u64,
    records: Vec<Record>,
    purged: Option<u64>,
    vote: Option<Bytes>,
}

impl Model {
    fn of(log: &Log) -> Self {
        let purged = log.purged().map(|(index, _)| index);
        let found = all(log);
        let first = if found.is_empty() { purged.map_or(0, |p| p + 1) } else { log.range().start };
        Self { first, records: found, purged, vote: log.vote() }
    }

    fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Does the same to log and model; notes the states that a torn write may leave.
    fn apply(&mut self, op: &Op, log: &Log, salt: u64, possible: &mut Vec<Self>) {
        let next = self.next();
        match op {
            Op::Append(count) => {
                let new: Vec<_> = (next..next + count).map(|i| stamped(i, salt)).collect();
                for record in new.clone() {
                    possible.push(self.clone()); // a torn batch leaves its first records
                    self.records.push(record);
                }
                log.append(new).expect("follows");
            }
            Op::Truncate(back) => {
                let from = next.saturating_sub(*back).max(self.first);
                log.truncate_after(from.checked_sub(1)).expect("works");
                self.records.truncate((from - self.first) as usize);
            }
            Op::Purge(ahead) => {
                let index = self.first + ahead;
                log.purge_to(index, Bytes::from(format!("mark {index}"))).expect("works");
                let gone = (ahead + 1).min(self.records.len() as u64);
                self.records.drain(..gone as usize);
                self.first = index + 1;
                self.purged = Some(index);
            }
            Op::Vote(vote) => {
                self.vote = Some(Bytes::copy_from_slice(&[*vote]));
                log.set_vote(Bytes::copy_from_slice(&[*vote])).expect("works");
            }
            Op::Sync | Op::Reopen | Op::PowerCut => {}
        }
    }
}

/// A record that tells which of several of that index it is.
fn stamped(index: u64, salt: u64) -> Record {
    Record { index, payload: format!("{index} of {salt} {}", "y".repeat(index as usize % 50)).into() }
}

/// Runs operations; after each restart the log is in one of the states since the last sync.
fn check(seed: u64, ops: &[Op], cut_after: Option<u64>) {
    let mut disk = MemoryDisk::new(seed);
    disk.set_faults(Faults { power_cut_after: cut_after, ..Faults::default() });
    let mut model = Model::default();
    let mut possible = vec![model.clone()];
    let mut log = open(&disk).expect("new").0;
    for (at, op) in ops.iter().enumerate() {
        model.apply(op, &log, at as u64, &mut possible);
        possible.push(model.clone());
        let dead = match op {
            Op::Sync => match log.sync() {
                Ok(_) => {
                    possible = vec![model.clone()];
                    disk.list().is_err() // the power went after the sync, before it returned
                }
                Err(_) => true,
            },
            Op::Reopen => {
                disk.kill();
                true
            }
            Op::PowerCut => {
                disk.power_cut();
                true
            }
            _ => false,
        };
        if dead {
            disk = disk.restart();
            log = open(&disk).unwrap_or_else(|error| panic!("seed {seed} cut {cut_after:?} step {at}: {error}")).0;
            model = Model::of(&log);
            assert!(
                possible.contains(&model),
                "seed {seed} cut {cut_after:?} step {at}: {model:?} is none of {possible:?}"
            );
            possible = vec![model.clone()];
        }
        assert_eq!(Model::of(&log), model, "seed {seed} step {at}");
    }
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_synced() {
    let mut ops = Vec::new();
    for round in 0..12 {
        ops.extend([
            Op::Append(1 + round % 4),
            Op::Sync,
            Op::Vote(round as u8),
            Op::Append(3),
            Op::Truncate(2),
            Op::Sync,
        ]);
        if round % 3 == 2 {
            ops.extend([Op::Purge(8), Op::Append(1), Op::Sync, Op::Sync]);
        }
    }
    for cut in 0..160 {
        for seed in 0..6 {
            check(seed, &ops, Some(cut));
        }
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..6u64).prop_map(Op::Append),
        1 => (0..5u64).prop_map(Op::Truncate),
        1 => (0..9u64).prop_map(Op::Purge),
        1 => any::<u8>().prop_map(Op::Vote),
        4 => Just(Op::Sync),
        1 => Just(Op::Reopen),
        1 => Just(Op::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_its_model(seed in any::<u64>(), ops in prop::collection::vec(any_op(), 1..80), cut in prop::option::of(0..200u64)) {
        check(seed, &ops, cut);
    }
}

#[test]
fn an_empty_log_starts_anywhere_past_what_was_purged() {
    let disk = MemoryDisk::new(1);
    let (log, _) = open(&disk).expect("new");
    log.append(records(5..8)).expect("an empty log starts anywhere");
    assert_eq!(log.append(vec![record(9)]), Err(AppendError::Gap { index: 9, expected: 8 }));
    log.purge_to(20, Bytes::from_static(b"id of 20")).expect("works");
    assert_eq!(log.range(), 21..21);
    assert!(log.append(vec![record(20)]).is_err(), "20 was purged");
    log.append(records(21..23)).expect("follows");
    log.set_committed(Bytes::from_static(b"c")).expect("works");
    log.sync().expect("works");
    let (log, _) = open(&disk).expect("sound");
    assert_eq!((all(&log), log.purged()), (records(21..23), Some((20, Bytes::from_static(b"id of 20")))));
    assert_eq!(log.committed(), Some(Bytes::from_static(b"c")));
    log.read(20..22, 100).expect_err("purged");
}

#[test]
fn purging_frees_the_files() {
    let disk = MemoryDisk::new(1);
    let (log, _) = open(&disk).expect("new");
    for index in 0..60 {
        log.append(vec![record(index)]).expect("room");
        log.sync().expect("works");
    }
    let segments = || disk.list().expect("live").iter().filter(|name| name.ends_with(".seg")).count();
    let before = segments();
    log.purge_to(57, Bytes::new()).expect("works");
    log.sync().expect("works");
    assert!(before > 5 && segments() <= 2, "{before} then {}", segments());
    assert_eq!(all(&open(&disk).expect("sound").0), records(58..60));
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    let disk = MemoryDisk::new(5);
    let config = Config { pending_bytes: 2000, ..common::small() };
    let (log, _) = common::open_with(&disk, config).expect("new");
    log.append(records(0..3)).expect("room");
    log.sync().expect("works");
    for room in (0..1500).step_by(7) {
        let disk = disk.fork();
        let (log, _) = common::open_with(&disk, config).expect("sound");
        let used: usize = disk.list().expect("live").iter().map(|name| disk.content(name).expect("there").len()).sum();
        disk.set_faults(Faults { capacity: Some((used + room) as u64), ..Faults::default() });
        let mut next = 3;
        let refused = loop {
            match log.append(vec![record(next)]) {
                Ok(_) => next += 1,
                Err(error) => break error,
            }
            let _ = log.sync();
        };
        assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
        assert!(log.is_full());
        assert_eq!(log.sync(), Err(SyncError::Full));
        assert_eq!(all(&log), records(0..next), "reads go on");
        // A process that dies now keeps what was acknowledged ...
        let dead = disk.fork();
        dead.power_cut();
        let found = all(&common::open_with(&dead.restart(), config).expect("sound").0);
        assert!(found.len() >= 3 && found == records(0..found.len() as u64));
        // ... and with room again it goes on.
        disk.set_faults(Faults::default());
        log.sync().expect("room again");
        assert!(!log.is_full());
        log.append(vec![record(next)]).expect("room again");
        log.sync().expect("works");
        assert_eq!(all(&open(&disk).expect("sound").0), records(0..next + 1));
    }
}

#[test]
fn a_failed_sync_ends_the_log_until_it_is_opened_anew() {
    let disk = MemoryDisk::new(5);
    let (log, _) = open(&disk).expect("new");
    log.append(records(0..3)).expect("room");
    log.sync().expect("works");
    log.append(vec![record(3)]).expect("room");
    disk.set_faults(Faults { fail_sync: true, ..Faults::default() });
    assert!(matches!(log.sync(), Err(SyncError::Failed(_))));
    disk.set_faults(Faults::default());
    assert!(matches!(log.sync(), Err(SyncError::Failed(_))), "a later success would prove nothing");
    assert!(matches!(log.append(vec![record(4)]), Err(AppendError::Failed(_))));
    assert_eq!(all(&log), records(0..4), "reads go on");
    let (log, _) = open(&disk).expect("sound");
    assert_eq!(all(&log), records(0..4));
    disk.power_cut();
    assert_eq!(all(&open(&disk.restart()).expect("sound").0), records(0..4), "opening made the tail durable");
}

#[test]
fn no_sealed_bytes_ever_repeat() {
    // The same payloads at the same places, through restarts and truncations: never the same ciphertext.
    let disk = MemoryDisk::new(5);
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..5 {
        let log = open(&disk).expect("sound").0;
        log.truncate_after(None).expect("works");
        log.append((0..4).map(|index| Record { index, payload: Bytes::from_static(&[0; 64]) }).collect())
            .expect("room");
        log.sync().expect("works");
        let content = disk.content(&common::last_segment(&disk)).expect("there");
        let starts: Vec<_> = (0..content.len() - 112).filter(|at| &content[*at..*at + 4] == b"mWf\xA5").collect();
        assert!(starts.len() >= 4, "round {round}: {starts:?}");
        for at in starts {
            assert!(seen.insert(content[at + 48..at + 112].to_vec()), "round {round} at {at}");
        }
    }
}

#[test]
fn the_committer_gathers_waiters_into_few_syncs() {
    let disk = MemoryDisk::new(5);
    let (log, _) = common::open_with(&disk, Config::default()).expect("new");
    let syncs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (go, gate) = std::sync::mpsc::sync_channel::<()>(0);
    let (counter, gate) = (syncs.clone(), std::sync::Mutex::new(gate));
    let hook = move |what: &'static str| {
        if what == "sync" && counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            gate.lock().expect("whole").recv().expect("the test goes on");
        }
    };
    disk.set_faults(Faults { hook: Some(Arc::new(hook)), ..Faults::default() });
    let committer = Committer::start(log.clone()).expect("a thread");
    let (sender, receiver) = std::sync::mpsc::channel();
    for index in 0..50 {
        let position = log.append(vec![Record { index, payload: Bytes::from_static(b"x") }]).expect("room");
        let sender = sender.clone();
        committer.when_durable(position, Box::new(move |result| sender.send(result).expect("the test waits")));
    }
    go.send(()).expect("the first sync waits for this");
    for _ in 0..50 {
        receiver.recv().expect("called back").expect("durable");
    }
    let total = syncs.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=2).contains(&total), "{total} syncs for 50 records, of which the first may have taken any");
    let position = log.set_vote(Bytes::from_static(b"v")).expect("works");
    committer.wait(position).expect("durable");
    disk.set_faults(Faults { fail_sync: true, ..Faults::default() });
    let position = log.set_vote(Bytes::from_static(b"w")).expect("works");
    assert!(matches!(committer.wait(position), Err(SyncError::Failed(_))));
}

#[test]
fn the_committer_waits_for_room() {
    let disk = MemoryDisk::new(5);
    let log = Log::open(Arc::new(disk.clone()), common::keys(), salts(1), Config::default()).expect("new").0;
    let committer = Committer::start(log.clone()).expect("a thread");
    let (full, seen) = std::sync::mpsc::sync_channel(1);
    let hook = move |what: &'static str| {
        if what == "write" {
            let _ = full.try_send(());
        }
    };
    disk.set_faults(Faults { capacity: Some(10), hook: Some(Arc::new(hook)), ..Faults::default() });
    let position = log.append(vec![record(0)]).expect("room in memory");
    let (sender, receiver) = std::sync::mpsc::channel();
    committer.when_durable(position, Box::new(move |result| drop(sender.send(result))));
    seen.recv().expect("a write was tried");
    assert!(receiver.try_recv().is_err(), "nobody is told while the disk is full");
    disk.set_faults(Faults::default());
    receiver.recv().expect("called back").expect("durable");
}
