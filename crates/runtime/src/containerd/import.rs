//! Images from an archive: their content stored, their layers unpacked, their names set.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use containerd_client::{
    services::v1::{
        ApplyRequest, CreateImageRequest, CreateRequest, DeleteRequest, Image as Named, Info, InfoRequest,
        UpdateImageRequest, UpdateRequest, WriteAction, WriteContentRequest,
        content_client::ContentClient,
        diff_client::DiffClient,
        images_client::ImagesClient,
        leases_client::LeasesClient,
        snapshots::{
            CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, StatSnapshotRequest,
            snapshots_client::SnapshotsClient,
        },
    },
    types::Descriptor as Stored,
};
use jiff::{SignedDuration, Timestamp};
use prost_types::FieldMask;
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use super::{
    Containerd,
    images::{Configuration, chains, full},
};
use crate::{
    Image, RuntimeError,
    archive::{self, Archived, Descriptor},
};

/// Bytes of content sent at once: well below gRPC's 4 MiB.
const PART_BYTES: usize = 1 << 20;

/// Parts that wait to be sent.
const PARTS_MAX: usize = 4;

/// What an import has stored is not garbage for so long, if the import ends without a word.
const LEASE_DURATION: SignedDuration = SignedDuration::from_hours(1);

/// Keeps content that content refers to; followed by what it is.
const REFERS_CONTENT: &str = "containerd.io/gc.ref.content";
/// Keeps a snapshot; followed by the snapshotter.
const REFERS_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot";

/// Where content comes from.
enum Source {
    Bytes(Vec<u8>),
    /// A part of a file.
    File {
        path: PathBuf,
        offset: u64,
    },
}

/// Keeps what is stored under it.
#[derive(Clone)]
struct Lease(String);

impl Containerd {
    pub(super) async fn import_archive(&self, path: &Path) -> Result<Vec<Image>, RuntimeError> {
        let _one_at_a_time = self.shared.import.lock().await;
        let of = path.to_owned();
        let archived = spawn_blocking(move || archive::read(&of)).await;
        let archived = archived.map_err(std::io::Error::other).map_err(RuntimeError::host("read an archive"))??;
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
        let damaged = |reason: &str| RuntimeError::Invalid {
            field: "image",
            value: image.names.join(", "),
            reason: reason.to_owned(),
        };
        let config: Configuration =
            serde_json::from_slice(&image.config_bytes).map_err(|_| damaged("its configuration cannot be read"))?;
        if config.rootfs.diff_ids.len() != image.manifest.layers.len() || image.layers.is_empty() {
            return Err(damaged("its layers do not fit its configuration"));
        }
        let chains = chains(&config.rootfs.diff_ids);
        for (layer, offset) in image.manifest.layers.iter().zip(&image.layers) {
            let source = Source::File { path: path.to_owned(), offset: *offset };
            self.store(layer, source, HashMap::new(), lease).await?;
        }
        let top = chains.last().cloned().unwrap_or_default();
        let labels = HashMap::from([(format!("{REFERS_SNAPSHOT}.{}", self.snapshotter()), top)]);
        self.store(&image.manifest.config, Source::Bytes(image.config_bytes.clone()), labels, lease).await?;
        let parts = image.manifest.layers.iter().chain([&image.manifest.config]).enumerate();
        let labels = parts.map(|(at, part)| (format!("{REFERS_CONTENT}.{at}"), part.digest.clone())).collect();
        self.store(&image.target, Source::Bytes(image.manifest_bytes.clone()), labels, lease).await?;
        let mut below = String::new();
        for ((layer, chain), diff) in image.manifest.layers.iter().zip(&chains).zip(&config.rootfs.diff_ids) {
            self.unpack(layer, &below, chain, diff, lease).await?;
            below.clone_from(chain);
        }
        let mut found = Vec::new();
        for name in &image.names {
            self.name(&full(name)?, &image.target).await?;
            found.extend(self.find_image(name).await?.map(|found| found.image));
        }
        Ok(found)
    }

