//! What a disk gives back, which may be damaged.

use std::sync::{Arc, OnceLock};

use store::{Command, RequestId};
use wal::{Config, Disk, Key, KeyId, KeyRing, Log, MemoryDisk, Record, Salts};

use super::texts;
use crate::Target;

/// A disk with a log on it, and the name of its segment.
fn disk() -> &'static (MemoryDisk, String) {
    static DISK: OnceLock<(MemoryDisk, String)> = OnceLock::new();
    DISK.get_or_init(|| {
        let disk = MemoryDisk::new(0);
        let (log, _) = open(&disk).expect("a new log");
        log.set_vote(b"vote".to_vec().into()).expect("taken");
        let records = (1..=3).map(|index| Record { index, payload: vec![index as u8; 40].into() });
        log.append(records.collect()).expect("taken");
        log.sync().expect("synced");
        let names = disk.list().expect("listed").into_iter();
        let longest = names.max_by_key(|name| disk.content(name).map_or(0, |content| content.len()));
        (disk, longest.expect("a segment"))
    })
}

fn open(disk: &MemoryDisk) -> Result<(Arc<Log>, wal::Recovery), wal::OpenError> {
    let keys = KeyRing::new(KeyId(1), Key::new([1; 32]));
    let salts: Salts = Box::new(|| Some([2; 32]));
    Log::open(Arc::new(disk.clone()), keys, salts, Config::default())
}

/// A segment of the log: it is read or refused, and what is read is there.
pub(super) const LOG: Target = Target {
    name: "log segment",
    run: |bytes| {
        let (pristine, segment) = disk();
        let disk = pristine.fork();
        disk.overwrite(segment, bytes.to_vec());
        if let Ok((log, _)) = open(&disk) {
            let range = log.range();
            assert!(log.read(range, usize::MAX).is_ok(), "what the log says it has can be read");
        }
    },
    seeds: || {
        let (disk, segment) = disk();
        vec![disk.content(segment).expect("it is there")]
    },
};

/// Commands, as the log and other voters carry them.
pub(super) const COMMAND: Target = Target {
    name: "command and outcome",
    run: |bytes| {
        if let Ok(command) = store::wire::decode_command(bytes) {
            assert!(store::wire::encode_command(&command).is_ok(), "what was read can be written");
        }
        let _ = store::wire::decode_outcome(bytes);
    },
    seeds: || {
        let mut seeds = texts(&["\u{1}\u{0}\u{0}\u{0}"]);
        let empty = Command { request: RequestId(7), guards: Vec::new(), ops: Vec::new() };
        seeds.extend(store::wire::encode_command(&empty).ok());
        seeds
    },
};
