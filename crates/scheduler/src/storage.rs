//! Claims, volumes and classes of storage, and which of them are promised to pods that are about to be bound. Main type:
//! [`Storage`]. Spec: <https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode>.
//!
//! Leaves out: capacity that drivers report, limits of volumes on a node.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api::{
    kinds::{
        persistent_volume::fit::class,
        persistent_volume_claim::{BIND_COMPLETED, SELECTED_NODE},
        read::{items, text},
    },
    meta,
};
use serde_json::Value;

mod class;
mod volume;
mod wants;

pub(crate) use class::Class;
pub(crate) use volume::Volume;
pub(crate) use wants::Wants;

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// By namespace and name.
    claims: HashMap<String, Value>,
    volumes: BTreeMap<String, Volume>,
    /// Volumes that no claim has yet, by class.
    free: HashMap<String, BTreeSet<String>>,
    classes: HashMap<String, Class>,
    /// What is chosen for claims and not seen to be written yet.
    promises: HashMap<String, Promise>,
    /// Volumes of these: the claim of each.
    promised: HashMap<String, String>,
}

/// What is to be done about a claim before the pod that uses it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It gets this volume.
    Bind {
        /// Namespace and name.
        claim: String,
        /// Name.
        volume: String,
    },
    /// A volume is made for it, on the pod's node.
    Provision {
        /// Namespace and name.
        claim: String,
    },
}

/// What is chosen for a claim.
#[derive(Clone, Debug)]
struct Promise {
    choice: Choice,
    node: String,
    /// How many pods wait for it.
    pods: usize,
}

impl Choice {
    /// Whose it is.
    #[must_use]
    pub fn claim(&self) -> &str {
        match self {
            Self::Bind { claim, .. } | Self::Provision { claim } => claim,
        }
    }
}

impl Storage {
    /// A claim came or changed, or is gone; `key` is its namespace and name.
    pub fn set_claim(&mut self, key: &str, claim: Option<Value>) {
        match claim {
            Some(claim) => _ = self.claims.insert(key.to_owned(), claim),
            None => _ = self.claims.remove(key),
        }
    }

    /// A volume came or changed, or is gone.
    pub fn set_volume(&mut self, name: &str, volume: Option<Value>) {
        if let Some(old) = self.volumes.remove(name)
            && let Some(names) = self.free.get_mut(old.class())
        {
            names.remove(name);
        }
        self.free.retain(|_, names| !names.is_empty());
        let Some(volume) = volume.map(Volume::new) else { return };
        if volume.is_free() {
            self.free.entry(volume.class().to_owned()).or_default().insert(name.to_owned());
        }
        self.volumes.insert(name.to_owned(), volume);
    }

    /// A class came or changed, or is gone.
    pub fn set_class(&mut self, name: &str, class: Option<&Value>) {
        match class {
            Some(class) => _ = self.classes.insert(name.to_owned(), Class::read(class)),
            None => _ = self.classes.remove(name),
        }
    }

    /// A claim, by namespace and name.
    #[must_use]
    pub fn claim(&self, key: &str) -> Option<&Value> {
        self.claims.get(key)
    }

    /// A volume as it is stored.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&Value> {
        self.volumes.get(name).map(AsRef::as_ref)
    }

    /// Whether both sides of a claim's binding are written, and its volume is known here.
    #[must_use]
    pub fn is_bound(&self, key: &str) -> bool {
        let Some(claim) = self.claim(key).filter(|claim| bound(claim)) else { return false };
        text(claim, "/status/phase") == "Bound" && self.volumes.contains_key(text(claim, "/spec/volumeName"))
    }

    /// Keeps others from what is chosen for a pod on a node, until it is forgotten. Tells whether that is news: pods may
    /// share a claim.
    pub fn promise(&mut self, choice: &Choice, node: &str) -> bool {
        if let Some(known) = self.promises.get_mut(choice.claim()) {
            known.pods += 1;
            return false;
        }
        if let Choice::Bind { claim, volume } = choice {
            self.promised.insert(volume.clone(), claim.clone());
        }
        let promise = Promise { choice: choice.clone(), node: node.to_owned(), pods: 1 };
        self.promises.insert(choice.claim().to_owned(), promise);
        true
    }

    /// A pod waits no longer for what was chosen.
    pub fn forget(&mut self, choice: &Choice) {
        let Some(known) = self.promises.get_mut(choice.claim()) else { return };
        known.pods -= 1;
        if known.pods > 0 {
            return;
        }
        if let Some(Promise { choice: Choice::Bind { volume, .. }, .. }) = self.promises.remove(choice.claim()) {
            self.promised.remove(&volume);
        }
    }

    /// The node on which a claim's volume is being made.
    fn node_of<'a>(&'a self, key: &str, claim: &'a Value) -> Option<&'a str> {
        let making = self.promises.get(key).filter(|known| matches!(known.choice, Choice::Provision { .. }));
        meta::annotation(claim, SELECTED_NODE).or_else(|| making.map(|known| known.node.as_str()))
    }

    /// The class of a claim that waits for its first consumer.
    fn delayed(&self, claim: &Value) -> Option<&Class> {
        let waits = text(claim, "/spec/volumeName").is_empty();
        self.classes.get(class(claim)?).filter(|class| class.waits && waits)
    }

    /// The volume that is promised to a claim.
    fn promised_to(&self, key: &str) -> Option<&Volume> {
        match &self.promises.get(key)?.choice {
            Choice::Bind { volume, .. } => self.volumes.get(volume),
            Choice::Provision { .. } => None,
        }
    }

    /// The volumes that a claim might get: those that are promised to nobody.
    fn candidates<'a>(&'a self, claim: &Value) -> impl Iterator<Item = &'a Volume> {
        let names = self.free.get(class(claim).unwrap_or_default()).into_iter().flatten();
        names.filter(|name| !self.promised.contains_key(*name)).map(|name| &self.volumes[name])
    }
}

fn bound(claim: &Value) -> bool {
    !text(claim, "/spec/volumeName").is_empty() && meta::annotation(claim, BIND_COMPLETED).is_some()
}

/// Whether only one pod may use a claim at a time.
pub(crate) fn once(claim: &Value) -> bool {
    items(claim, "/spec/accessModes").iter().any(|mode| mode == "ReadWriteOncePod")
}

#[cfg(test)]
mod tests;
