//! What the parts of a kubelet share. Main type: [`Machine`].

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ::kubelet::observed::{Network as PodAddresses, NodeFacts};
use api::meta;
use parking_lot::RwLock;
use runtime::ContainerRuntime;
use serde_json::Value;
use tokio::sync::watch;

use super::Uid;
use super::events::Recorder;
use super::listing::Listing;
use super::network::Network;
use super::pulled::Pulled;
use super::references::Watched;
use super::store::PodStore;
use crate::host::Handle;
use crate::images::Shelves;
use crate::node_api::{Api, Mirror};

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folder of the pods' folders: `<dataDir>/pods`.
    pub pods: PathBuf,
    /// Folder of the containers' logs: `<dataDir>/logs/pods`.
    pub logs: PathBuf,
    /// Folder of the volumes that outlive their pods: `<dataDir>/volumes`.
    pub volumes: PathBuf,
    /// Folder of the profiles that `seccompProfile.localhostProfile` names: `<dataDir>/seccomp`.
    pub seccomp: PathBuf,
}

impl Places {
    /// Those of a data directory.
    #[must_use]
    pub fn within(data: &Path) -> Self {
        let at = |name: &str| data.join(name);
        Self { pods: at("pods"), logs: at("logs/pods"), volumes: at("volumes"), seccomp: at("seccomp") }
    }
}

/// What the parts of a kubelet share.
pub struct Machine {
    /// Name of this node.
    pub name: String,
    /// Where things are.
    pub places: Places,
    /// The API, as this node.
    pub api: Api,
    /// Who runs containers.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// Who attaches pods; none until it is opened.
    pub network: watch::Sender<Option<Arc<dyn Network>>>,
    /// Why the network could not be opened, if so.
    pub network_error: RwLock<Option<String>>,
    /// What runs.
    pub listing: Listing,
    /// How images came.
    pub pulled: Arc<Pulled>,
    /// Other nodes' images; none in a world of one node.
    pub shelves: Option<Shelves>,
    /// Pods bound to this node.
    pub pods: Mirror,
    /// Pods as this node knew them when it last ran.
    pub last_known: Arc<PodStore>,
    /// Objects that pods refer to.
    pub references: Watched,
    /// Tells of events.
    pub recorder: Recorder,
    /// The Node object, once it is known.
    pub node: watch::Sender<Option<Arc<Value>>>,
    /// See [`NodeFacts`].
    pub facts: RwLock<Arc<NodeFacts>>,
    /// Wakes pods.
    pub handle: OnceLock<Handle<Uid>>,
    /// This machine is no node any more: no pod is its.
    pub ending: AtomicBool,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("name", &self.name).field("places", &self.places).finish_non_exhaustive()
    }
}

impl Machine {
    /// Whether pods can be looked after: what runs is known, and there is a network to attach to.
    pub fn is_ready(&self) -> bool {
        self.listing.is_known()
            && self.network.borrow().is_some()
            && (self.pods.synced() || self.last_known.is_loaded())
    }

    /// Whether the pods of this node are known: only then does an absence say anything.
    pub fn knows_pods(&self) -> bool {
        self.pods.synced() || self.ending.load(Ordering::Relaxed)
    }

    /// A pod of this node by its uid: as the API has it, else, until that is known, as this node last knew it.
    pub fn pod(&self, uid: &str) -> Option<Arc<Value>> {
        if self.ending.load(Ordering::Relaxed) {
            return None;
        }
        let found = self.pods.find(|pod| meta::uid(pod) == uid);
        found.or_else(|| if self.pods.synced() { None } else { self.last_known.get(uid) })
    }

    /// What is to be told to plans.
    pub fn facts(&self) -> Arc<NodeFacts> {
        self.facts.read().clone()
    }

    /// Where a pod is attached, if it is.
    pub fn attachment(&self, uid: &str) -> Option<PodAddresses> {
        let network = self.network.borrow().clone()?;
        network.attachment(uid).map(|found| PodAddresses { namespace: found.netns, addresses: found.addresses })
    }

    /// A pod's folder.
    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.places.pods.join(uid)
    }

    /// Plan for a pod, soon.
    pub fn wake(&self, uid: &str) {
        if let Some(handle) = self.handle.get() {
            handle.refresh(uid.to_owned());
        }
    }
}
