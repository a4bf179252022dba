//! Images from a registry: fetched by [`crate::registry`], stored by [`super::store`]. Dropping a pull ends it; what it has
//! stored is found by the next for an hour.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use oci_spec::distribution::Reference;

use super::{
    Containerd,
    store::{Described, Lease},
};
use crate::{
    Credentials, Image, Part, PullError,
    archive::{self, Descriptor, Manifest},
    registry::{Fetched, Registry},
};

/// Layers of one image fetched at once: containerd's own number.
pub(super) const LAYERS_MAX: usize = 3;

/// How deep an index may hold another.
const DEPTH_MAX: usize = 4;

impl Containerd {
    pub(super) async fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Image, PullError> {
        let parsed: Result<Reference, _> = reference.parse();
        let invalid = |reason: String| PullError::InvalidReference { reference: reference.to_owned(), reason };
        let parsed = parsed.map_err(|error| invalid(error.to_string()))?;
        let whole = parsed.whole();
        let of_runtime = PullError::runtime(&whole);
        let _place = self.shared.pulls.acquire().await.map_err(|_| invalid("the runtime is closed".to_owned()))?;
        let registry = Registry::of(&parsed, credentials.cloned())?;
        let name = parsed.digest().or(parsed.tag()).unwrap_or("latest");
        let (fetched, manifest) = resolve(&registry, name, &whole).await?;
        let config = registry.small(&manifest.config.digest).await?;
        let lease = self.lease().await.map_err(&of_runtime)?;
        let layers = stream::iter(manifest.layers.clone()).map(|layer| {
            let (registry, whole, lease) = (&registry, &whole, &lease);
            async move { self.fetch(&layer, registry.blob(&layer.digest), whole, lease).await }
        });
        layers.buffer_unordered(LAYERS_MAX).try_collect::<()>().await?;
        let target = Descriptor::new(&fetched.media_type, fetched.digest, fetched.bytes.len() as u64);
        let described =
            Described { target: &target, manifest: &manifest, manifest_bytes: &fetched.bytes, config_bytes: &config };
        let installed = self.install(&described, std::slice::from_ref(&whole), &lease).await.map_err(&of_runtime)?;
        self.end_lease(lease).await.map_err(&of_runtime)?;
        installed.into_iter().next().ok_or_else(|| registry.unusable("it was removed while it was pulled".to_owned()))
    }

    /// Stores a layer, unless it is there; only then `blob` is asked.
    pub(super) async fn fetch(
        &self,
        layer: &Descriptor,
        blob: impl Future<Output = Result<Part, PullError>>,
        whole: &str,
        lease: &Lease,
    ) -> Result<(), PullError> {
        let of_runtime = PullError::runtime(whole);
        let _alone = self.shared.storing.lock(&layer.digest).await;
        let labels = HashMap::new();
        if self.is_stored(layer, &labels, lease).await.map_err(&of_runtime)? {
            return Ok(());
        }
        let blob = blob.await?;
        let written = self.write(layer, blob, labels, lease).await.map_err(&of_runtime)?;
        written.map_err(|error| PullError::Unreachable {
            reference: whole.to_owned(),
            reason: format!("failed to copy {}: {error}", layer.digest),
        })
    }
}

/// The manifest that a name leads to on this machine, through indexes.
async fn resolve(registry: &Registry, name: &str, whole: &str) -> Result<(Fetched, Manifest), PullError> {
    let mut name = name.to_owned();
    for _ in 0..DEPTH_MAX {
        let mut fetched = registry.manifest(&name).await?;
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(&fetched.bytes) {
            if !manifest.media_type.is_empty() {
                fetched.media_type.clone_from(&manifest.media_type);
            }
            return Ok((fetched, manifest));
        }
        let index = archive::index(&fetched.bytes);
        let index = index.ok_or_else(|| registry.unusable(format!("{} is no manifest", fetched.media_type)))?;
        match index.into_iter().find(Descriptor::fits) {
            Some(found) => name = found.digest,
            None => return Err(PullError::Platform { reference: whole.to_owned() }),
        }
    }
    Err(registry.unusable("its index is nested too deeply".to_owned()))
}
