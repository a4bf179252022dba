//! What pods of this node refer to (ConfigMaps, Secrets, claims and their volumes), each followed while a pod uses it, and
//! Services.
//! Main type: [`Watched`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use ::kubelet::model::Pod;
use ::kubelet::observed::{Reference, References};
use ::kubelet::volume;
use api::kinds::{
    Kind, config_map::CONFIG_MAP, persistent_volume::PERSISTENT_VOLUME,
    persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, read::text, secret::SECRET,
};
use api::meta;
use base64::Engine;
use parking_lot::Mutex;
use runtime::{Credentials, PullSecrets};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::warn;

use super::Uid;
use super::store::PodStore;
use crate::host::Handle;
use crate::node_api::{Api, Mirror};

/// What a pod may refer to: kind, namespace, name, and the pod where it is followed for that pod alone.
type Name = (&'static str, String, String, Uid);

/// One object that is followed.
struct Followed {
    mirror: Mirror,
    users: Arc<Mutex<BTreeSet<Uid>>>,
    task: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Objects that pods refer to.
pub struct Watched {
    api: Api,
    services: Mirror,
    last_known: Arc<PodStore>,
    /// Pods from before this process: what they refer to may be as it was then.
    old: BTreeSet<Uid>,
    /// Something became known or changed.
    changed: Arc<Notify>,
    followed: Mutex<BTreeMap<Name, Followed>>,
    handle: Arc<OnceLock<Handle<Uid>>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("followed", &self.followed.lock().len()).finish_non_exhaustive()
    }
}

impl Watched {
    /// Nothing is followed yet but Services.
    pub fn new(api: Api, services: Mirror, last_known: Arc<PodStore>) -> Self {
        let old = last_known.uids().into_iter().collect();
        Self {
            api,
            services,
            last_known,
            old,
            changed: Arc::default(),
            followed: Mutex::default(),
            handle: Arc::default(),
        }
    }

    /// Whom to wake when an object changes.
    pub fn wake_by(&self, handle: Handle<Uid>) {
        // Set once, at the start.
        let _ = self.handle.set(handle);
    }

    /// What is known of the objects that a pod refers to; from now on they are followed.
    pub fn of(&self, pod: &Pod) -> References {
        let (needs, namespace) = (volume::references(pod), &pod.metadata.namespace);
        let mut used = BTreeSet::new();
        let mut wanted = |kind: &'static Kind, namespace: &str, names: &BTreeSet<String>| {
            let mut found = BTreeMap::new();
            for name in names {
                let key = self.key(kind, namespace, name, &pod.metadata.uid);
                found.insert(name.clone(), self.one(kind, &key, pod));
                used.insert(key);
            }
            found
        };
        let config_maps = wanted(&CONFIG_MAP, namespace, &needs.config_maps);
        let secrets = wanted(&SECRET, namespace, &needs.secrets);
        let claims = wanted(&PERSISTENT_VOLUME_CLAIM, namespace, &needs.claims);
        let volumes = wanted(&PERSISTENT_VOLUME, "", &bound_to(&claims));
        self.drop_unused(&pod.metadata.uid, &used);
        References { config_maps, secrets, claims, volumes, services: self.services_of(namespace) }
    }

    /// A pod is gone: what only it used is followed no longer.
    pub fn release(&self, uid: &str) {
        self.followed.lock().retain(|_, followed| {
            let mut users = followed.users.lock();
            users.remove(uid);
            !users.is_empty()
        });
    }

    /// All that is followed, as it is now known.
    pub fn objects(&self) -> Vec<Arc<Value>> {
        let followed = self.followed.lock();
        let objects = followed.iter().filter_map(|((_, namespace, name, _), one)| one.mirror.get(namespace, name));
        objects.chain(self.services.list()).collect()
    }

    /// Returns when something has become known or changed since.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn services_of(&self, namespace: &str) -> Option<Vec<Value>> {
        let kubernetes = |service: &Value| meta::namespace(service) == "default" && meta::name(service) == "kubernetes";
        let services = match self.services.synced() {
            true => self.services.list(),
            false if self.last_known.is_loaded() => self.last_known.objects("Service"),
            false => return None,
        };
        let wanted = services.iter().filter(|service| meta::namespace(service) == namespace || kubernetes(service));
        Some(wanted.map(|service| (**service).clone()).collect())
    }

    /// A claim of the same name may be another one by the time the next pod comes: what a pod is to keep its data in is
    /// looked up for it alone.
    fn key(&self, kind: &Kind, namespace: &str, name: &str, uid: &str) -> Name {
        let shared = ![PERSISTENT_VOLUME_CLAIM.plural, PERSISTENT_VOLUME.plural].contains(&kind.plural);
        let pod = if shared { String::new() } else { uid.to_owned() };
        (kind.plural, namespace.to_owned(), name.to_owned(), pod)
    }

    fn one(&self, kind: &'static Kind, key: &Name, pod: &Pod) -> Reference {
        let ((_, namespace, name, own), uid) = (key, &pod.metadata.uid);
        let mut followed = self.followed.lock();
        let entry = followed.entry(key.clone()).or_insert_with(|| self.follow(kind, key, pod));
        entry.users.lock().insert(uid.to_owned());
        match (entry.mirror.get(namespace, name), entry.mirror.synced()) {
            (Some(object), _) => Reference::Found((*object).clone()),
            (None, true) => Reference::Missing,
            (None, false) if !own.is_empty() && !self.old.contains(uid) => Reference::Unknown,
            (None, false) => match self.last_known.object(kind.kind, namespace, name) {
                Some(object) => Reference::Found((*object).clone()),
                None => Reference::Unknown,
            },
        }
    }

    /// What is followed for one pod is no older than the pod: its claims were bound before it was.
    fn follow(&self, kind: &'static Kind, (_, namespace, name, own): &Name, pod: &Pod) -> Followed {
        let selector = format!("metadata.name={name}");
        let since = pod.metadata.resource_version.parse().ok().filter(|_| !own.is_empty());
        let parameters = [("fieldSelector", selector.as_str())];
        let mirror = Mirror::start_from(self.api.clone(), kind, namespace, &parameters, since);
        let users = Arc::new(Mutex::new(BTreeSet::new()));
        let task =
            tokio::spawn(tell(mirror.clone(), users.clone(), self.handle.clone(), self.changed.clone())).abort_handle();
        Followed { mirror, users, task }
    }

    /// A pod's spec never changes in this, but for ephemeral containers that come; a smaller need is a new pod of the uid's owner.
    fn drop_unused(&self, uid: &str, used: &BTreeSet<Name>) {
        self.followed.lock().retain(|name, followed| {
            let mut users = followed.users.lock();
            if !used.contains(name) {
                users.remove(uid);
            }
            !users.is_empty()
        });
    }

    /// What these Secrets hold for the registry of an image, the most specific first.
    pub async fn credentials(&self, namespace: &str, secrets: &[String], reference: &str) -> Vec<Credentials> {
        let mut known = PullSecrets::default();
        for name in secrets {
            // As upstream: a pull goes on without a Secret that is not there or cannot be read.
            let Ok(secret) = self.api.get(&SECRET, namespace, name).await else { continue };
            if let Err(error) = add(&mut known, &secret) {
                warn!(namespace, secret = name, error, "a pull secret cannot be used");
            }
        }
        known.find(reference)
    }
}

