//! Images of this node: taken, listed, forgotten by its container runtime. Main type: [`Image`].

use std::path::Path;

use actors::context::Context;
use anyhow::{Result, anyhow, bail};
use runtime::ContainerRuntime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An image as commands show it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Image {
    /// Its full name.
    pub(crate) reference: String,
    /// Digest of its manifest.
    pub(crate) digest: String,
    /// Of its layers, as they are stored.
    pub(crate) size_bytes: u64,
}

impl From<runtime::Image> for Image {
    fn from(image: runtime::Image) -> Self {
        Self { reference: image.reference, digest: image.digest, size_bytes: image.size }
    }
}

/// Takes the images of an archive and tells which.
pub(super) async fn import(context: &Context, archive: &Path) -> Result<Value> {
    let images = containers(context)?.import(archive).await?;
    for image in &images {
        context.pulled.imported(&image.reference, &image.digest)?;
    }
    shown(images)
}

/// All images.
pub(super) async fn list(context: &Context) -> Result<Value> {
    shown(containers(context)?.images().await?)
}

/// Forgets an image; tells its full name.
pub(super) async fn remove(context: &Context, reference: &str) -> Result<Value> {
    let runtime = containers(context)?;
    match runtime.image(reference).await? {
        None => bail!("there is no image {reference:?} on node {}: `mesh image list` shows them", context.name),
        Some(image) => {
            runtime.remove_image(&image.reference).await?;
            Ok(image.reference.into())
        }
    }
}

fn shown(images: Vec<runtime::Image>) -> Result<Value> {
    let images: Vec<Image> = images.into_iter().map(Image::from).collect();
    Ok(serde_json::to_value(images)?)
}

fn containers(context: &Context) -> Result<&dyn ContainerRuntime> {
    let missing = || anyhow!("node {} runs no pods, and so has no images: it was started with --no-pods", context.name);
    context.runtime.as_deref().ok_or_else(missing)
}
