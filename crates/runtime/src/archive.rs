//! Images in a tar file: an OCI layout, or what `docker save` writes. Blocking. Main item: [`read`].
//! Spec: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::hex;

/// Entries of an archive; an image has two per layer or so.
const ENTRIES_MAX: usize = 20_000;

/// Bytes of a manifest, index or configuration: the registries' own limit.
const JSON_BYTES_MAX: u64 = 4 << 20;

/// Images of an archive.
const IMAGES_MAX: usize = 256;

/// How deep an index may hold another, and how many links may lead to a layer.
const DEPTH_MAX: usize = 4;

/// Media types of what we write ourselves.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("the image archive cannot be read")]
    Io(#[from] io::Error),
    /// It is neither an OCI layout nor a `docker save`.
    #[error("the archive has neither index.json nor manifest.json; write it with `docker save` or as an OCI layout")]
    Unknown,
    /// A part is missing, too large, or does not fit its digest.
    #[error("the archive's {part} {problem}; write the archive again")]
    Damaged {
        /// Which part.
        part: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An image has no name.
    #[error("an image in the archive has no name; save it by name, as `docker save NAME:TAG` does")]
    Nameless,
    /// Nothing for this machine.
    #[error("the archive has no image for linux/{0}")]
    Platform(&'static str),
}

/// A pointer to content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing)]
    platform: Option<Platform>,
    #[serde(default, skip_serializing)]
    annotations: HashMap<String, String>,
}

impl Descriptor {
    /// For content of this kind.
    pub(crate) fn new(media_type: &str, digest: String, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, platform: None, annotations: HashMap::new() }
    }

    /// Whether it is for this machine, as far as it says.
    pub(crate) fn fits(&self) -> bool {
        self.platform.as_ref().is_none_or(|platform| platform.os == "linux" && platform.architecture == architecture())
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// An image's parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An image of an archive.
#[derive(Debug)]
pub(crate) struct Archived {
    /// As the archive has them.
    pub(crate) names: Vec<String>,
    pub(crate) target: Descriptor,
    pub(crate) manifest: Manifest,
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) config_bytes: Vec<u8>,
    /// Where each layer starts in the archive.
    pub(crate) layers: Vec<u64>,
}

/// Finds the images of an archive.
pub(crate) fn read(path: &Path) -> Result<Vec<Archived>, ArchiveError> {
    let mut tar = Tar::open(path)?;
    let images = if let Some(index) = tar.json::<Index>("index.json")? {
        let named = index.manifests.iter().take(IMAGES_MAX).map(|entry| layout(&mut tar, entry));
        merge(named.collect::<Result<Vec<_>, _>>()?.into_iter().flatten())
    } else if let Some(saved) = tar.json::<Vec<Saved>>("manifest.json")? {
        saved.iter().take(IMAGES_MAX).map(|entry| docker(&mut tar, entry)).collect::<Result<Vec<_>, _>>()?
    } else {
        return Err(ArchiveError::Unknown);
    };
    match images.iter().any(|image| image.names.is_empty()) {
        true => Err(ArchiveError::Nameless),
        false if images.is_empty() => Err(ArchiveError::Platform(architecture())),
        false => Ok(images),
    }
}

/// Whether an image's configuration says that it is for this machine.
pub(crate) fn is_for_us(config: &[u8]) -> bool {
    let platform: Result<Platform, _> = serde_json::from_slice(config);
    platform.is_ok_and(|platform| platform.os == "linux" && platform.architecture == architecture())
}

/// This machine, as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// One image with two names is listed twice in an index.
fn merge(images: impl Iterator<Item = Archived>) -> Vec<Archived> {
    let mut merged: Vec<Archived> = Vec::new();
    for image in images {
        match merged.iter_mut().find(|known| known.target.digest == image.target.digest) {
            Some(known) => known.names.extend(image.names),
            None => merged.push(image),
        }
    }
    merged
}

/// An entry of an OCI layout; `None` if it is for another platform.
fn layout(tar: &mut Tar, entry: &Descriptor) -> Result<Option<Archived>, ArchiveError> {
    let full = entry.annotations.get("io.containerd.image.name");
    // A mere tag names no image.
    let reference = entry.annotations.get("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/']));
    let names = full.or(reference).into_iter().cloned().collect();
    let Some((target, manifest_bytes)) = manifest(tar, entry)? else { return Ok(None) };
    let manifest: Manifest = parse(&target.digest, &manifest_bytes)?;
    let config_bytes = tar.blob(&manifest.config.digest)?;
    let layers = manifest.layers.iter().map(|layer| {
        let (offset, size) = tar.locate(&blob_path(&layer.digest))?;
        if size == layer.size { Ok(offset) } else { Err(damaged(&layer.digest, "has another size than it should")) }
    });
    let layers = layers.collect::<Result<_, _>>()?;
    Ok(Some(Archived { names, target, manifest, manifest_bytes, config_bytes, layers }))
}

/// The manifest that an entry leads to, through indexes.
fn manifest(tar: &mut Tar, entry: &Descriptor) -> Result<Option<(Descriptor, Vec<u8>)>, ArchiveError> {
    let mut entry = entry.clone();
    for _ in 0..DEPTH_MAX {
        if !entry.fits() {
            return Ok(None);
        }
        let bytes = tar.blob(&entry.digest)?;
        if !entry.media_type.ends_with("index.v1+json") && !entry.media_type.ends_with("manifest.list.v2+json") {
            return Ok(Some((entry, bytes)));
        }
        let index: Index = parse(&entry.digest, &bytes)?;
        match index.manifests.into_iter().find(Descriptor::fits) {
            Some(found) => entry = found,
            None => return Ok(None),
        }
    }
    Err(damaged(&entry.digest, "is nested too deeply"))
}

/// An entry of a `docker save`, for which we write the manifest.
fn docker(tar: &mut Tar, saved: &Saved) -> Result<Archived, ArchiveError> {
    let (mut layers, mut offsets) = (Vec::new(), Vec::new());
    for name in &saved.layers {
        let (offset, size) = tar.locate(name)?;
        let (digest, gzip) = tar.digest(offset, size)?;
        layers.push(Descriptor::new(&format!("{LAYER}{}", if gzip { "+gzip" } else { "" }), digest, size));
        offsets.push(offset);
    }
    let config_bytes = tar.small(&saved.config)?.ok_or_else(|| damaged(&saved.config, "is missing"))?;
    let config = Descriptor::new(CONFIG, sha256(&config_bytes), config_bytes.len() as u64);
    let manifest = Manifest { schema_version: 2, media_type: MANIFEST.to_owned(), config, layers };
    let manifest_bytes = serde_json::to_vec(&manifest).map_err(io::Error::from)?;
    let target = Descriptor::new(MANIFEST, sha256(&manifest_bytes), manifest_bytes.len() as u64);
    let names = saved.repo_tags.clone().unwrap_or_default();
    Ok(Archived { names, target, manifest, manifest_bytes, config_bytes, layers: offsets })
}

/// What an index lists; `None` if it is none.
pub(crate) fn index(bytes: &[u8]) -> Option<Vec<Descriptor>> {
    serde_json::from_slice(bytes).ok().map(|index: Index| index.manifests)
}

/// A digest as images name it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn damaged(part: &str, problem: &'static str) -> ArchiveError {
    ArchiveError::Damaged { part: part.to_owned(), problem }
}

fn parse<T: serde::de::DeserializeOwned>(part: &str, bytes: &[u8]) -> Result<T, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|_| damaged(part, "is not what it should be"))
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// A tar file and where its entries are.
struct Tar {
    file: File,
    entries: HashMap<String, (u64, u64)>,
    links: HashMap<String, String>,
}

