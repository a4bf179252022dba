//! Snapshots: written off the apply path, kept on disk, sent and received in pieces. Main type: [`Snapshots`].
//!
//! A snapshot's content is the store's chunks, each after its length (`u32`, little-endian). One is written at a
//! time, so that an older state never takes the place of a newer one; what arrives meanwhile is sent again later.

use std::{io, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, stream};
use openraft::{RaftSnapshotBuilder, alias::SnapshotOf};
use parking_lot::Mutex;
use store::{Restore, State, wire::CHUNK_LIMIT_BYTES};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wal::{SnapshotReader, SnapshotWriter};

use crate::{
    codec, convert,
    types::{SnapshotMeta, TypeConfig},
    wire,
};

type Stored = SnapshotOf<TypeConfig, SnapshotData>;

/// The snapshots of one disk.
#[derive(Clone)]
pub(crate) struct Snapshots {
    files: Arc<Mutex<wal::Snapshots>>,
    /// What the newest contains.
    newest: Arc<Mutex<Option<SnapshotMeta>>>,
    /// Held by whoever writes one.
    writing: Arc<Semaphore>,
    /// Whether the disk really blocks.
    blocks: bool,
}

/// One complete snapshot.
pub(crate) enum SnapshotData {
    /// On disk; read from its start.
    Stored(Box<SnapshotReader>),
    /// Received and found good, but not in force.
    Received(Box<Received>),
}

/// A snapshot from another node.
pub(crate) struct Received {
    writer: SnapshotWriter,
    state: State,
    _writing: OwnedSemaphorePermit,
}

impl SnapshotData {
    /// Bytes that will be sent, or a little more.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Stored(reader) => reader.file_bytes(),
            Self::Received(_) => 0,
        }
    }

    /// The content, in pieces.
    pub(crate) fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
        let reader = match self {
            Self::Stored(reader) => Ok(reader),
            Self::Received(_) => Err(io::Error::other("the snapshot is not in force yet")),
        };
        stream::iter(match reader {
            Ok(mut reader) => {
                boxed(std::iter::from_fn(move || reader.next_chunk().map_err(io::Error::other).transpose()))
            }
            Err(error) => boxed(std::iter::once(Err(error))),
        })
    }
}

fn boxed<T>(pieces: impl Iterator<Item = T> + Send + 'static) -> Box<dyn Iterator<Item = T> + Send> {
    Box::new(pieces)
}

/// Turns content back into a state, piece by piece.
#[derive(Default)]
pub(crate) struct Reassembly {
    rest: BytesMut,
    restore: Restore,
}

impl Reassembly {
    pub(crate) fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.rest.extend_from_slice(piece);
        while let Some(length) = self.rest.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize) {
            if length > CHUNK_LIMIT_BYTES {
                return Err(io::Error::other(format!("a chunk of {length} bytes is over the limit")));
            }
            if self.rest.len() < 4 + length {
                break;
            }
            self.rest.advance(4);
            let chunk = self.rest.split_to(length);
            self.restore.push(&chunk).map_err(io::Error::other)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<State> {
        if !self.rest.is_empty() {
            return Err(io::Error::other("the snapshot ends within a chunk"));
        }
        self.restore.finish().map_err(io::Error::other)
    }
}

/// A snapshot that is being received.
pub(crate) struct Incoming {
    writer: SnapshotWriter,
    reassembly: Reassembly,
    writing: OwnedSemaphorePermit,
}

impl Incoming {
    pub(crate) fn write(&mut self, piece: &Bytes) -> io::Result<()> {
        self.writer.write(piece).map_err(io::Error::other)?;
        self.reassembly.push(piece)
    }

    pub(crate) fn finish(self) -> io::Result<SnapshotData> {
        let state = self.reassembly.finish()?;
        Ok(SnapshotData::Received(Box::new(Received { writer: self.writer, state, _writing: self.writing })))
    }
}

impl Snapshots {
    pub(crate) fn new(files: wal::Snapshots, blocks: bool) -> io::Result<Self> {
        let newest = match files.newest().map_err(io::Error::other)? {
            Some(reader) => Some(meta(&reader)?),
            None => None,
        };
        let (files, newest) = (Arc::new(Mutex::new(files)), Arc::new(Mutex::new(newest)));
        Ok(Self { files, newest, writing: Arc::new(Semaphore::new(1)), blocks })
    }

