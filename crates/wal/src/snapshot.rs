//! Snapshots: one file each, written and read as a stream of bounded chunks, whole or not there at all.
//!
//! Main type: [`Snapshots`]. A snapshot is a frame of metadata, frames of content, and an end frame with the total,
//! in the sealed format of `envelope.rs`. It is written under a temporary name, synced and renamed; the older ones
//! go then. What a snapshot means is the caller's.
//!
//! A newest snapshot that does not pass its checks is an error, never a reason to take an older one: the log was
//! purged on the strength of the newest.

use std::sync::Arc;

use bytes::Bytes;

use crate::damage::{OpenError, damaged, open_header};
use crate::disk::{Disk, DiskError};
use crate::envelope::{FILE_HEADER, FRAME_OVERHEAD, FileHeader, FileKey, FileKind, FrameFault, Place, u64_at};
use crate::keys::{KeyRing, Salts};
use crate::names::{self, Name};

/// Bytes of content per chunk: large enough that sealing costs more than the calls, small beside a node's memory.
pub const CHUNK: usize = 256 << 10;
/// Largest metadata of a snapshot, in bytes: a log id and a membership.
pub const MAX_META: usize = CHUNK;

mod kind {
    pub(super) const META: u8 = 1;
    pub(super) const CHUNK: u8 = 2;
    /// Payload: total bytes of content.
    pub(super) const END: u8 = 3;
}

/// Why a snapshot was not written; the directory is as before.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The metadata is over [`MAX_META`].
    #[error("metadata of {bytes} bytes is more than the {MAX_META} a snapshot takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// There is no randomness for the file's salt.
    #[error("the system gives no randomness for a new snapshot")]
    NoSalt,
    /// The disk is full or fails.
    #[error("the snapshot cannot be written")]
    Disk(#[from] DiskError),
}

/// The snapshots of one directory, which may hold a log too.
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    keys: KeyRing,
    salts: Salts,
    /// Number of the newest file ever seen here; a writer takes the next, finished or not.
    newest: u64,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Snapshots").field("newest", &self.newest).finish_non_exhaustive()
    }
}

impl Snapshots {
    /// Opens the directory and removes what was never finished.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: Arc<dyn Disk>, keys: KeyRing, salts: Salts) -> Result<Self, DiskError> {
        for name in disk.list()? {
            if name.starts_with("snapshot-") && names::classify(&name) == Name::Temporary {
                names::remove_if_there(disk.as_ref(), &name)?;
            }
        }
        let newest = finished(disk.as_ref())?.into_iter().max().unwrap_or(0);
        Ok(Self { disk, keys, salts, newest })
    }

    /// Begins a snapshot; it is not there before [`SnapshotWriter::finish`].
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub fn begin(&mut self, meta: &[u8]) -> Result<SnapshotWriter, SnapshotError> {
        if meta.len() > MAX_META {
            return Err(SnapshotError::TooLarge { bytes: meta.len() });
        }
        let salt = (self.salts)().ok_or(SnapshotError::NoSalt)?;
        let number = self.newest + 1;
        let (id, key) = self.keys.active();
        let header = FileHeader { kind: FileKind::Snapshot, key: id, number, salt };
        let key = FileKey::derive(key, &header);
        let file = names::temporary(&names::snapshot(number));
        self.disk.create(&file)?;
        self.newest = number;
        let mut writer = SnapshotWriter {
            disk: self.disk.clone(),
            key,
            number,
            file,
            offset: 0,
            frames: 0,
            total: 0,
            gathered: Vec::new(),
            finished: false,
        };
        writer.put(&header.encode())?;
        writer.seal(kind::META, meta)?;
        Ok(writer)
    }

    /// Opens the newest snapshot after checking every byte of it; `None` where there is none.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn newest(&self) -> Result<Option<SnapshotReader>, OpenError> {
        let Some(number) = finished(self.disk.as_ref())?.into_iter().max() else { return Ok(None) };
        let mut check = SnapshotReader::open(self.disk.clone(), &self.keys, number)?;
        while check.next_chunk()?.is_some() {}
        SnapshotReader::open(self.disk.clone(), &self.keys, number).map(Some)
    }
}

fn finished(disk: &dyn Disk) -> Result<Vec<u64>, DiskError> {
    let numbers = disk.list()?.into_iter().filter_map(|name| match names::classify(&name) {
        Name::Snapshot(number) => Some(number),
        _ => None,
    });
    Ok(numbers.collect())
}

/// A snapshot being written. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    key: FileKey,
    number: u64,
    file: String,
    offset: u64,
    frames: u64,
    total: u64,
    /// Content short of a chunk.
    gathered: Vec<u8>,
    finished: bool,
}

