//! What a node does to itself because `mesh chaos` asks for it and nothing outside of it can. Main types: [`SlowDisk`], [`Hooks`].
//!
//! Only a node that was started with `chaosHooks`, the path of a file that need not exist, looks at all; what it finds there
//! counts from the next sync on, and for the clock within [`CLOCK_PERIOD`]. Leaves out all that can be done from outside: signals, packet filters, power cuts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::interval;
use tracing::warn;
use wal::{Disk, DiskError, FileDisk};

/// Longest delay of one sync: more would only look like a disk that is gone.
const DELAY_LIMIT: Duration = Duration::from_secs(60);

/// Largest file of hooks, in bytes; it has a few numbers.
const FILE_LIMIT: usize = 4 << 10;

/// Between two looks at how far off the clock is to be: soon for who watches, and cheap.
const CLOCK_PERIOD: Duration = Duration::from_millis(500);

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hooks {
    /// How much longer each sync takes, in milliseconds.
    disk_delay_millis: u64,
    /// How far off the clock is.
    clock: Option<ClockShift>,
}

/// A clock that is off.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClockShift {
    /// Ahead of the machine's, in milliseconds; behind where negative.
    ahead_millis: i64,
    /// Since when, in Unix seconds: of a process that started later the clock is right.
    since: i64,
}

impl Hooks {
    /// How far the clock of a process that started then is to be ahead, in milliseconds.
    fn clock_ahead(&self, started: i64) -> i64 {
        self.clock.as_ref().filter(|shift| shift.since >= started).map_or(0, |shift| shift.ahead_millis)
    }
}

/// Keeps this process's clock as far off as the hooks say, until it is dropped.
pub(crate) async fn follow_clock(path: PathBuf) {
    let started = clock::unix_seconds();
    let mut looks = interval(CLOCK_PERIOD);
    loop {
        looks.tick().await;
        let path = path.clone();
        let ahead = spawn_blocking(move || look(&path)).await.map_or(0, |hooks| hooks.clock_ahead(started));
        if ahead != clock::offset_millis() {
            warn!(ahead_millis = ahead, "the clock is set, for a test");
            clock::set_offset_millis(ahead);
        }
    }
}

/// What the file asks for now; nothing where it is not there or unreadable.
fn look(path: &Path) -> Hooks {
    let text = std::fs::read(path).ok().filter(|text| text.len() <= FILE_LIMIT);
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// A disk whose syncs take as much longer as the hooks say.
#[derive(Debug)]
pub(crate) struct SlowDisk {
    disk: FileDisk,
    hooks: PathBuf,
}

impl SlowDisk {
    /// This disk, under the hooks of this file.
    pub(crate) fn new(disk: FileDisk, hooks: PathBuf) -> Self {
        Self { disk, hooks }
    }

    fn delay(&self) {
        let delay = Duration::from_millis(look(&self.hooks).disk_delay_millis);
        if !delay.is_zero() {
            // Blocks the thread, as a slow device does.
            std::thread::sleep(delay.min(DELAY_LIMIT));
        }
    }
}

impl Disk for SlowDisk {
    fn create(&self, name: &str) -> Result<(), DiskError> {
        self.disk.create(name)
    }

    fn length(&self, name: &str) -> Result<u64, DiskError> {
        self.disk.length(name)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.write_at(name, offset, bytes)
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.disk.read_at(name, offset, buffer)
    }

    fn sync(&self, name: &str) -> Result<(), DiskError> {
        self.delay();
        self.disk.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.disk.remove(name)
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.disk.list()
    }

    fn sync_directory(&self) -> Result<(), DiskError> {
        self.delay();
        self.disk.sync_directory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_count_while_their_file_is_there_and_nonsense_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hooks.json");
        let delay = |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            look(&path).disk_delay_millis
        };
        assert_eq!(look(&path).disk_delay_millis, 0);
        assert_eq!(
            [delay(Some(r#"{"diskDelayMillis":20}"#)), delay(Some("{")), delay(Some("{}")), delay(None)],
            [20, 0, 0, 0]
        );
    }

    #[test]
    fn a_clock_is_off_for_processes_that_ran_before_it_was() {
        let ahead = |text: &str, started| serde_json::from_str::<Hooks>(text).unwrap().clock_ahead(started);
        let off = r#"{"clock":{"aheadMillis":-600000,"since":1000}}"#;
        assert_eq!([ahead(off, 999), ahead(off, 1000), ahead(off, 1001), ahead("{}", 0)], [-600_000, -600_000, 0, 0]);
    }

    #[test]
    fn a_slow_disk_keeps_what_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = folder.path().join("hooks.json");
        std::fs::write(&hooks, r#"{"diskDelayMillis":20}"#).unwrap();
        let disk = SlowDisk::new(FileDisk::open(&folder.path().join("disk")).unwrap(), hooks);
        let began = std::time::Instant::now();
        disk.create("a").and_then(|()| disk.write_at("a", 0, b"kept")).and_then(|()| disk.sync("a")).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(20));
        let mut read = [0; 8];
        assert_eq!((disk.read_at("a", 0, &mut read).unwrap(), &read[..4]), (4, b"kept".as_slice()));
        disk.rename("a", "b").and_then(|()| disk.sync_directory()).unwrap();
        assert!(disk.list().unwrap().contains(&"b".to_owned()) && disk.length("b").unwrap() == 4);
        disk.remove("b").unwrap();
    }
}
