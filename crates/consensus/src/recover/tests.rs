//! New histories on disks in memory.

use std::sync::Arc;

use store::{Body, Op, RequestId};
use wal::{Key, KeyId, KeyRing, MemoryDisk};

use super::*;

fn media() -> Media {
    Media::new(Arc::new(MemoryDisk::new(1)), KeyRing::new(KeyId(1), Key::new([7; 32])))
}

fn put(key: &str, request: u128) -> Command {
    let body = Body { head: b"{}".to_vec().into(), tail: Default::default() };
    let put = Op::Put { key: key.into(), body, labels: Vec::new(), fields: Vec::new(), indexes: Vec::new() };
    Command { request: RequestId(request), guards: Vec::new(), ops: vec![put] }
}

fn entry(index: u64, payload: wire::Payload) -> Record {
    let entry = wire::Entry { id: wire::LogId { term: 1, index }, payload };
    Record { index, payload: codec::encode(&entry) }
}

/// A voter's disk: three entries, of which it knows two to be committed, and a vote in a later term.
fn voter() -> Media {
    let media = media();
    let log = media.log(&Config::default()).unwrap();
    let voters = wire::Membership { voters: vec![vec![1, 2], vec![2, 3]], nodes: vec![1, 2, 3] };
    let command =
        |key, request| wire::Payload::Command(store::wire::encode_command(&put(key, request)).unwrap().into());
    let entries = [wire::Payload::Membership(voters), command("a", 1), command("b", 2)];
    log.append((0..).zip(entries).map(|(index, payload)| entry(index, payload)).collect()).unwrap();
    log.set_committed(codec::encode(&wire::LogId { term: 1, index: 1 })).unwrap();
    log.set_vote(codec::encode(&wire::Vote { term: 5, node: 2, committed: false })).unwrap();
    log.sync().unwrap();
    media
}

#[test]
fn all_that_a_disk_records_is_read_also_what_may_not_be_committed() {
    let recorded = Recorded::read(&voter()).unwrap();
    let view = recorded.state.view();
    assert!(view.get("a").is_some() && view.get("b").is_some());
    assert_eq!((recorded.unconfirmed, recorded.term), (1, 5));
    assert_eq!(recorded.voters, BTreeSet::from([NodeId(1), NodeId(2), NodeId(3)]));
}

#[test]
fn a_new_history_lies_apart_from_the_old_one_and_can_itself_be_read() {
    let (old, new) = (Recorded::read(&voter()).unwrap(), media());
    let (revision, index) = (old.state.revision(), old.state.applied().index);
    found_anew(&new, old, NodeId(2), &put("c", 3), Incarnation(4)).unwrap();
    let read = Recorded::read(&new).unwrap();
    let view = read.state.view();
    assert!(["a", "b", "c"].iter().all(|key| view.get(key).is_some()));
    assert_eq!(view.revision().0, revision.0 + 1 + RECOVERY_JUMP);
    assert_eq!((view.compacted(), view.incarnation()), (view.revision(), Incarnation(4)));
    assert_eq!(read.state.applied().index, index + RECOVERY_JUMP);
    assert_eq!((read.voters, read.unconfirmed, read.term), (BTreeSet::from([NodeId(2)]), 0, 5 + TERM_JUMP));
}

#[test]
fn a_state_from_elsewhere_is_as_good_as_a_disk() {
    let (disk, new) = (Recorded::read(&voter()).unwrap(), media());
    let term = disk.state.applied().term;
    found_anew(&new, Recorded::of(disk.state), NodeId(9), &put("c", 3), Incarnation(4)).unwrap();
    let read = Recorded::read(&new).unwrap();
    assert_eq!((read.voters, read.term), (BTreeSet::from([NodeId(9)]), term + TERM_JUMP));
}

#[test]
fn an_empty_disk_and_a_log_without_its_beginning_are_refused() {
    assert!(matches!(Recorded::read(&media()), Err(RecoverError::Empty)));
    let cut = media();
    let log = cut.log(&Config::default()).unwrap();
    log.append(vec![entry(9, wire::Payload::Blank)]).unwrap();
    log.sync().unwrap();
    drop(log);
    assert!(matches!(Recorded::read(&cut), Err(RecoverError::Gap(0))));
}
