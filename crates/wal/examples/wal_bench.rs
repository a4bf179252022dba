//! Throughput of the log on a real directory: `cargo run --release -p wal --example wal_bench -- [directory]`.
//! 512-byte records, appended and synced in batches; CPU time is this process's, user and system.

use std::{path::PathBuf, sync::Arc, time::Instant};

use wal::{Config, FileDisk, Key, KeyId, KeyRing, Log, MemoryDisk, Record, system_salts};

const RECORD: usize = 512;

fn cpu_seconds() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).expect("always given");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn run(name: &str, disk: Arc<dyn wal::Disk>, total: u64, batch: u64) {
    let keys = KeyRing::new(KeyId(1), Key::new([7; 32]));
    let (log, _) = Log::open(disk, keys, system_salts(), Config::default()).expect("opens");
    let payload = bytes::Bytes::from(vec![b'x'; RECORD]);
    let (start, cpu, first) = (Instant::now(), cpu_seconds(), log.range().end);
    for at in (0..total).step_by(batch as usize) {
        let records = (at..at + batch).map(|i| Record { index: first + i, payload: payload.clone() }).collect();
        log.append(records).expect("room");
        log.sync().expect("works");
        if at % 65_536 == 0 && at > 0 {
            log.purge_to(first + at - 1, bytes::Bytes::new()).expect("works");
        }
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let (rate, each) = (total as f64 / wall, cpu * 1e6 / total as f64);
    println!("{name:<22} batch {batch:>4}  {rate:>9.0} records/s  {each:>7.2} us CPU each");
}

fn main() {
    let temporary = std::env::args().nth(1).map(PathBuf::from);
    let directory = temporary.unwrap_or_else(|| std::env::temp_dir().join(format!("wal-bench-{}", std::process::id())));
    for (total, batch) in [(4_000, 1), (256_000, 64), (1_024_000, 1024)] {
        let disk = Arc::new(FileDisk::open(&directory).expect("a directory of its own"));
        run("file, sealed, fsync", disk, total, batch);
        std::fs::remove_dir_all(&directory).expect("made by this program");
    }
    run("sealing, checks alone", Arc::new(Sink(MemoryDisk::new(1))), 1_024_000, 64);
}

/// Forgets what is written to segments: leaves the log's own work.
#[derive(Debug)]
struct Sink(MemoryDisk);

impl wal::Disk for Sink {
    fn create(&self, name: &str) -> Result<(), wal::DiskError> {
        self.0.create(name)
    }
    fn length(&self, name: &str) -> Result<u64, wal::DiskError> {
        self.0.length(name)
    }
    fn write_at(&self, name: &str, _: u64, _: &[u8]) -> Result<(), wal::DiskError> {
        self.0.length(name).map(drop)
    }
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, wal::DiskError> {
        self.0.read_at(name, offset, buffer)
    }
    fn sync(&self, _: &str) -> Result<(), wal::DiskError> {
        Ok(())
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), wal::DiskError> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<(), wal::DiskError> {
        self.0.remove(name)
    }
    fn list(&self) -> Result<Vec<String>, wal::DiskError> {
        self.0.list()
    }
    fn sync_directory(&self) -> Result<(), wal::DiskError> {
        self.0.sync_directory()
    }
}
