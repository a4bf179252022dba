//! This node's pods as it last knew them, sealed on disk: what is run while no voter can be asked, also after a reboot.
//! Main type: [`PodStore`]. The seal is made with the node's disk key, for pods may hold secrets.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use api::meta;
use net::seal::SealKey;
use parking_lot::RwLock;
use serde_json::Value;
use tracing::warn;

use super::{Uid, history};

/// What the sealed bytes are, for the seal: nothing else opens as them.
const CONTEXT: &str = "node/pods/1";

/// Name of the file beside the pods' folders.
pub const NAME: &str = "pods.sealed";

/// Largest file read, in bytes: a thousand large pods.
const FILE_LIMIT: u64 = 64 << 20;

/// Pods as last known.
pub struct PodStore {
    path: PathBuf,
    key: SealKey,
    pods: RwLock<Option<BTreeMap<Uid, Arc<Value>>>>,
}

impl std::fmt::Debug for PodStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PodStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PodStore {
    /// Reads what was written before; nothing where there is none, or it is damaged.
    pub fn open(path: PathBuf, key: SealKey) -> Self {
        let pods = match read(&path, &key) {
            Ok(pods) => pods,
            Err(error) => {
                warn!(path = %path.display(), %error, "pods last known cannot be read; they are asked for anew");
                None
            }
        };
        Self { path, key, pods: RwLock::new(pods) }
    }

    /// Whether anything was known before.
    pub fn is_loaded(&self) -> bool {
        self.pods.read().is_some()
    }

    /// A pod by its uid.
    pub fn get(&self, uid: &str) -> Option<Arc<Value>> {
        self.pods.read().as_ref()?.get(uid).cloned()
    }

    /// All uids.
    pub fn uids(&self) -> Vec<Uid> {
        self.pods.read().as_ref().map(|pods| pods.keys().cloned().collect()).unwrap_or_default()
    }

    /// Writes the pods as they are now known, durably, if they differ from those before. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save(&self, pods: &[Arc<Value>]) -> io::Result<()> {
        let pods: BTreeMap<Uid, Arc<Value>> = pods.iter().map(|pod| (meta::uid(pod).to_owned(), pod.clone())).collect();
        if self.pods.read().as_ref() == Some(&pods) {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&pods.values().collect::<Vec<_>>()).map_err(io::Error::other)?;
        let sealed = self.key.seal(CONTEXT, &bytes, &mut rand::rng());
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        history::write(&self.path, &sealed)?;
        *self.pods.write() = Some(pods);
        Ok(())
    }
}

fn read(path: &std::path::Path, key: &SealKey) -> io::Result<Option<BTreeMap<Uid, Arc<Value>>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(known) if known.len() > FILE_LIMIT => return Err(io::Error::other("the file is too large")),
        Ok(_) => {}
    }
    let opened = key.open(CONTEXT, &fs::read(path)?).map_err(io::Error::other)?;
    let pods: Vec<Value> = serde_json::from_slice(&opened).map_err(io::Error::other)?;
    Ok(Some(pods.into_iter().map(|pod| (meta::uid(&pod).to_owned(), Arc::new(pod))).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_come_back_with_the_key_and_with_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let open = |key: u8| PodStore::open(path.clone(), SealKey::from_bytes([key; 32]));
        let store = open(1);
        assert!(!store.is_loaded());
        store
            .save(&[Arc::new(json!({ "metadata": { "uid": "u", "name": "p" }, "spec": { "secret": "psst" } }))])
            .unwrap();
        assert!(!fs::read(&path).unwrap().windows(4).any(|window| window == b"psst"));
        assert_eq!(open(1).get("u").unwrap()["metadata"]["name"], "p");
        assert!(!open(2).is_loaded());
    }
}