    /// Begins to receive one. Fails while another is written; the sender comes again.
    pub(crate) fn receive(&self, header: &wire::SnapshotHeader) -> io::Result<Incoming> {
        let writing = self.writing.clone().try_acquire_owned();
        let writing = writing.map_err(|_| io::Error::other("another snapshot is being written"))?;
        let writer = self.files.lock().begin(&codec::encode(&header.meta)).map_err(io::Error::other)?;
        Ok(Incoming { writer, reassembly: Reassembly::default(), writing })
    }

    /// Puts one in force and returns its state.
    pub(crate) async fn install(&self, meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<State> {
        let ours = self.newest.lock().as_ref() == Some(meta);
        let header = wire::SnapshotHeader {
            vote: wire::Vote::default(),
            meta: convert::meta_to_wire(meta),
            length: snapshot.length(),
        };
        let snapshot = match snapshot {
            SnapshotData::Stored(reader) if !ours => self.copy(&header, *reader)?,
            snapshot => snapshot,
        };
        let state = self.blocking(move |_| restore(snapshot)).await?;
        *self.newest.lock() = Some(meta.clone());
        Ok(state)
    }

    /// Takes one over from another disk.
    fn copy(&self, header: &wire::SnapshotHeader, mut reader: SnapshotReader) -> io::Result<SnapshotData> {
        let mut incoming = self.receive(header)?;
        while let Some(piece) = reader.next_chunk().map_err(io::Error::other)? {
            incoming.write(&piece)?;
        }
        incoming.finish()
    }

    /// The newest.
    pub(crate) async fn current(&self) -> io::Result<Option<Stored>> {
        let reader = self.blocking(|this| this.files.lock().newest().map_err(io::Error::other)).await?;
        reader
            .map(|reader| Ok(Stored { meta: meta(&reader)?, snapshot: SnapshotData::Stored(Box::new(reader)) }))
            .transpose()
    }

    async fn write(&self, new: &SnapshotMeta, state: store::Snapshot) -> io::Result<()> {
        let _writing = self.writing.acquire().await.map_err(io::Error::other)?;
        if self.newest.lock().as_ref().is_some_and(|newest| newest.last_log_id >= new.last_log_id) {
            return Ok(()); // one that was received meanwhile contains more
        }
        let header = codec::encode(&convert::meta_to_wire(new));
        self.blocking(move |this| {
            let writer = this.files.lock().begin(&header).map_err(io::Error::other)?;
            write_chunks(writer, &state)
        })
        .await?;
        *self.newest.lock() = Some(new.clone());
        Ok(())
    }

    /// Runs what blocks on a thread for it, or in place where nothing really blocks.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if !self.blocks {
            return work(self);
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await.map_err(io::Error::other)?
    }
}

fn meta(reader: &SnapshotReader) -> io::Result<SnapshotMeta> {
    let meta: wire::SnapshotMeta = codec::decode(reader.meta()).map_err(io::Error::other)?;
    convert::meta_from_wire(meta).map_err(io::Error::other)
}

fn restore(snapshot: SnapshotData) -> io::Result<State> {
    match snapshot {
        SnapshotData::Received(received) => {
            received.writer.finish().map_err(io::Error::other)?;
            Ok(received.state)
        }
        SnapshotData::Stored(mut reader) => {
            let mut reassembly = Reassembly::default();
            while let Some(piece) = reader.next_chunk().map_err(io::Error::other)? {
                reassembly.push(&piece)?;
            }
            reassembly.finish()
        }
    }
}

/// Writes a state as a snapshot's content, and finishes it.
pub(crate) fn write_chunks(mut writer: SnapshotWriter, state: &store::Snapshot) -> io::Result<()> {
    for chunk in state.chunks() {
        let chunk = chunk.map_err(io::Error::other)?;
        let length = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        writer.write(&length.to_le_bytes()).map_err(io::Error::other)?;
        writer.write(&chunk).map_err(io::Error::other)?;
    }
    writer.finish().map_err(io::Error::other)?;
    Ok(())
}

/// Writes one snapshot.
pub(crate) struct Builder {
    pub(crate) snapshots: Snapshots,
    pub(crate) meta: SnapshotMeta,
    pub(crate) state: store::Snapshot,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Stored> {
        self.snapshots.write(&self.meta, self.state.clone()).await?;
        self.snapshots.current().await?.ok_or_else(|| io::Error::other("the snapshot just written is gone"))
    }
}
