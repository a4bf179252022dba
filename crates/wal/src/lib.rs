//! Mesh's own durable files: a log of records with its metadata, and snapshots, over a [`Disk`] trait.
//!
//! Knows no Raft library, no runtime and no clock. [`Log`] is driven by hand ([`Log::sync`]) or by a thread
//! ([`Committer`]); [`Snapshots`] streams chunks. Everything on disk is sealed (see `envelope.rs`), versioned and
//! checksummed; [`MemoryDisk`] tears writes, lies about syncs, rots bits and fills up, all from a seed.
//!
//! What a damaged file leads to is told in [`log`].

pub mod committer;
pub mod damage;
pub mod disk;
mod envelope;
pub mod file_disk;
pub mod keys;
pub mod log;
pub mod memory_disk;
mod names;
pub mod snapshot;

pub use committer::Committer;
pub use damage::{Damage, OpenError};
pub use disk::{Disk, DiskError};
pub use envelope::MAX_PAYLOAD;
pub use file_disk::FileDisk;
pub use keys::{Key, KeyId, KeyRing, Salt, Salts, system_salts};
pub use log::{AppendError, Config, CutTail, Log, Position, ReadError, Record, Recovery, SyncError};
pub use memory_disk::{Faults, MemoryDisk};
pub use snapshot::{SnapshotError, SnapshotReader, SnapshotWriter, Snapshots};
