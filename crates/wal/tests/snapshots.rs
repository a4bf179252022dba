//! Snapshots are whole or not there, checked to the last byte, and the newest alone is kept.

mod common;

use common::{keys, salts};
use std::sync::Arc;
use wal::snapshot::CHUNK;
use wal::{Disk, Faults, MemoryDisk, OpenError, SnapshotError, Snapshots};

fn open(disk: &MemoryDisk) -> Snapshots {
    Snapshots::open(Arc::new(disk.clone()), keys(), salts(disk.changes())).expect("the disk works")
}

fn write(disk: &MemoryDisk, meta: &[u8], content: &[u8]) -> Result<u64, SnapshotError> {
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), keys(), salts(disk.changes()))?;
    let mut writer = snapshots.begin(meta)?;
    for piece in content.chunks(100_000) {
        writer.write(piece)?;
    }
    writer.finish()
}

/// Metadata and content.
type Found = (Vec<u8>, Vec<u8>);

/// The newest.
fn read(disk: &MemoryDisk) -> Result<Option<Found>, OpenError> {
    let Some(mut reader) = open(disk).newest()? else { return Ok(None) };
    let mut content = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        assert!(chunk.len() <= CHUNK);
        content.extend_from_slice(&chunk);
    }
    Ok(Some((reader.meta().to_vec(), content)))
}

#[test]
fn gives_back_what_was_written_at_any_size() {
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
        let disk = MemoryDisk::new(1);
        let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        assert_eq!(write(&disk, b"meta", &content).expect("room"), size as u64);
        assert!(read(&disk).expect("sound") == Some((b"meta".to_vec(), content)), "{size} bytes");
    }
}

#[test]
fn keeps_the_newest_alone() {
    let disk = MemoryDisk::new(1);
    assert!(read(&disk).expect("none").is_none());
    write(&disk, b"1", b"one").expect("room");
    write(&disk, b"2", b"two").expect("room");
    assert_eq!(read(&disk).expect("sound"), Some((b"2".to_vec(), b"two".to_vec())));
    assert_eq!(disk.list().expect("live").len(), 1);
    drop(open(&disk).begin(b"3").expect("room"));
    assert_eq!(disk.list().expect("live").len(), 1, "an unfinished one leaves nothing");
    assert_eq!(read(&disk).expect("sound"), Some((b"2".to_vec(), b"two".to_vec())));
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_or_the_new() {
    let old = Some((b"1".to_vec(), b"one".to_vec()));
    let new = Some((b"2".to_vec(), b"two".to_vec()));
    let mut seen = [0, 0];
    for cut in 0..12 {
        for seed in 0..20 {
            let disk = MemoryDisk::new(seed);
            write(&disk, b"1", b"one").expect("room");
            disk.set_faults(Faults { power_cut_after: Some(cut), ..Faults::default() });
            let acknowledged = write(&disk, b"2", b"two").is_ok();
            disk.power_cut();
            let found = read(&disk.restart()).expect("sound");
            assert!(found == new || (found == old && !acknowledged), "cut {cut} seed {seed}: {found:?}");
            seen[usize::from(found == new)] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn damage_at_any_byte_is_refused() {
    let disk = MemoryDisk::new(1);
    write(&disk, b"meta", b"some content").expect("room");
    let file = disk.list().expect("live").remove(0);
    let content = disk.content(&file).expect("there");
    for at in 0..content.len() {
        let (flipped, cut) = (disk.fork(), disk.fork());
        flipped.flip(&file, at, (at % 8) as u8);
        assert!(matches!(read(&flipped), Err(OpenError::Damaged(_))), "flipped at {at}");
        cut.overwrite(&file, content[..at].to_vec());
        assert!(matches!(read(&cut), Err(OpenError::Damaged(_))), "cut at {at}");
    }
    let longer = disk.fork();
    longer.overwrite(&file, [content.as_slice(), b"x"].concat());
    assert!(matches!(read(&longer), Err(OpenError::Damaged(_))), "bytes past the end");
}

#[test]
fn a_full_disk_leaves_the_old_one() {
    let disk = MemoryDisk::new(1);
    write(&disk, b"1", b"one").expect("room");
    disk.set_faults(Faults { capacity: Some(400), ..Faults::default() });
    write(&disk, b"2", &[0; 1000]).expect_err("full");
    assert_eq!(disk.list().expect("live").len(), 1);
    assert_eq!(read(&disk).expect("sound"), Some((b"1".to_vec(), b"one".to_vec())));
}
