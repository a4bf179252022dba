//! What the tests of the log share.
#![allow(dead_code, unreachable_pub, missing_docs)] // each test takes what it needs

use std::sync::Arc;

use wal::{Config, Key, KeyId, KeyRing, Log, MemoryDisk, OpenError, Record, Recovery, Salts};

pub fn keys() -> KeyRing {
    KeyRing::new(KeyId(7), Key::new([42; 32]))
}

/// Salts that differ from call to call and from seed to seed.
pub fn salts(seed: u64) -> Salts {
    let mut calls = 0;
    Box::new(move || {
        calls += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&seed.to_le_bytes());
        salt[8..12].copy_from_slice(&u32::to_le_bytes(calls));
        Some(salt)
    })
}

/// Small segments and a small cache, so that rotation and reading from disk happen.
pub fn small() -> Config {
    Config { segment_bytes: 700, cache_bytes: 100, pending_bytes: 1 << 20 }
}

pub fn open_with(disk: &MemoryDisk, config: Config) -> Result<(Arc<Log>, Recovery), OpenError> {
    Log::open(Arc::new(disk.clone()), keys(), salts(disk.changes()), config)
}

pub fn open(disk: &MemoryDisk) -> Result<(Arc<Log>, Recovery), OpenError> {
    open_with(disk, small())
}

pub fn record(index: u64) -> Record {
    Record { index, payload: format!("record {index} {}", "x".repeat(index as usize % 40)).into() }
}

pub fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(record).collect()
}

/// All records of the log.
pub fn all(log: &Log) -> Vec<Record> {
    let mut found = Vec::new();
    let mut range = log.range();
    while !range.is_empty() {
        let some = log.read(range.clone(), 200).expect("readable");
        assert!(!some.is_empty(), "a record of {range:?} is there");
        range.start += some.len() as u64;
        found.extend(some);
    }
    found
}

/// The newest segment's file.
pub fn last_segment(disk: &MemoryDisk) -> String {
    use wal::Disk;
    let names = disk.list().expect("live");
    names.into_iter().filter(|name| name.ends_with(".seg")).max().expect("there is a segment")
}
