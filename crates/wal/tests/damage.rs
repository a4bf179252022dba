//! Whatever is cut or flipped in a log's files: acknowledged records are there, or the log refuses loudly.

mod common;

use common::{all, keys, last_segment, open, open_with, record, records, salts, small};
use std::sync::Arc;
use wal::{Config, Disk, Faults, Key, KeyId, KeyRing, Log, MemoryDisk, OpenError, Record};

/// One segment with eight records, each synced by itself.
fn eight_synced() -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    let (log, _) = open_with(&disk, Config::default()).expect("new");
    for index in 0..8 {
        log.append(vec![record(index)]).expect("room");
        log.sync().expect("works");
    }
    disk
}

/// Opens a damaged disk; `Ok` gives the records that are left, which must be a prefix of what was written.
fn left(disk: &MemoryDisk) -> Result<Vec<Record>, OpenError> {
    let (log, _) = open(disk)?;
    let found = all(&log);
    assert_eq!(found, records(0..found.len() as u64), "what is left is a prefix");
    // What is left can be built upon, and outlives another restart.
    let next = log.range().end;
    log.append(vec![record(next)]).expect("room");
    log.sync().expect("works");
    let (again, report) = open(disk).expect("sound after recovery");
    assert_eq!(all(&again).len(), found.len() + 1);
    assert_eq!(report.tail, None, "the old tail is void for good");
    Ok(found)
}

fn is_damage(result: &Result<Vec<Record>, OpenError>) -> bool {
    matches!(result, Err(OpenError::Damaged(_)))
}

#[test]
fn an_acknowledged_record_lost_or_rotten_at_any_byte_is_refused() {
    let disk = eight_synced();
    let file = last_segment(&disk);
    let length = disk.content(&file).expect("there").len();
    for at in 0..length {
        let (cut, flipped) = (disk.fork(), disk.fork());
        cut.overwrite(&file, disk.content(&file).expect("there")[..at].to_vec());
        assert!(is_damage(&left(&cut)), "cut at {at}");
        flipped.flip(&file, at, (at % 8) as u8);
        assert!(is_damage(&left(&flipped)), "flipped at {at}");
    }
}

#[test]
fn without_the_mark_only_the_last_synced_record_can_be_taken_for_a_tail() {
    let disk = eight_synced();
    disk.remove("log.mark").expect("there");
    let file = last_segment(&disk);
    let content = disk.content(&file).expect("there");
    let last = content.len() - (64 + record(7).payload.len());
    for at in 0..content.len() {
        let flipped = disk.fork();
        flipped.flip(&file, at, (at % 8) as u8);
        match left(&flipped) {
            Ok(found) => assert!(at >= last && found.len() == 7, "flipped at {at}: {} left", found.len()),
            Err(error) => assert!(at < last, "flipped at {at}: {error}"),
        }
    }
}

#[test]
fn a_tail_never_synced_is_cut_at_any_byte_and_reported() {
    let disk = eight_synced();
    let file = last_segment(&disk);
    let synced = disk.content(&file).expect("there").len();
    // Three more reach the file, but their sync fails: nobody was told that they are durable.
    let (log, _) = open_with(&disk, Config::default()).expect("sound");
    log.append(vec![record(8)]).expect("room");
    log.sync().expect("works");
    let file2 = last_segment(&disk);
    assert_ne!(file, file2, "a restart begins a segment");
    let acknowledged = disk.content(&file2).expect("there").len();
    log.append(records(9..12)).expect("room");
    disk.set_faults(Faults { fail_sync: true, ..Faults::default() });
    log.sync().expect_err("the sync fails");
    disk.set_faults(Faults::default());
    let content = disk.content(&file2).expect("there");
    assert!(content.len() > acknowledged && synced > 0);
    for at in 0..content.len() {
        for flip in [false, true] {
            let fate = disk.fork();
            if flip {
                fate.flip(&file2, at, (at % 8) as u8);
            } else {
                fate.overwrite(&file2, content[..at].to_vec());
            }
            match left(&fate) {
                Ok(found) => assert!(at >= acknowledged && (9..12).contains(&found.len()), "at {at}, flip {flip}"),
                Err(OpenError::Damaged(_)) => assert!(at < acknowledged, "at {at}, flip {flip}"),
                Err(error) => panic!("at {at}: {error}"),
            }
        }
    }
}

