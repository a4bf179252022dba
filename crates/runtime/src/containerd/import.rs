//! Images from an archive: read here, stored by [`super::store`].

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::StreamExt;
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Containerd,
    store::{Described, Lease, PART_BYTES, Parts},
};
use crate::{
    Image, RuntimeError,
    archive::{self, Archived},
};

/// Parts that were read and wait to be sent.
const PARTS_MAX: usize = 2;

impl Containerd {
    pub(super) async fn import_archive(&self, path: &Path) -> Result<Vec<Image>, RuntimeError> {
        let _one_at_a_time = self.shared.import.lock().await;
        let of = path.to_owned();
        let archived = spawn_blocking(move || archive::read(&of)).await;
        let archived = archived.map_err(io::Error::other).map_err(RuntimeError::host("read an archive"))??;
        let lease = self.lease().await?;
        let mut imported = Ok(Vec::new());
        for image in archived {
            let names = self.import_one(path, &image, &lease).await;
            imported = match (imported, names) {
                (Ok(all), Ok(names)) => Ok([all, names].concat()),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
        }
        let ended = self.end_lease(lease).await;
        let imported = imported?;
        ended.map(|()| imported)
    }

    async fn import_one(&self, path: &Path, image: &Archived, lease: &Lease) -> Result<Vec<Image>, RuntimeError> {
        for (layer, offset) in image.manifest.layers.iter().zip(&image.layers) {
            let _alone = self.shared.storing.lock(&layer.digest).await;
            let labels = HashMap::new();
            if !self.is_stored(layer, &labels, lease).await? {
                let parts = section(path.to_owned(), *offset, layer.size);
                let written = self.write(layer, parts, labels, lease).await?;
                written.map_err(RuntimeError::host("read an image's layer"))?;
            }
        }
        let described = Described {
            target: &image.target,
            manifest: &image.manifest,
            manifest_bytes: &image.manifest_bytes,
            config_bytes: &image.config_bytes,
        };
        self.install(&described, &image.names, lease).await
    }
}

/// A part of a file, read beside the runtime's workers.
fn section(path: PathBuf, offset: u64, size: u64) -> Parts {
    let (sender, receiver) = mpsc::channel(PARTS_MAX);
    spawn_blocking(move || {
        if let Err(error) = read(&path, offset, size, &sender) {
            // Who does not listen needs no reason.
            let _ = sender.blocking_send(Err(error));
        }
    });
    ReceiverStream::new(receiver).boxed()
}

fn read(path: &Path, offset: u64, size: u64, to: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut file = file.take(size);
    loop {
        let mut data = Vec::with_capacity(PART_BYTES);
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut data)?;
        if data.is_empty() || to.blocking_send(Ok(data.into())).is_err() {
            return Ok(());
        }
    }
}
