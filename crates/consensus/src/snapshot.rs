//! Snapshots: written off the apply path, kept on disk, sent and received in pieces. Main type: [`Snapshots`].

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{Stream, stream};
use openraft::{RaftSnapshotBuilder, alias::SnapshotOf};
use parking_lot::Mutex;
use store::State;

use crate::{
    types::{SnapshotMeta, TypeConfig},
    wire,
};

type Stored = SnapshotOf<TypeConfig, SnapshotData>;

/// Where snapshots are kept.
#[derive(Clone, Default)]
pub struct Snapshots(Arc<Mutex<Option<Stored>>>);

/// One complete snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotData(Arc<Vec<Bytes>>);

impl SnapshotData {
    pub(crate) fn length(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    pub(crate) fn pieces(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
        let pieces: Vec<_> = self.0.iter().cloned().map(Ok).collect();
        stream::iter(pieces)
    }
}

/// A snapshot that is being received.
pub(crate) struct Incoming(Vec<Bytes>);

impl Incoming {
    pub(crate) fn write(&mut self, piece: &Bytes) -> io::Result<()> {
        self.0.push(piece.clone());
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<SnapshotData> {
        Ok(SnapshotData(Arc::new(self.0)))
    }
}

impl Snapshots {
    pub(crate) fn receive(&self, _header: &wire::SnapshotHeader) -> io::Result<Incoming> {
        Ok(Incoming(Vec::new()))
    }

    pub(crate) async fn install(&self, meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<State> {
        let mut restore = store::Restore::default();
        for piece in snapshot.0.iter() {
            restore.push(piece).map_err(io::Error::other)?;
        }
        let state = restore.finish().map_err(io::Error::other)?;
        *self.0.lock() = Some(Stored { meta: meta.clone(), snapshot });
        Ok(state)
    }

    pub(crate) async fn current(&self) -> io::Result<Option<Stored>> {
        Ok(self.0.lock().clone())
    }
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
        let pieces = self.state.chunks(crate::config::SNAPSHOT_CHUNK).collect();
        let stored = Stored { meta: self.meta.clone(), snapshot: SnapshotData(Arc::new(pieces)) };
        *self.snapshots.0.lock() = Some(stored.clone());
        Ok(stored)
    }
}