    /// Stores content, unless it is there.
    async fn store(
        &self,
        part: &Descriptor,
        source: Source,
        labels: HashMap<String, String>,
        lease: &Lease,
    ) -> Result<(), RuntimeError> {
        let mut client = ContentClient::new(self.channel());
        let request = self.leased(InfoRequest { digest: part.digest.clone() }, lease);
        if client.info(request).await.is_ok() {
            let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
            let info = Info { digest: part.digest.clone(), labels, ..Info::default() };
            let request =
                self.leased(UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) }, lease);
            client.update(request).await.map_err(self.refused("label content"))?;
            return Ok(());
        }
        let (sender, receiver) = mpsc::channel(PARTS_MAX);
        let first = WriteContentRequest {
            r#ref: format!("mesh-{}", part.digest),
            total: i64::try_from(part.size).unwrap_or(i64::MAX),
            expected: part.digest.clone(),
            labels,
            ..WriteContentRequest::default()
        };
        let size = part.size;
        let sent = spawn_blocking(move || send(source, size, &first, &sender));
        let request = self.leased(ReceiverStream::new(receiver), lease);
        let written = async {
            let mut answers = client.write(request).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        };
        let written = written.await;
        let sent = sent.await.map_err(std::io::Error::other).and_then(|sent| sent);
        match written {
            Err(status) if status.code() != Code::AlreadyExists => Err(self.refused("store content")(status)),
            _ => sent.map_err(RuntimeError::host("read an image's layer")),
        }
    }

    /// Unpacks a layer onto those below, unless it is there.
    async fn unpack(
        &self,
        layer: &Descriptor,
        below: &str,
        chain: &str,
        diff: &str,
        lease: &Lease,
    ) -> Result<(), RuntimeError> {
        let mut snapshots = SnapshotsClient::new(self.channel());
        let snapshotter = self.snapshotter();
        let stat = StatSnapshotRequest { snapshotter: snapshotter.clone(), key: chain.to_owned() };
        if snapshots.stat(self.leased(stat, lease)).await.is_ok() {
            return Ok(());
        }
        let key = format!("mesh-unpack-{chain}");
        // What an import that was killed has left is of no use.
        let remove = RemoveSnapshotRequest { snapshotter: snapshotter.clone(), key: key.clone() };
        match snapshots.remove(self.leased(remove, lease)).await {
            Err(status) if status.code() != Code::NotFound => return Err(self.refused("unpack a layer")(status)),
            _ => {}
        }
        let prepare = PrepareSnapshotRequest {
            snapshotter: snapshotter.clone(),
            key: key.clone(),
            parent: below.to_owned(),
            labels: HashMap::new(),
        };
        let prepared = snapshots.prepare(self.leased(prepare, lease)).await.map_err(self.refused("unpack a layer"))?;
        let apply =
            ApplyRequest { diff: Some(stored(layer)), mounts: prepared.into_inner().mounts, ..ApplyRequest::default() };
        // A large layer takes its time.
        let request = self.with_lease(self.request_that_waits(apply), lease);
        let applied = DiffClient::new(self.channel()).apply(request).await.map_err(self.refused("unpack a layer"))?;
        let applied = applied.into_inner().applied.map(|applied| applied.digest).unwrap_or_default();
        if applied != diff {
            let reason = format!("unpacks to {applied}, not {diff}; write the archive again");
            return Err(RuntimeError::Invalid { field: "layer", value: layer.digest.clone(), reason });
        }
        let commit = CommitSnapshotRequest { snapshotter, name: chain.to_owned(), key, labels: HashMap::new() };
        match snapshots.commit(self.leased(commit, lease)).await {
            Err(status) if status.code() != Code::AlreadyExists => Err(self.refused("unpack a layer")(status)),
            _ => Ok(()),
        }
    }

    async fn name(&self, name: &str, target: &Descriptor) -> Result<(), RuntimeError> {
        let mut client = ImagesClient::new(self.channel());
        let image = Some(Named { name: name.to_owned(), target: Some(stored(target)), ..Named::default() });
        let create = CreateImageRequest { image: image.clone(), source_date_epoch: None };
        match client.create(self.request(create)).await {
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(self.refused("name an image")(status)),
            Ok(_) => return Ok(()),
        }
        let update = UpdateImageRequest { image, ..UpdateImageRequest::default() };
        client.update(self.request(update)).await.map(|_| ()).map_err(self.refused("name an image"))
    }

    async fn lease(&self) -> Result<Lease, RuntimeError> {
        let now = Timestamp::now();
        let expires = now.saturating_add(LEASE_DURATION).map_err(std::io::Error::other);
        let expires = expires.map_err(RuntimeError::host("tell the time"))?;
        let id = format!("mesh-import-{}", now.as_nanosecond());
        // containerd reads whole seconds.
        let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), format!("{expires:.0}"))]);
        let request = self.request(CreateRequest { id: id.clone(), labels });
        LeasesClient::new(self.channel()).create(request).await.map_err(self.refused("make a lease"))?;
        Ok(Lease(id))
    }

    async fn end_lease(&self, lease: Lease) -> Result<(), RuntimeError> {
        let request = self.request(DeleteRequest { id: lease.0, sync: false });
        LeasesClient::new(self.channel()).delete(request).await.map(|_| ()).map_err(self.refused("end a lease"))
    }

    fn leased<T>(&self, body: T, lease: &Lease) -> Request<T> {
        self.with_lease(self.request(body), lease)
    }

    fn with_lease<T>(&self, mut request: Request<T>, lease: &Lease) -> Request<T> {
        if let Ok(id) = lease.0.parse() {
            request.metadata_mut().insert("containerd-lease", id);
        }
        request
    }
}

fn stored(part: &Descriptor) -> Stored {
    Stored {
        media_type: part.media_type.clone(),
        digest: part.digest.clone(),
        size: i64::try_from(part.size).unwrap_or(i64::MAX),
        annotations: HashMap::new(),
    }
}

/// Sends content part by part, and its end. Stops when nobody listens, who then knows why.
fn send(
    source: Source,
    size: u64,
    first: &WriteContentRequest,
    to: &mpsc::Sender<WriteContentRequest>,
) -> std::io::Result<()> {
    let mut reader: Box<dyn Read> = match source {
        Source::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes)),
        Source::File { path, offset } => {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            Box::new(file.take(size))
        }
    };
    let mut offset = 0;
    loop {
        let mut data = Vec::with_capacity(PART_BYTES);
        (&mut reader).take(PART_BYTES as u64).read_to_end(&mut data)?;
        let action = if data.is_empty() { WriteAction::Commit } else { WriteAction::Write };
        let length = data.len() as i64;
        let ended = data.is_empty();
        let part = WriteContentRequest { action: action as i32, offset, data, ..first.clone() };
        if to.blocking_send(part).is_err() || ended {
            return Ok(());
        }
        offset += length;
    }
}
