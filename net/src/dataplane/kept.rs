//! What the data plane remembers over a restart: itself, its peers, and the objects. Main types: [`Kept`], [`KeptFile`].
//!
//! One file, 0600, replaced whole or not at all, sealed under a key of the node's own: whoever could write it would say which keys
//! peers have. What cannot be read is as if it were not there: the control process tells all anew.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::wire::{NodeFacts, ObjectRef, PeerFacts};
use crate::codec;
use crate::key::sha256;
use crate::seal::SealKey;

/// Name of the file in the data directory.
pub const FILE: &str = "dataplane.state";

/// What is sealed, and where it lies.
const CONTEXT: &str = "dataplane.state";

/// Largest file, in bytes: 20,000 Services and their slices.
const FILE_LIMIT: usize = 256 << 20;

/// What the data plane knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its node; `None` until it was told for the first time.
    pub node: Option<NodeFacts>,
    /// All other members.
    pub peers: Vec<PeerFacts>,
    /// All objects, JSON.
    pub objects: BTreeMap<ObjectRef, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
enum Frame {
    V1(Kept),
}

/// The file.
#[derive(Clone, Debug)]
pub struct KeptFile {
    path: PathBuf,
    key: SealKey,
}

impl KeptFile {
    /// The file of a data directory, under a key made of the node's disk key.
    pub fn new(data_dir: &Path, disk_key: &[u8; 32]) -> Self {
        let key = SealKey::from_bytes(sha256(&[b"mesh dataplane state 1", disk_key]));
        Self { path: data_dir.join(FILE), key }
    }

    /// What it holds; `None` where there is none, or one that cannot be read.
    ///
    /// # Errors
    /// What the file system says.
    pub fn load(&self) -> io::Result<Option<Kept>> {
        let mut sealed = Vec::new();
        match File::open(&self.path).and_then(|file| file.take(FILE_LIMIT as u64).read_to_end(&mut sealed)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let opened = self.key.open(CONTEXT, &sealed).ok();
        let frame = opened.and_then(|bytes| codec::decode::<Frame, FILE_LIMIT>(&bytes).ok());
        if frame.is_none() {
            tracing::warn!(path = %self.path.display(), "what the data plane remembered cannot be read; it starts anew");
        }
        Ok(frame.map(|Frame::V1(kept)| kept))
    }

    /// Replaces it, durably. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// What the file system says; the old one is there still.
    pub fn save(&self, kept: Kept) -> io::Result<()> {
        let sealed = self.key.seal(CONTEXT, &codec::encode(&Frame::V1(kept)), &mut rand::rng());
        let beside = self.path.with_extension("state.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::dataplane::wire::ObjectKind;

    fn kept() -> Kept {
        let object = ObjectRef { kind: ObjectKind::Service, namespace: "default".into(), name: "web".into() };
        Kept { node: None, peers: Vec::new(), objects: BTreeMap::from([(object, b"{}".to_vec())]) }
    }

    #[test]
    fn what_was_saved_is_loaded_by_its_own_node_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeptFile::new(dir.path(), &[1; 32]);
        assert_eq!(file.load().unwrap(), None);
        file.save(kept()).unwrap();
        assert_eq!(file.load().unwrap(), Some(kept()));
        let path = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(KeptFile::new(dir.path(), &[2; 32]).load().unwrap(), None, "another node's");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(file.load().unwrap(), None, "changed since");
    }

    #[test]
    fn the_first_version_is_read_for_ever() {
        let bytes = codec::encode(&Frame::V1(kept()));
        assert_eq!(bytes, b"\x00\x00\x00\x01\x00\x07default\x03web\x02{}");
    }
}
