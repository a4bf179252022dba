//! This node's pods as it last knew them, and what they refer to, sealed on disk: what is run while no voter can be asked.
//! Main type: [`PodStore`]. The seal is made with the node's disk key, for Secrets are among them.
//! Left out: tokens of ServiceAccounts, which are in memory-backed volumes only and end with the machine's next start.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::meta;
use net::seal::SealKey;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::{Uid, history};

/// What the sealed bytes are, for the seal: nothing else opens as them.
const CONTEXT: &str = "node/pods/1";

/// Format of what is sealed.
const VERSION: u32 = 1;

/// Name of the file beside the pods' folders.
pub const NAME: &str = "pods.sealed";

/// Largest file read, in bytes: a thousand large pods.
const FILE_LIMIT: u64 = 64 << 20;

/// Pods as last known, and what they refer to.
pub struct PodStore {
    path: PathBuf,
    key: SealKey,
    known: RwLock<Option<Known>>,
}

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    pods: BTreeMap<Uid, Arc<Value>>,
    /// By kind, namespace and name.
    objects: BTreeMap<(String, String, String), Arc<Value>>,
}

/// What is sealed; fields are only added.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    version: u32,
    pods: Vec<Arc<Value>>,
    #[serde(default)]
    objects: Vec<Arc<Value>>,
}

impl Known {
    fn of(pods: Vec<Arc<Value>>, objects: Vec<Arc<Value>>) -> Self {
        let key = |object: &Value| {
            let [kind, namespace, name] = [meta::kind(object), meta::namespace(object), meta::name(object)];
            (kind.to_owned(), namespace.to_owned(), name.to_owned())
        };
        Self {
            pods: pods.into_iter().map(|pod| (meta::uid(&pod).to_owned(), pod)).collect(),
            objects: objects.into_iter().map(|object| (key(&object), object)).collect(),
        }
    }
}

impl std::fmt::Debug for PodStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PodStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PodStore {
    /// Reads what was written before; nothing where there is none, or it is damaged.
    pub fn open(path: PathBuf, key: SealKey) -> Self {
        let known = read(&path, &key).unwrap_or_else(|error| {
            warn!(path = %path.display(), %error, "pods last known cannot be read; they are asked for anew");
            None
        });
        Self { path, key, known: RwLock::new(known) }
    }

    /// Whether anything was known before.
    pub fn is_loaded(&self) -> bool {
        self.known.read().is_some()
    }

    /// A pod by its uid.
    pub fn get(&self, uid: &str) -> Option<Arc<Value>> {
        self.known.read().as_ref()?.pods.get(uid).cloned()
    }

    /// What a pod refers to, as last known.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.known.read().as_ref()?.objects.get(&key).cloned()
    }

    /// All objects of a kind, as last known.
    pub fn objects(&self, kind: &str) -> Vec<Arc<Value>> {
        let known = self.known.read();
        let objects = known.iter().flat_map(|known| &known.objects);
        objects.filter(|((of, ..), _)| of == kind).map(|(_, object)| object.clone()).collect()
    }

    /// All uids.
    pub fn uids(&self) -> Vec<Uid> {
        self.known.read().as_ref().map(|known| known.pods.keys().cloned().collect()).unwrap_or_default()
    }

    /// Writes all as it is now known, if it differs from before. Blocks.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save(&self, pods: Vec<Arc<Value>>, objects: Vec<Arc<Value>>) -> io::Result<()> {
        let known = Known::of(pods, objects);
        if self.known.read().as_ref() == Some(&known) {
            return Ok(());
        }
        let (pods, objects) = (known.pods.values().cloned().collect(), known.objects.values().cloned().collect());
        let bytes = serde_json::to_vec(&Sealed { version: VERSION, pods, objects }).map_err(io::Error::other)?;
        let sealed = self.key.seal(CONTEXT, &bytes, &mut rand::rng());
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        history::write(&self.path, &sealed)?;
        *self.known.write() = Some(known);
        Ok(())
    }
}

fn read(path: &Path, key: &SealKey) -> io::Result<Option<Known>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(known) if known.len() > FILE_LIMIT => return Err(io::Error::other("the file is too large")),
        Ok(_) => {}
    }
    let opened = key.open(CONTEXT, &fs::read(path)?).map_err(io::Error::other)?;
    let sealed: Sealed = serde_json::from_slice(&opened).map_err(io::Error::other)?;
    match sealed.version {
        VERSION => Ok(Some(Known::of(sealed.pods, sealed.objects))),
        other => Err(io::Error::other(format!("format {other} is unknown to this release"))),
    }
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
        let pod = Arc::new(json!({ "metadata": { "uid": "u", "name": "p" } }));
        let secret =
            json!({ "kind": "Secret", "metadata": { "namespace": "d", "name": "s" }, "data": { "a": "psst" } });
        store.save(vec![pod], vec![Arc::new(secret)]).unwrap();
        assert!(!fs::read(&path).unwrap().windows(4).any(|window| window == b"psst"));
        assert_eq!(open(1).get("u").unwrap()["metadata"]["name"], "p");
        assert_eq!(open(1).object("Secret", "d", "s").unwrap()["data"]["a"], "psst");
        assert_eq!((open(1).objects("Secret").len(), open(1).objects("Service").len()), (1, 0));
        assert!(!open(2).is_loaded());
    }
}
