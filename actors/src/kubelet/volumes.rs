//! A pod's volumes on disk: folders, files that follow their objects, memory-backed where secret. Main type: [`Writer`].
//!
//! Layout: `<dataDir>/pods/<uid>/volumes/<name>`. Which volumes and files is decided by [`::kubelet::volume`].
//! What containers can write to is never walked by name from above: see [`beneath`].

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use ::kubelet::observed::Token;
use ::kubelet::volume::{Content, File, HostCheck, Source, Volume, VolumeSet};
use runtime::PodRef;

use super::history;
use super::machine::Machine;
use mounts::blocking;

pub mod atomic;
pub mod beneath;
pub mod kept;
pub mod mounts;
pub mod prepare;
pub mod tokens;

/// Mode of an `emptyDir` and of the folder of a volume of files.
const OPEN: u32 = 0o777;

/// Brings a pod's volumes to what a plan says.
#[derive(Debug)]
pub struct Writer<'a> {
    /// Where and by whom.
    pub machine: &'a Arc<Machine>,
    /// Whose.
    pub pod: &'a PodRef,
    /// Tokens in volumes, by key; those that are still good are kept.
    pub tokens: BTreeMap<String, Token>,
}

/// A file with its bytes.
#[derive(Clone, PartialEq)]
pub struct Payload {
    /// Relative, without `..`.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// Owner; root if `None`.
    pub owner: Option<u32>,
    /// Content.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

impl Writer<'_> {
    /// Prepares all volumes of a pod.
    ///
    /// # Errors
    /// The first that cannot be, as upstream's events say it.
    pub async fn prepare(&mut self, set: &VolumeSet) -> Result<(), String> {
        for volume in &set.volumes {
            let failed = |why: String| format!("MountVolume.SetUp failed for volume {:?} : {why}", volume.name);
            self.one(volume).await.map_err(failed)?;
        }
        let (dir, tokens) = (self.machine.pod_dir(&self.pod.uid), self.tokens.clone());
        blocking(move || tokens::save(&dir, &tokens)).await
    }

    async fn one(&mut self, volume: &Volume) -> Result<(), String> {
        let volume = volume.clone();
        match &volume.source {
            Source::Empty { .. } => blocking(move || empty(&volume)).await,
            Source::Host { check } => {
                let check = *check;
                blocking(move || host(&volume.path, check)).await
            }
            Source::Kept { make, root_only } => {
                let (make, root_only) = (*make, *root_only);
                let marker = self.machine.pod_dir(&self.pod.uid).join("volumes").join(&volume.name);
                blocking(move || kept::prepare(&volume.path, &marker, make, root_only, volume.group)).await
            }
            Source::Files { files, memory } => {
                let memory = *memory;
                let files = self.contents(&volume, files).await?;
                blocking(move || write_files(&volume, &files, memory)).await
            }
        }
    }

    async fn contents(&mut self, volume: &Volume, files: &[File]) -> Result<Vec<Payload>, String> {
        let mut payloads = Vec::with_capacity(files.len());
        for file in files {
            let bytes = match &file.content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Token(request) => {
                    let there = volume.path.join(atomic::DATA).join(&file.path);
                    let known = self.tokens.get(&request.key).copied();
                    let (bytes, token) = tokens::get(&self.machine.api, self.pod, request, known, &there).await?;
                    self.tokens.insert(request.key.clone(), token);
                    bytes
                }
            };
            payloads.push(Payload { path: file.path.clone(), mode: file.mode, owner: file.owner, bytes });
        }
        Ok(payloads)
    }
}

fn empty(volume: &Volume) -> std::io::Result<()> {
    let Source::Empty { memory, size_bytes_max } = volume.source else { return Ok(()) };
    folder(&volume.path, OPEN)?;
    if memory {
        mounts::tmpfs(&volume.path, size_bytes_max, OPEN)?;
    }
    match volume.group {
        Some(group) => give(&volume.path, group, OPEN),
        None => Ok(()),
    }
}

/// Gives a folder of ours to a group: set-group-id, so that what is made in it is the group's as well.
fn give(path: &Path, group: u32, mode: u32) -> std::io::Result<()> {
    std::os::unix::fs::chown(path, None, Some(group))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o2770))
}

