//! openraft's own suite of what a log and a state machine must do, over a disk in memory and a real one.

use std::{path::Path, sync::Arc};

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use store::State;
use tempfile::TempDir;
use wal::{Disk, FileDisk, Key, KeyId, KeyRing, MemoryDisk};

use super::*;
use crate::{
    config::Config,
    machine::{Machine, Published},
    media::Media,
};

/// Makes a new log and machine on each call.
struct OnDisk<F>(F);

impl<F, G> StoreBuilder<TypeConfig, LogStore, Machine, G> for OnDisk<F>
where
    F: Fn() -> (G, Arc<dyn Disk>) + Send + Sync,
    G: Send + Sync,
{
    async fn build(&self) -> Result<(G, LogStore, Machine), StorageError<TypeConfig>> {
        let (guard, disk) = (self.0)();
        let media = Media::new(disk, KeyRing::new(KeyId(1), Key::new([7; 32])));
        let (log, snapshots) = media.open(&Config::default()).expect("an empty disk opens");
        let published = Arc::new(Published::new(&State::default()));
        Ok((guard, log, Machine::new(published, snapshots)))
    }
}

fn file_disk(directory: &Path) -> Arc<dyn Disk> {
    Arc::new(FileDisk::open(directory).expect("a new directory opens"))
}

#[tokio::test]
async fn keeps_what_raft_needs_in_memory() {
    let builder = OnDisk(|| ((), Arc::new(MemoryDisk::new(1)) as Arc<dyn Disk>));
    Suite::<TypeConfig, _, _, _, _>::test_all(builder).await.expect("the suite holds");
}

#[tokio::test]
async fn keeps_what_raft_needs_on_disk() {
    let builder = OnDisk(|| {
        let directory = TempDir::new().expect("a temporary directory");
        let disk = file_disk(directory.path());
        (directory, disk)
    });
    Suite::<TypeConfig, _, _, _, _>::test_all(builder).await.expect("the suite holds");
}
