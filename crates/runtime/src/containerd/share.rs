//! Images for other machines and from them, part by part. What comes is stored under its digest, which containerd checks.

use std::{io, time::Duration};

use bytes::Bytes;
use containerd_client::services::v1::{ReadContentRequest, content_client::ContentClient};
use futures::{StreamExt, TryStreamExt, stream};
use oci_spec::distribution::Reference;
use tokio::time::timeout;
use tonic::Code;

use super::{Containerd, pull::LAYERS_MAX, store::Described};
use crate::{
    Image, ImageSource, Part, PullError, RuntimeError,
    archive::{self, Descriptor, Manifest},
};

/// Bytes of a manifest or a configuration: the registries' own limit.
const JSON_BYTES_MAX: usize = 4 << 20;

/// A part that stands still for so long does not come any more.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

impl Containerd {
    pub(super) async fn part_of(&self, reference: &str, digest: &str) -> Result<Option<Part>, RuntimeError> {
        let Some(found) = self.find_image(reference).await? else { return Ok(None) };
        if !self.holds(&found.image.digest, digest).await? {
            return Ok(None);
        }
        let request = ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        match ContentClient::new(self.channel()).read(self.request_that_waits(request)).await {
            Ok(answer) => {
                let parts = answer.into_inner().map_ok(|part| Bytes::from(part.data));
                Ok(Some(parts.map_err(io::Error::other).boxed()))
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.refused("read content")(status)),
        }
    }

    /// Whether a part is one of the image with this manifest: no name leads to what is not its own.
    async fn holds(&self, manifest: &str, part: &str) -> Result<bool, RuntimeError> {
        if manifest == part {
            return Ok(true);
        }
        let bytes = self.content(manifest).await?.unwrap_or_default();
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(false) };
        Ok(manifest.layers.iter().chain([&manifest.config]).any(|one| one.digest == part))
    }

    pub(super) async fn receive_image(
        &self,
        reference: &str,
        digest: &str,
        source: &dyn ImageSource,
    ) -> Result<Image, PullError> {
        let parsed: Result<Reference, _> = reference.parse();
        let invalid = |reason: String| PullError::InvalidReference { reference: reference.to_owned(), reason };
        let whole = parsed.map_err(|error| invalid(error.to_string()))?.whole();
        let of_runtime = PullError::runtime(&whole);
        let unusable = |reason: &str| PullError::Unusable { reference: whole.clone(), reason: reason.to_owned() };
        let _place = self.shared.pulls.acquire().await.map_err(|_| invalid("the runtime is closed".to_owned()))?;
        let manifest_bytes = small(source, digest, &whole).await?;
        let manifest: Manifest = serde_json::from_slice(&manifest_bytes).map_err(|_| unusable("it has no manifest"))?;
        let config_bytes = small(source, &manifest.config.digest, &whole).await?;
        if !archive::is_for_us(&config_bytes) {
            return Err(PullError::Platform { reference: whole.clone() });
        }
        let lease = self.lease().await.map_err(&of_runtime)?;
        let layers = stream::iter(manifest.layers.clone()).map(|layer| {
            let (whole, lease) = (&whole, &lease);
            async move { self.fetch(&layer, large(source, &layer, whole), whole, lease).await }
        });
        layers.buffer_unordered(LAYERS_MAX).try_collect::<()>().await?;
        let form = if manifest.media_type.is_empty() { archive::MANIFEST } else { &manifest.media_type };
        let target = Descriptor::new(form, digest.to_owned(), manifest_bytes.len() as u64);
        let described = Described {
            target: &target,
            manifest: &manifest,
            manifest_bytes: &manifest_bytes,
            config_bytes: &config_bytes,
        };
        let installed = self.install(&described, std::slice::from_ref(&whole), &lease).await.map_err(&of_runtime)?;
        self.end_lease(lease).await.map_err(&of_runtime)?;
        installed.into_iter().next().ok_or_else(|| unusable("it was removed while it came"))
    }
}

fn unreachable(whole: &str) -> impl Fn(io::Error) -> PullError + '_ {
    move |error| PullError::Unreachable { reference: whole.to_owned(), reason: error.to_string() }
}

/// A part that is read at once, and has its digest.
async fn small(source: &dyn ImageSource, digest: &str, whole: &str) -> Result<Vec<u8>, PullError> {
    let failed = unreachable(whole);
    let mut part = cut(source.part(digest).await.map_err(&failed)?, JSON_BYTES_MAX as u64);
    let mut bytes = Vec::new();
    while let Some(more) = part.next().await {
        bytes.extend(more.map_err(&failed)?);
    }
    match archive::sha256(&bytes) {
        found if found == digest => Ok(bytes),
        found => {
            let reason = format!("part {digest} is {found}: it was changed on its way");
            Err(PullError::Unusable { reference: whole.to_owned(), reason })
        }
    }
}

/// A layer as it comes; who stores it checks its digest.
async fn large(source: &dyn ImageSource, layer: &Descriptor, whole: &str) -> Result<Part, PullError> {
    Ok(cut(source.part(&layer.digest).await.map_err(unreachable(whole))?, layer.size))
}

/// A part that may be so long and stand still for [`STALL_TIMEOUT`].
fn cut(part: Part, bytes_max: u64) -> Part {
    let next = move |(mut part, left): (Part, u64)| async move {
        let more = match timeout(STALL_TIMEOUT, part.next()).await {
            Ok(more) => more?,
            Err(_) => Err(io::Error::other(format!("nothing came for {STALL_TIMEOUT:?}"))),
        };
        let more = more.and_then(|more| match left.checked_sub(more.len() as u64) {
            Some(left) => Ok((more, left)),
            None => Err(io::Error::other("it is longer than it should be")),
        });
        match more {
            Ok((more, left)) => Some((Ok(more), (part, left))),
            Err(error) => Some((Err(error), (stream::empty().boxed(), 0))),
        }
    };
    stream::unfold((part, bytes_max), next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_is_too_long_breaks_off() {
        let three = || stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))]).boxed();
        let read = |max| cut(three(), max).try_collect::<Vec<Bytes>>();
        assert_eq!(read(3).await.expect("it fits").concat(), b"abc");
        assert!(read(2).await.expect_err("it does not").to_string().contains("longer"));
    }
}