/// A folder of this mode, whatever the process's mask.
fn folder(path: &Path, mode: u32) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn write_files(volume: &Volume, files: &[Payload], memory: bool) -> std::io::Result<()> {
    folder(&volume.path, OPEN)?;
    if memory {
        mounts::tmpfs(&volume.path, None, OPEN)?;
    }
    if let Some(group) = volume.group {
        give(&volume.path, group, OPEN)?;
    }
    atomic::write(&volume.path, files, volume.group)
}

/// Checks a path of the host, and makes it where its type says so.
fn host(path: &Path, check: HostCheck) -> std::io::Result<()> {
    let known = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        known => Some(known?.file_type()),
    };
    let refuse = |what: &str| {
        let path = path.display();
        Err(std::io::Error::other(format!("hostPath type check failed: {path} is not a {what}")))
    };
    match (check, known) {
        (HostCheck::Unset, Some(_)) => Ok(()),
        // The runtime would refuse to mount what is not there: upstream's makes a folder.
        (HostCheck::Unset | HostCheck::DirectoryOrCreate, None) => folder(path, 0o755),
        (HostCheck::Directory | HostCheck::DirectoryOrCreate, Some(kind)) if kind.is_dir() => Ok(()),
        (HostCheck::Directory | HostCheck::DirectoryOrCreate, _) => refuse("directory"),
        (HostCheck::FileOrCreate, None) => {
            fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o644))
        }
        (HostCheck::File | HostCheck::FileOrCreate, Some(kind)) if kind.is_file() => Ok(()),
        (HostCheck::File | HostCheck::FileOrCreate, _) => refuse("file"),
        (HostCheck::Socket, Some(kind)) if kind.is_socket() => Ok(()),
        (HostCheck::Socket, _) => refuse("socket file"),
        (HostCheck::CharDevice, Some(kind)) if kind.is_char_device() => Ok(()),
        (HostCheck::CharDevice, _) => refuse("character device"),
        (HostCheck::BlockDevice, Some(kind)) if kind.is_block_device() => Ok(()),
        (HostCheck::BlockDevice, _) => refuse("block device"),
    }
}

/// Unmounts and removes all of a pod's folder but for its history. Blocks.
///
/// # Errors
/// Where something stays mounted or a file cannot be removed: nothing below a mount is ever deleted.
pub fn remove(pod_dir: &Path) -> std::io::Result<()> {
    mounts::unmount_below(pod_dir)?;
    let entries = match fs::read_dir(pod_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == history::NAME {
            continue;
        }
        // Neither follows links, whatever containers put in place of folders meanwhile.
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(path: &Path, source: Source) -> Volume {
        Volume { name: "v".into(), path: path.to_owned(), source, group: None }
    }

    #[test]
    fn an_empty_folder_is_open_to_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let wanted = volume(&path, Source::Empty { memory: false, size_bytes_max: None });
        empty(&wanted).unwrap();
        fs::write(path.join("kept"), "").unwrap();
        empty(&wanted).unwrap();
        assert!(path.join("kept").exists());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o777);
    }

    #[test]
    fn paths_of_the_host_are_what_their_type_says() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        let check = |name: &str, check: HostCheck, expect: Option<&str>| {
            let told = host(&at(name), check).err().map(|error| error.to_string());
            let expect =
                expect.map(|what| format!("hostPath type check failed: {} is not a {what}", at(name).display()));
            assert_eq!(told, expect, "{name} {check:?}");
        };
        check("file", HostCheck::Unset, None);
        check("file", HostCheck::File, None);
        check("file", HostCheck::Directory, Some("directory"));
        check("none", HostCheck::Directory, Some("directory"));
        check("none", HostCheck::File, Some("file"));
        check("file", HostCheck::Socket, Some("socket file"));
        check("made", HostCheck::DirectoryOrCreate, None);
        check("touched", HostCheck::FileOrCreate, None);
        assert!(at("made").is_dir() && at("touched").is_file());
    }

    #[test]
    fn removing_keeps_the_history_and_what_links_point_to() {
        let dir = tempfile::tempdir().unwrap();
        let (pod, outside) = (dir.path().join("pod"), dir.path().join("outside"));
        fs::create_dir_all(pod.join("volumes/v")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "").unwrap();
        fs::write(pod.join(history::NAME), "{}").unwrap();
        std::os::unix::fs::symlink(&outside, pod.join("volumes/v/out")).unwrap();
        remove(&pod).unwrap();
        assert!(outside.join("precious").exists() && pod.join(history::NAME).exists() && !pod.join("volumes").exists());
    }
}
