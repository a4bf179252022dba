//! Where a node keeps what it must not forget. Main type: [`Media`].

use std::{fmt, io, sync::Arc, time::Duration};

use wal::{Disk, KeyRing, Log, Salts, system_salts};

use crate::{config::Config, log::LogStore, snapshot::Snapshots};

/// Bytes of one file of the log. Purging frees whole files, so this is about what an idle node's log occupies.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Bytes that may wait to be synced: a disk that stalls for a second at 64 MB/s.
const PENDING_BYTES: usize = 64 << 20;

/// A disk, the keys it is sealed with, and the way it is synced.
#[derive(Clone)]
pub struct Media {
    /// Holds log and snapshots, and nothing else.
    pub disk: Arc<dyn Disk>,
    /// What they are sealed with.
    pub keys: KeyRing,
    /// Makes sources of salts.
    pub salts: Arc<dyn Fn() -> Salts + Send + Sync>,
    /// Who syncs.
    pub syncing: Syncing,
}

/// Who syncs the log.
#[derive(Clone, Default)]
pub enum Syncing {
    /// A thread of its own, as syncs block.
    #[default]
    Thread,
    /// A task, in virtual time.
    Simulated(Simulated),
}

/// How a simulated disk is synced.
#[derive(Clone)]
pub struct Simulated {
    /// How long the next sync takes.
    pub delay: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// A promise that is broken, to see that the simulation finds out.
    pub bug: Option<SeededBug>,
}

/// A bug that a simulation must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeededBug {
    /// Entries count as durable before they are synced.
    AcknowledgeBeforeSync,
    /// Votes count as durable before they are synced.
    ForgetVotes,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media").field("disk", &self.disk).finish_non_exhaustive()
    }
}

impl Media {
    /// A real disk: synced by a thread, salted by the operating system.
    pub fn new(disk: Arc<dyn Disk>, keys: KeyRing) -> Self {
        Self { disk, keys, salts: Arc::new(system_salts), syncing: Syncing::Thread }
    }

    /// Whether blocking calls may hold up the runtime: only where nothing really blocks.
    pub(crate) fn blocks(&self) -> bool {
        matches!(self.syncing, Syncing::Thread)
    }

    /// Opens what the disk holds.
    pub(crate) fn open(&self, config: &Config) -> io::Result<(LogStore, Snapshots)> {
        let log = self.log(config)?;
        let snapshots = Snapshots::new(self.snapshots()?, self.blocks())?;
        Ok((LogStore::new(log, self.syncing.clone())?, snapshots))
    }

    /// The log's files.
    pub(crate) fn log(&self, config: &Config) -> io::Result<Arc<Log>> {
        let bounds =
            wal::Config { segment_bytes: SEGMENT_BYTES, cache_bytes: config.cache_bytes, pending_bytes: PENDING_BYTES };
        let opened = Log::open(self.disk.clone(), self.keys.clone(), (self.salts)(), bounds);
        let (log, recovery) = opened.map_err(io::Error::other)?;
        tracing::info!(?recovery, "log opened");
        Ok(log)
    }

    /// The snapshots' files.
    pub(crate) fn snapshots(&self) -> io::Result<wal::Snapshots> {
        wal::Snapshots::open(self.disk.clone(), self.keys.clone(), (self.salts)()).map_err(io::Error::other)
    }
}
