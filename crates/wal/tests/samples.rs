//! Files of every format version ever written are read for ever. Never regenerate a sample: add the next version's.

mod common;

use bytes::Bytes;
use common::{all, keys, open_with, records, salts};
use std::sync::Arc;
use wal::{Config, MemoryDisk, Snapshots};

const SEGMENT: (&str, &[u8]) = ("log-0000000000000001.seg", include_bytes!("samples/v1.seg"));
const SNAPSHOT: (&str, &[u8]) = ("snapshot-0000000000000001.snap", include_bytes!("samples/v1.snap"));

/// Writes what the samples hold: every kind of frame.
fn write(disk: &MemoryDisk) {
    let (log, _) = open_with(disk, Config::default()).expect("new");
    log.append(records(0..5)).expect("room");
    log.truncate_after(Some(3)).expect("works");
    log.purge_to(0, Bytes::from_static(b"id of 0")).expect("works");
    log.set_vote(Bytes::from_static(b"vote")).expect("works");
    log.set_committed(Bytes::from_static(b"committed")).expect("works");
    log.sync().expect("works");
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), keys(), salts(2)).expect("works");
    let mut writer = snapshots.begin(b"meta").expect("room");
    writer.write(b"content").expect("room");
    writer.finish().expect("room");
}

#[test]
fn reads_version_1() {
    let disk = MemoryDisk::new(1);
    for (name, content) in [SEGMENT, SNAPSHOT] {
        disk.overwrite(name, content.to_vec());
    }
    let (log, report) = open_with(&disk, Config::default()).expect("sound");
    assert_eq!((all(&log), report.tail), (records(1..4), None));
    assert_eq!(log.purged(), Some((0, Bytes::from_static(b"id of 0"))));
    assert_eq!((log.vote(), log.committed()), (Some("vote".into()), Some("committed".into())));
    let snapshots = Snapshots::open(Arc::new(disk), keys(), salts(2)).expect("works");
    let mut reader = snapshots.newest().expect("sound").expect("there");
    assert_eq!(reader.meta().as_ref(), b"meta");
    assert_eq!(reader.next_chunk().expect("sound"), Some(Bytes::from_static(b"content")));
    assert_eq!(reader.next_chunk().expect("sound"), None);
}

#[test]
fn writes_version_1_to_the_byte() {
    let disk = MemoryDisk::new(1);
    write(&disk);
    for (name, content) in [SEGMENT, SNAPSHOT] {
        assert!(disk.content(name).as_deref() == Some(content), "{name}");
    }
}
