//! The data directory of a node: what it must know before it can ask anybody. Main type: [`Home`].
//!
//! `identity/` (who), `member.json` (of which cluster, last known members), `cluster.key` (voters only), `disk.key`
//! (seals log and snapshots), `feed.json` (what was last heard of members and cluster), `raft/` (log and snapshots), `mesh.sock` (the local commands). All 0600 in a 0700 folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use net::peers::{Peer, Removed};
use serde::{Deserialize, Serialize};

/// Largest file of ours that is read whole, in bytes: thousands of members fit.
const FILE_LIMIT: u64 = 16 << 20;

/// Name of the key that seals the cluster's secrets; only voters have it.
pub const CLUSTER_KEY: &str = "cluster.key";

/// Name of the key that seals this node's log and snapshots.
pub const DISK_KEY: &str = "disk.key";

/// Name of what was last heard of members and cluster.
pub const FEED: &str = "feed.json";

/// A key is 32 bytes.
pub type KeyBytes = [u8; 32];

/// What the node knows of its cluster while it can ask nobody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Membership {
    /// Format of this file.
    pub version: u32,
    /// Id of the cluster.
    pub cluster: String,
    /// The cluster's incarnation when last seen.
    pub incarnation: u64,
    /// This node's name.
    pub name: String,
    /// This node's certificate, DER.
    pub certificate: Vec<u8>,
    /// The node authority's certificate, DER.
    pub authority: Vec<u8>,
    /// Members when last seen.
    pub members: Vec<Peer>,
    /// Former members when last seen.
    pub removed: Vec<Removed>,
}

/// Format of `member.json`.
pub const MEMBERSHIP_VERSION: u32 = 1;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{path} is damaged ({reason}); restore it, or join again with an empty data directory and --replace")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A data directory.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// Makes the directory where it is missing.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| HomeError::Io { path: path.into(), source })?;
        Ok(Self(path.into()))
    }

    /// A path within it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Of which cluster this node is a member, if it is.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn membership(&self) -> Result<Option<Membership>, HomeError> {
        let path = self.path("member.json");
        let Some(bytes) = self.read("member.json")? else { return Ok(None) };
        let damaged = |reason: String| HomeError::Damaged { path: path.clone(), reason };
        let membership: Membership = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if membership.version != MEMBERSHIP_VERSION {
            return Err(damaged(format!("format {} is unknown to this release", membership.version)));
        }
        Ok(Some(membership))
    }

    /// Remembers it, durably and all or nothing.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn save_membership(&self, membership: &Membership) -> Result<(), HomeError> {
        let bytes = serde_json::to_vec_pretty(membership).expect("a membership is plain data");
        self.write("member.json", &bytes)
    }

    /// Reads a key, if it is there.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn key(&self, name: &str) -> Result<Option<KeyBytes>, HomeError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let reason = format!("{} bytes instead of 32", bytes.len());
        let damaged = |_| HomeError::Damaged { path: self.path(name), reason };
        bytes.try_into().map(Some).map_err(damaged)
    }

    /// Writes a key, durably and all or nothing.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn save_key(&self, name: &str, key: &KeyBytes) -> Result<(), HomeError> {
        self.write(name, key)
    }

    /// Forgets everything but the folder itself: this node has left.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn clear(&self) -> Result<(), HomeError> {
        let io = |path: &Path, source| HomeError::Io { path: path.into(), source };
        for entry in std::fs::read_dir(&self.0).map_err(|source| io(&self.0, source))? {
            let path = entry.map_err(|source| io(&self.0, source))?.path();
            let gone = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match gone {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(io(&path, source)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a file, if it is there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, HomeError> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HomeError::Io { path, source }),
        }
    }

    /// Writes beside, syncs, renames, syncs the folder.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
        let (path, beside) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|source| HomeError::Io { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_was_given_and_names_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&dir.path().join("data")).unwrap();
        assert!(home.membership().unwrap().is_none() && home.key("disk.key").unwrap().is_none());
        let membership = Membership {
            version: MEMBERSHIP_VERSION,
            cluster: "c".into(),
            incarnation: 0,
            name: "n1".into(),
            certificate: vec![1],
            authority: vec![2],
            members: Vec::new(),
            removed: Vec::new(),
        };
        home.save_membership(&membership).unwrap();
        home.save_key("disk.key", &[7; 32]).unwrap();
        assert_eq!(home.membership().unwrap(), Some(membership));
        assert_eq!(home.key("disk.key").unwrap(), Some([7; 32]));
        std::fs::write(home.path("disk.key"), b"short").unwrap();
        std::fs::write(home.path("member.json"), b"{}").unwrap();
        assert!(matches!(home.key("disk.key"), Err(HomeError::Damaged { .. })));
        assert!(home.membership().unwrap_err().to_string().contains("member.json is damaged"));
        home.clear().unwrap();
        assert!(home.membership().unwrap().is_none());
    }
}