#[test]
fn a_damaged_sealed_segment_names_file_offset_index_and_remedy() {
    let disk = MemoryDisk::new(3);
    let (log, _) = open(&disk).expect("new");
    for index in 0..40 {
        log.append(vec![record(index)]).expect("room");
        log.sync().expect("works");
    }
    let names: Vec<_> = disk.list().expect("live").into_iter().filter(|n| n.ends_with(".seg")).collect();
    assert!(names.len() > 3, "{names:?}");
    let size = disk.content(&names[1]).expect("there").len();
    for at in 0..size {
        let fate = disk.fork();
        fate.flip(&names[1], at, (at % 8) as u8);
        assert!(is_damage(&left(&fate)), "flipped at {at}");
    }
    let fate = disk.fork();
    fate.flip(&names[1], size - 20, 0);
    let text = left(&fate).expect_err("refused").to_string();
    for part in [names[1].as_str(), "at byte", "log index", "mesh join --replace", "mesh restore"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = MemoryDisk::new(3);
    let (log, _) = open(&disk).expect("new");
    for index in 0..40 {
        log.append(vec![record(index)]).expect("room");
        log.sync().expect("works");
    }
    let names: Vec<_> = disk.list().expect("live").into_iter().filter(|n| n.ends_with(".seg")).collect();
    for name in &names {
        let fate = disk.fork();
        fate.remove(name).expect("there");
        assert!(is_damage(&left(&fate)), "without {name}");
    }
    let empty = disk.fork();
    names.iter().for_each(|name| empty.remove(name).expect("there"));
    assert!(is_damage(&left(&empty)), "without any");
}

#[test]
fn a_lying_disk_is_found_out_by_the_mark() {
    let disk = eight_synced();
    let (log, _) = open_with(&disk, Config::default()).expect("sound");
    log.append(vec![record(8)]).expect("room");
    log.sync().expect("works");
    disk.set_faults(Faults { lie_about_sync: true, ..Faults::default() });
    log.append(records(9..12)).expect("room");
    log.sync().expect("so it says");
    let (mark, file) = (disk.content("log.mark").expect("there"), last_segment(&disk));
    let mut refused = 0;
    for seed in 0..40 {
        let fate = disk.fork_with(seed);
        fate.power_cut();
        let fate = fate.restart();
        fate.set_faults(Faults::default());
        let marked = fate.content("log.mark").expect("there") == mark;
        let whole = fate.content(&file) == disk.content(&file);
        let result = left(&fate);
        assert!(is_damage(&result) || whole || !marked, "seed {seed}: a known loss passes as {result:?}");
        assert!(!is_damage(&result) || !whole, "seed {seed}: refused though nothing is lost");
        refused += u32::from(is_damage(&result));
    }
    assert!(refused > 0, "some fates lose records that the mark knows of");
}

#[test]
fn wrong_keys_versions_and_files_are_told_apart() {
    let disk = eight_synced();
    let file = last_segment(&disk);
    let try_with = |disk: &MemoryDisk, ring: KeyRing| {
        Log::open(Arc::new(disk.clone()), ring, salts(9), small()).expect_err("refused")
    };
    let error = try_with(&disk, KeyRing::new(KeyId(8), Key::new([42; 32])));
    assert!(matches!(&error, OpenError::UnknownKey { key: KeyId(7), .. }), "{error}");
    let error = try_with(&disk, KeyRing::new(KeyId(7), Key::new([43; 32])));
    assert!(matches!(&error, OpenError::WrongKey { key: KeyId(7), .. }), "{error}");
    let stray = disk.fork();
    stray.overwrite("notes.txt", vec![]);
    let error = try_with(&stray, keys());
    assert!(matches!(&error, OpenError::UnknownFile { file } if file == "notes.txt"), "{error}");
    let newer = disk.fork();
    let mut content = disk.content(&file).expect("there");
    content[8] = 2;
    let crc = crc32c::crc32c(&content[..60]).to_le_bytes();
    content[60..64].copy_from_slice(&crc);
    newer.overwrite(&file, content);
    let error = try_with(&newer, keys());
    assert!(matches!(&error, OpenError::UnknownVersion { found: 2, .. }), "{error}");
    // A ring that knows the old key under its name reads the log and seals on with the new one.
    let ring = KeyRing::new(KeyId(8), Key::new([1; 32])).with_old(KeyId(7), Key::new([42; 32]));
    let (log, _) = Log::open(Arc::new(disk.clone()), ring.clone(), salts(9), small()).expect("both keys");
    assert_eq!(all(&log), records(0..8));
    log.append(vec![record(8)]).expect("room");
    log.sync().expect("works");
    let (log, _) = Log::open(Arc::new(disk.clone()), ring, salts(10), small()).expect("both keys");
    assert_eq!(all(&log), records(0..9));
    assert!(!format!("{:?}", keys()).contains("42"), "no secret in Debug");
}

#[test]
fn a_record_moved_to_another_place_or_file_is_refused() {
    let disk = eight_synced();
    let file = last_segment(&disk);
    let mut content = disk.content(&file).expect("there");
    let size = 64 + record(7).payload.len();
    let end = content.len();
    // Put the last record twice: its checks hold, its place does not.
    let copy = content[end - size..].to_vec();
    content.extend_from_slice(&copy);
    disk.overwrite(&file, content);
    assert_eq!(left(&disk).expect("the copy is a tail").len(), 8);
}
