//! Images that are there, by name.

use std::{collections::HashMap, sync::Arc};

use containerd_client::services::v1::{
    DeleteImageRequest, GetImageRequest, Image as Named, ListImagesRequest, ReadContentRequest,
    content_client::ContentClient, images_client::ImagesClient,
};
use oci_spec::distribution::Reference;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tonic::Code;

use super::Containerd;
use crate::{Image, ImageConfig, RuntimeError, archive::Manifest, ids::hex};

/// Images whose configuration is remembered; past it all are read anew.
const CACHE_IMAGES_MAX: usize = 1024;

/// Bytes of a manifest or configuration: the registries' own limit.
const JSON_BYTES_MAX: usize = 4 << 20;

/// By digest of the manifest.
pub(super) type Cache = HashMap<String, Arc<Details>>;

/// What an image's content says.
#[derive(Debug)]
pub(super) struct Details {
    config: ImageConfig,
    chain: String,
    size: u64,
}

/// An image, and the snapshot that its containers start from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) image: Image,
    pub(super) chain: String,
}

/// An image's configuration, as far as we use it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    config: Option<Run>,
    pub(super) rootfs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RootFs {
    #[serde(default)]
    pub(super) diff_ids: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Run {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    stop_signal: Option<String>,
}

/// The full form of a reference.
pub(crate) fn full(reference: &str) -> Result<String, RuntimeError> {
    let parsed: Result<Reference, _> = reference.parse();
    let invalid = |error: oci_spec::distribution::ParseError| RuntimeError::Invalid {
        field: "image",
        value: reference.to_owned(),
        reason: error.to_string(),
    };
    Ok(parsed.map_err(invalid)?.whole())
}

/// What an image's configuration says about running it.
pub(crate) fn configuration(bytes: &[u8]) -> Result<ImageConfig, RuntimeError> {
    let parsed: Configuration = serde_json::from_slice(bytes).map_err(|error| RuntimeError::Invalid {
        field: "image configuration",
        value: String::new(),
        reason: error.to_string(),
    })?;
    Ok(image_config(parsed.config.unwrap_or_default()))
}

/// The snapshots of an image's layers, from the lowest on.
pub(super) fn chains(diff_ids: &[String]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff in diff_ids {
        let chain = match chains.last() {
            None => diff.clone(),
            Some(below) => format!("sha256:{}", hex(&Sha256::digest(format!("{below} {diff}")))),
        };
        chains.push(chain);
    }
    chains
}

impl Containerd {
    pub(super) async fn list_images(&self) -> Result<Vec<Image>, RuntimeError> {
        let request = self.request(ListImagesRequest::default());
        let listed = ImagesClient::new(self.channel()).list(request).await.map_err(self.refused("list images"))?;
        let mut found = Vec::new();
        for named in listed.into_inner().images {
            found.extend(self.found(named).await?.map(|found| found.image));
        }
        Ok(found)
    }

    pub(super) async fn find_image(&self, reference: &str) -> Result<Option<Found>, RuntimeError> {
        let request = self.request(GetImageRequest { name: full(reference)? });
        match ImagesClient::new(self.channel()).get(request).await {
            Ok(answer) => match answer.into_inner().image {
                Some(named) => self.found(named).await,
                None => Ok(None),
            },
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.refused("find an image")(status)),
        }
    }

    pub(super) async fn forget_image(&self, reference: &str) -> Result<(), RuntimeError> {
        let request = self.request(DeleteImageRequest { name: full(reference)?, sync: true, target: None });
        match ImagesClient::new(self.channel()).delete(request).await {
            Err(status) if status.code() != Code::NotFound => Err(self.refused("remove an image")(status)),
            _ => Ok(()),
        }
    }

    /// `None` for one whose content is not all there, or not of this platform.
    async fn found(&self, named: Named) -> Result<Option<Found>, RuntimeError> {
        let Some(target) = named.target else { return Ok(None) };
        let Some(details) = self.details(&target.digest).await? else { return Ok(None) };
        let (reference, digest) = (named.name, target.digest);
        let image = Image { reference, digest, size: details.size, config: details.config.clone() };
        Ok(Some(Found { image, chain: details.chain.clone() }))
    }

    async fn details(&self, digest: &str) -> Result<Option<Arc<Details>>, RuntimeError> {
        if let Some(known) = self.shared.images.lock().get(digest) {
            return Ok(Some(known.clone()));
        }
        let Some(manifest) = self.content(digest).await? else { return Ok(None) };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) else { return Ok(None) };
        let Some(config) = self.content(&manifest.config.digest).await? else { return Ok(None) };
        let Ok(config) = serde_json::from_slice::<Configuration>(&config) else { return Ok(None) };
        let details = Arc::new(Details {
            chain: chains(&config.rootfs.diff_ids).pop().unwrap_or_default(),
            size: manifest.layers.iter().map(|layer| layer.size).sum(),
            config: image_config(config.config.unwrap_or_default()),
        });
        let mut cache = self.shared.images.lock();
        if cache.len() >= CACHE_IMAGES_MAX {
            cache.clear();
        }
        cache.insert(digest.to_owned(), details.clone());
        Ok(Some(details))
    }

    pub(super) async fn content(&self, digest: &str) -> Result<Option<Vec<u8>>, RuntimeError> {
        let request = self.request(ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 });
        let mut stream = match ContentClient::new(self.channel()).read(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(self.refused("read content")(status)),
        };
        let mut content = Vec::new();
        loop {
            match stream.message().await {
                Ok(Some(part)) if content.len() + part.data.len() <= JSON_BYTES_MAX => content.extend(part.data),
                Ok(Some(_)) => return Ok(None),
                Ok(None) => return Ok(Some(content)),
                Err(status) if status.code() == Code::NotFound => return Ok(None),
                Err(status) => return Err(self.refused("read content")(status)),
            }
        }
    }
}

fn image_config(run: Run) -> ImageConfig {
    ImageConfig {
        entrypoint: run.entrypoint.unwrap_or_default(),
        command: run.cmd.unwrap_or_default(),
        env: run.env.unwrap_or_default(),
        working_dir: run.working_dir.unwrap_or_default(),
        user: run.user.unwrap_or_default(),
        stop_signal: run.stop_signal.filter(|signal| !signal.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reference: &str, expect: Option<&str>) {
        assert_eq!(full(reference).ok().as_deref(), expect, "{reference}");
    }

    #[test]
    fn references_are_made_full() {
        check("busybox", Some("docker.io/library/busybox:latest"));
        check("me/app:1", Some("docker.io/me/app:1"));
        check("localhost:5000/app", Some("localhost:5000/app:latest"));
        check("registry.k8s.io/pause:3.9", Some("registry.k8s.io/pause:3.9"));
        check("Upper", None);
        check("", None);
    }

    #[test]
    fn chains_follow_the_specification() {
        let diffs = ["sha256:a".to_owned(), "sha256:b".to_owned()];
        let upper = format!("sha256:{}", hex(&Sha256::digest("sha256:a sha256:b")));
        assert_eq!(chains(&diffs), ["sha256:a".to_owned(), upper]);
    }
}