/// The volumes that claims are bound to.
fn bound_to(claims: &BTreeMap<String, Reference>) -> BTreeSet<String> {
    let name = |claim: &Reference| match claim {
        Reference::Found(claim) => Some(text(claim, "/spec/volumeName").to_owned()).filter(|name| !name.is_empty()),
        _ => None,
    };
    claims.values().filter_map(name).collect()
}

/// Adds what a pull secret holds, which is never told.
///
/// # Errors
/// Where it is none.
pub fn add(known: &mut PullSecrets, secret: &Value) -> Result<(), String> {
    let decode = |key: &str| {
        let encoded = text(secret, &format!("/data/{key}"));
        base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|error| error.to_string())
    };
    let added = match text(secret, "/type") {
        "kubernetes.io/dockercfg" => known.add_legacy(&decode(".dockercfg")?),
        _ => known.add_config(&decode(".dockerconfigjson")?),
    };
    added.map_err(|error| error.to_string())
}

/// Wakes the users of an object when it is known, and whenever it changes.
async fn tell(
    mirror: Mirror,
    users: Arc<Mutex<BTreeSet<Uid>>>,
    handle: Arc<OnceLock<Handle<Uid>>>,
    changed: Arc<Notify>,
) {
    let wake = || {
        changed.notify_one();
        if let Some(handle) = handle.get() {
            users.lock().iter().for_each(|uid| handle.refresh(uid.clone()));
        }
    };
    let mut changes = mirror.changes();
    mirror.wait_synced().await;
    wake();
    loop {
        changes.next().await;
        wake();
    }
}

#[cfg(test)]
mod tests;
