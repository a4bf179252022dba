//! Images into containerd: content stored, layers unpacked, names set. What is there already is not stored again.

use std::{collections::HashMap, io};

use bytes::Bytes;
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
use futures::{StreamExt, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use prost_types::FieldMask;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use super::{
    Containerd,
    images::{Configuration, chains, full},
};
use crate::{
    Image, RuntimeError,
    archive::{Descriptor, Manifest},
};

/// Bytes of content sent at once: well below gRPC's 4 MiB.
pub(super) const PART_BYTES: usize = 1 << 20;

/// Parts that wait to be sent.
const PARTS_MAX: usize = 2;

/// What was stored is not garbage for so long, if its image is not named: who tries again finds it.
const LEASE_DURATION: SignedDuration = SignedDuration::from_hours(1);

/// Keeps content that content refers to; followed by what it is.
const REFERS_CONTENT: &str = "containerd.io/gc.ref.content";
/// Keeps a snapshot; followed by the snapshotter.
const REFERS_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot";

/// Content as it comes.
pub(super) type Parts = BoxStream<'static, io::Result<Bytes>>;

/// Keeps what is stored under it.
#[derive(Clone)]
pub(super) struct Lease(String);

/// What an image is, besides its layers.
pub(super) struct Described<'a> {
    pub(super) target: &'a Descriptor,
    pub(super) manifest: &'a Manifest,
    pub(super) manifest_bytes: &'a [u8],
    pub(super) config_bytes: &'a [u8],
}

impl Containerd {
    /// Makes an image of layers that are stored.
    pub(super) async fn install(
        &self,
        image: &Described<'_>,
        names: &[String],
        lease: &Lease,
    ) -> Result<Vec<Image>, RuntimeError> {
        let damaged =
            |reason: &str| RuntimeError::Invalid { field: "image", value: names.join(", "), reason: reason.to_owned() };
        let (manifest, config) = (image.manifest, &image.manifest.config);
        let read: Configuration =
            serde_json::from_slice(image.config_bytes).map_err(|_| damaged("its configuration cannot be read"))?;
        let diffs = &read.rootfs.diff_ids;
        if diffs.len() != manifest.layers.len() || diffs.is_empty() {
            return Err(damaged("its layers do not fit its configuration"));
        }
        let chains = chains(diffs);
        let top = chains.last().cloned().unwrap_or_default();
        let labels = HashMap::from([(format!("{REFERS_SNAPSHOT}.{}", self.snapshotter()), top)]);
        self.store_bytes(config, image.config_bytes, labels, lease).await?;
        let parts = manifest.layers.iter().chain([config]).enumerate();
        let labels = parts.map(|(at, part)| (format!("{REFERS_CONTENT}.{at}"), part.digest.clone())).collect();
        self.store_bytes(image.target, image.manifest_bytes, labels, lease).await?;
        let mut below = String::new();
        for ((layer, chain), diff) in manifest.layers.iter().zip(&chains).zip(diffs) {
            let _alone = self.shared.storing.lock(chain).await;
            self.unpack(layer, &below, chain, diff, lease).await?;
            below.clone_from(chain);
        }
        let mut found = Vec::new();
        for name in names {
            self.name(&full(name)?, image.target).await?;
            found.extend(self.find_image(name).await?.map(|found| found.image));
        }
        Ok(found)
    }

    async fn store_bytes(
        &self,
        part: &Descriptor,
        bytes: &[u8],
        labels: HashMap<String, String>,
        lease: &Lease,
    ) -> Result<(), RuntimeError> {
        let _alone = self.shared.storing.lock(&part.digest).await;
        if self.is_stored(part, &labels, lease).await? {
            return Ok(());
        }
        let parts = futures::stream::iter([Ok(Bytes::copy_from_slice(bytes))]).boxed();
        self.write(part, parts, labels, lease).await?.map_err(RuntimeError::host("read content"))
    }