impl SnapshotWriter {
    /// Adds content, in pieces of any size.
    ///
    /// # Errors
    /// [`SnapshotError::Disk`]; drop the writer then.
    pub fn write(&mut self, mut content: &[u8]) -> Result<(), SnapshotError> {
        while !content.is_empty() {
            let (head, rest) = content.split_at(content.len().min(CHUNK - self.gathered.len()));
            self.gathered.extend_from_slice(head);
            self.total += head.len() as u64;
            content = rest;
            if self.gathered.len() == CHUNK {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Makes the snapshot durable and the newest, and removes the older ones. Returns its bytes of content.
    ///
    /// # Errors
    /// [`SnapshotError::Disk`]; the earlier snapshot is still the newest then, or this one is there whole.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        if !self.gathered.is_empty() {
            self.flush()?;
        }
        self.seal(kind::END, &self.total.to_le_bytes())?;
        self.disk.sync(&self.file)?;
        self.disk.rename(&self.file, &names::snapshot(self.number))?;
        self.finished = true;
        self.disk.sync_directory()?;
        for older in finished(self.disk.as_ref())?.into_iter().filter(|number| *number < self.number) {
            names::remove_if_there(self.disk.as_ref(), &names::snapshot(older))?;
        }
        Ok(self.total)
    }

    fn flush(&mut self) -> Result<(), SnapshotError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.seal(kind::CHUNK, &gathered)?;
        gathered.clear();
        self.gathered = gathered;
        Ok(())
    }

    fn seal(&mut self, kind: u8, payload: &[u8]) -> Result<(), SnapshotError> {
        let mut bytes = Vec::new();
        let place = Place { kind, sequence: self.frames, index: self.total, synced: 0, offset: self.offset };
        self.key.seal(place, payload, &mut bytes);
        self.frames += 1;
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.disk.write_at(&self.file, self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.disk.remove(&self.file); // the next open removes what is left
        }
    }
}

/// A snapshot being read; each chunk is checked before it is given.
#[derive(Debug)]
pub struct SnapshotReader {
    disk: Arc<dyn Disk>,
    key: FileKey,
    file: String,
    meta: Bytes,
    length: u64,
    offset: u64,
    frames: u64,
    total: u64,
    ended: bool,
}

impl SnapshotReader {
    fn open(disk: Arc<dyn Disk>, keys: &KeyRing, number: u64) -> Result<Self, OpenError> {
        let file = names::snapshot(number);
        let mut bytes = [0; FILE_HEADER];
        let read = disk.read_at(&file, 0, &mut bytes)?;
        let (header, key) = open_header(keys, &file, &bytes[..read], FileKind::Snapshot, number)?;
        let length = disk.length(&file)?;
        let offset = FILE_HEADER as u64;
        let meta = Bytes::new();
        let mut reader = Self { disk, key, file, meta, length, offset, frames: 0, total: 0, ended: false };
        match reader.frame()? {
            Ok((kind::META, meta)) => reader.meta = meta,
            Err(FrameFault::Forged) => return Err(OpenError::WrongKey { file: reader.file, key: header.key }),
            _ => return Err(reader.damaged()),
        }
        Ok(reader)
    }

    /// What the writer was given.
    #[must_use]
    pub fn meta(&self) -> &Bytes {
        &self.meta
    }

    /// Bytes of the file: the content and a little more.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.length
    }

    /// The next chunk of at most [`CHUNK`] bytes; `None` after the last.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] also where the file ends too early.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, OpenError> {
        if self.ended {
            return Ok(None);
        }
        match self.frame()? {
            Ok((kind::CHUNK, content)) => {
                self.total += content.len() as u64;
                Ok(Some(content))
            }
            Ok((kind::END, total))
                if total.len() == 8 && u64_at(&total, 0) == self.total && self.offset == self.length =>
            {
                self.ended = true;
                Ok(None)
            }
            _ => Err(self.damaged()),
        }
    }

    /// Reads one frame of the next sequence number; on a fault the place stays.
    fn frame(&mut self) -> Result<Result<(u8, Bytes), FrameFault>, DiskError> {
        let mut bytes = vec![0; CHUNK + FRAME_OVERHEAD];
        let read = self.disk.read_at(&self.file, self.offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(match self.key.open(self.offset, &mut bytes) {
            Ok((frame, payload)) if frame.sequence == self.frames => {
                self.offset += frame.size() as u64;
                self.frames += 1;
                Ok((frame.kind, Bytes::copy_from_slice(payload)))
            }
            Ok(_) => Err(FrameFault::Damaged),
            Err(fault) => Err(fault),
        })
    }

    fn damaged(&self) -> OpenError {
        damaged(&self.file, self.offset, None, "the snapshot does not pass its checks")
    }
}
