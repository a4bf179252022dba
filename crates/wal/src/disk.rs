//! What the log needs of a disk: a flat directory of files, with every way of failing told apart.
//!
//! Main type: [`Disk`]. Implemented by [`crate::FileDisk`] (a real directory) and [`crate::MemoryDisk`] (faults on
//! demand). Semantics are POSIX's weakest: a write may be lost or torn until [`Disk::sync`] of that file, a
//! created, renamed or removed name until [`Disk::sync_directory`]. Names are plain file names, never paths.

use std::{fmt::Debug, io, path::PathBuf};

/// Why a disk operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No room is left; the operation may have been done in part. Works again once there is room.
    #[error("no space is left on the disk while writing {name}")]
    Full {
        /// The file being written.
        name: String,
    },
    /// There is no such file.
    #[error("{name} does not exist")]
    NotFound {
        /// The file asked for.
        name: String,
    },
    /// The file to create is there already.
    #[error("{name} exists already")]
    Exists {
        /// The file to create.
        name: String,
    },
    /// The name is not one plain file name.
    #[error("{name:?} is not a plain file name")]
    BadName {
        /// The refused name.
        name: String,
    },
    /// Another process, or another part of this one, has the directory open.
    #[error("data directory {} is in use by another process; stop that process or name another directory", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The operating system refused or the device failed.
    #[error("{operation} {name}")]
    Io {
        /// What was tried: `open`, `read`, `write`, `sync` ...
        operation: &'static str,
        /// The file or directory.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The (simulated) machine is without power.
    #[error("the power is off")]
    Off,
}

/// A flat directory of files. Calls may come from several threads; each call is atomic towards the others.
pub trait Disk: Debug + Send + Sync {
    /// Makes an empty file, readable by its owner alone.
    ///
    /// # Errors
    /// [`DiskError::Exists`] where the name is taken.
    fn create(&self, name: &str) -> Result<(), DiskError>;

    /// Length of a file in bytes.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] and the system's.
    fn length(&self, name: &str) -> Result<u64, DiskError>;

    /// Writes all of `bytes` at `offset`, which is at most the file's length. Not durable before [`Disk::sync`].
    ///
    /// # Errors
    /// [`DiskError::Full`] where a part may have been written; [`DiskError::NotFound`] and the system's.
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Fills `buffer` from `offset`; returns how many bytes there were, fewer only at the file's end.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] and the system's.
    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;

    /// Makes the file's content durable. After a failure nothing is known about what was written since the last
    /// success, not even if a second call succeeds.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] and the system's.
    fn sync(&self, name: &str) -> Result<(), DiskError>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] and the system's.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] and the system's.
    fn remove(&self, name: &str) -> Result<(), DiskError>;

    /// All names, in no order.
    ///
    /// # Errors
    /// The system's.
    fn list(&self) -> Result<Vec<String>, DiskError>;

    /// Makes created, renamed and removed names durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self) -> Result<(), DiskError>;
}