    /// Whether content is there; it has these labels then, and is kept by the lease.
    pub(super) async fn is_stored(
        &self,
        part: &Descriptor,
        labels: &HashMap<String, String>,
        lease: &Lease,
    ) -> Result<bool, RuntimeError> {
        let mut client = ContentClient::new(self.channel());
        match client.info(self.leased(InfoRequest { digest: part.digest.clone() }, lease)).await {
            Err(status) if status.code() == Code::NotFound => return Ok(false),
            Err(status) => return Err(self.refused("find content")(status)),
            Ok(_) => {}
        }
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let info = Info { digest: part.digest.clone(), labels: labels.clone(), ..Info::default() };
        let update = UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        client.update(self.leased(update, lease)).await.map_err(self.refused("label content"))?;
        Ok(true)
    }

    /// Stores content, which must have its digest. The inner error is that of its source.
    pub(super) async fn write(
        &self,
        part: &Descriptor,
        parts: Parts,
        labels: HashMap<String, String>,
        lease: &Lease,
    ) -> Result<io::Result<()>, RuntimeError> {
        let (sender, receiver) = mpsc::channel(PARTS_MAX);
        let first = WriteContentRequest {
            r#ref: format!("mesh-{}", part.digest),
            total: i64::try_from(part.size).unwrap_or(i64::MAX),
            expected: part.digest.clone(),
            labels,
            ..WriteContentRequest::default()
        };
        let request = self.leased_that_waits(ReceiverStream::new(receiver), lease);
        let mut client = ContentClient::new(self.channel());
        let written = async {
            let mut answers = client.write(request).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        };
        match tokio::join!(written, send(parts, first, sender)) {
            (_, Err(error)) => Ok(Err(error)),
            (Err(status), _) if status.code() != Code::AlreadyExists => Err(self.refused("store content")(status)),
            _ => Ok(Ok(())),
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
            let reason = format!("unpacks to {applied}, not {diff}: the image is damaged");
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

    pub(super) async fn lease(&self) -> Result<Lease, RuntimeError> {
        // containerd ends leases by its own clock, which is the machine's.
        let now = Timestamp::try_from(clock::machine()).map_err(std::io::Error::other);
        let now = now.map_err(RuntimeError::host("tell the time"))?;
        let expires = now.saturating_add(LEASE_DURATION).map_err(std::io::Error::other);
        let expires = expires.map_err(RuntimeError::host("tell the time"))?;
        let id = format!("mesh-image-{}", now.as_nanosecond());
        // containerd reads whole seconds.
        let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), format!("{expires:.0}"))]);
        let request = self.request(CreateRequest { id: id.clone(), labels });
        LeasesClient::new(self.channel()).create(request).await.map_err(self.refused("make a lease"))?;
        Ok(Lease(id))
    }

    pub(super) async fn end_lease(&self, lease: Lease) -> Result<(), RuntimeError> {
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

    fn leased_that_waits<T>(&self, body: T, lease: &Lease) -> Request<T> {
        self.with_lease(self.request_that_waits(body), lease)
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

/// Sends content part by part, and its end; of content that broke off, no end. Stops when nobody listens, who knows why.
async fn send(mut parts: Parts, first: WriteContentRequest, to: mpsc::Sender<WriteContentRequest>) -> io::Result<()> {
    let (mut offset, mut data) = (0, Vec::new());
    loop {
        let part = parts.next().await.transpose()?;
        let ended = part.is_none();
        data.extend_from_slice(&part.unwrap_or_default());
        while data.len() >= PART_BYTES || (ended && !data.is_empty()) {
            let rest = data.split_off(data.len().min(PART_BYTES));
            let length = data.len() as i64;
            let write = WriteContentRequest { action: WriteAction::Write as i32, offset, data, ..first.clone() };
            if to.send(write).await.is_err() {
                return Ok(());
            }
            (offset, data) = (offset + length, rest);
        }
        if ended {
            let commit = WriteContentRequest { action: WriteAction::Commit as i32, offset, ..first };
            // Who does not listen knows why.
            let _ = to.send(commit).await;
            return Ok(());
        }
    }
}