impl Tar {
    fn open(path: &Path) -> Result<Self, ArchiveError> {
        let (mut entries, mut links) = (HashMap::new(), HashMap::new());
        let mut archive = tar::Archive::new(File::open(path)?);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
            if let Some(target) = entry.link_name()? {
                let folder = Path::new(&name).parent().unwrap_or(Path::new(""));
                links.insert(name.clone(), normal(&folder.join(target)));
            } else {
                entries.insert(name, (entry.raw_file_position(), entry.size()));
            }
            if entries.len() + links.len() > ENTRIES_MAX {
                return Err(damaged("list of files", "is too long"));
            }
        }
        Ok(Self { file: File::open(path)?, entries, links })
    }

    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name;
        for _ in 0..DEPTH_MAX {
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        self.entries.get(name).copied()
    }

    fn locate(&self, name: &str) -> Result<(u64, u64), ArchiveError> {
        self.find(name).ok_or_else(|| damaged(name, "is missing"))
    }

    fn small(&mut self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some((offset, size)) = self.find(name) else { return Ok(None) };
        if size > JSON_BYTES_MAX {
            return Err(damaged(name, "is too large"));
        }
        self.file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        (&mut self.file).take(size).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ArchiveError> {
        self.small(name)?.map(|bytes| parse(name, &bytes)).transpose()
    }

    fn blob(&mut self, digest: &str) -> Result<Vec<u8>, ArchiveError> {
        let bytes = self.small(&blob_path(digest))?.ok_or_else(|| damaged(digest, "is missing"))?;
        if sha256(&bytes) == digest { Ok(bytes) } else { Err(damaged(digest, "does not fit its digest")) }
    }

    /// A layer's digest, and whether it is compressed.
    fn digest(&mut self, offset: u64, size: u64) -> Result<(String, bool), ArchiveError> {
        let (mut hasher, mut magic) = (Sha256::new(), [0; 2]);
        self.file.seek(SeekFrom::Start(offset))?;
        (&mut self.file).take(size.min(2)).read_exact(&mut magic[..usize::try_from(size.min(2)).unwrap_or(2)])?;
        self.file.seek(SeekFrom::Start(offset))?;
        io::copy(&mut (&mut self.file).take(size), &mut hasher)?;
        Ok((format!("sha256:{}", hex(&hasher.finalize())), magic == [0x1f, 0x8b]))
    }
}

/// Without `.` and `..`; what leads out of the archive leads nowhere.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(parts.pop()),
            std::path::Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}
