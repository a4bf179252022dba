//! The ConfigMaps and Secrets that pods of this node refer to, each followed while a pod uses it, and Services.
//! Main type: [`Watched`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use ::kubelet::model::Pod;
use ::kubelet::observed::{Reference, References};
use ::kubelet::volume;
use api::kinds::{Kind, config_map::CONFIG_MAP, read::text, secret::SECRET};
use api::meta;
use base64::Engine;
use parking_lot::Mutex;
use runtime::Credentials;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::Uid;
use crate::host::Handle;
use crate::node_api::{Api, Mirror};

/// What a pod may refer to: kind, namespace, name.
type Name = (&'static str, String, String);

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
    pub fn new(api: Api, services: Mirror) -> Self {
        Self { api, services, followed: Mutex::default(), handle: Arc::default() }
    }

    /// Whom to wake when an object changes.
    pub fn wake_by(&self, handle: Handle<Uid>) {
        // Set once, at the start.
        let _ = self.handle.set(handle);
    }

    /// What is known of the objects that a pod refers to; from now on they are followed.
    pub fn of(&self, pod: &Pod) -> References {
        let (needs, namespace) = (volume::references(pod), &pod.metadata.namespace);
        let wanted = |kind: &'static Kind, names: &BTreeSet<String>| -> BTreeMap<String, Reference> {
            names.iter().map(|name| (name.clone(), self.one(kind, namespace, name, &pod.metadata.uid))).collect()
        };
        let (config_maps, secrets) = (wanted(&CONFIG_MAP, &needs.config_maps), wanted(&SECRET, &needs.secrets));
        self.drop_unused(pod, &needs);
        References { config_maps, secrets, services: self.services_of(namespace) }
    }

    /// A pod is gone: what only it used is followed no longer.
    pub fn release(&self, uid: &str) {
        self.followed.lock().retain(|_, followed| {
            let mut users = followed.users.lock();
            users.remove(uid);
            !users.is_empty()
        });
    }

    fn services_of(&self, namespace: &str) -> Option<Vec<Value>> {
        if !self.services.synced() {
            return None;
        }
        let kubernetes = |service: &Value| meta::namespace(service) == "default" && meta::name(service) == "kubernetes";
        let services = self.services.list();
        let wanted = services.iter().filter(|service| meta::namespace(service) == namespace || kubernetes(service));
        Some(wanted.map(|service| (**service).clone()).collect())
    }

    fn one(&self, kind: &'static Kind, namespace: &str, name: &str, uid: &str) -> Reference {
        let key = (kind.plural, namespace.to_owned(), name.to_owned());
        let mut followed = self.followed.lock();
        let entry = followed.entry(key).or_insert_with(|| self.follow(kind, namespace, name));
        entry.users.lock().insert(uid.to_owned());
        match (entry.mirror.get(namespace, name), entry.mirror.synced()) {
            (Some(object), _) => Reference::Found((*object).clone()),
            (None, true) => Reference::Missing,
            (None, false) => Reference::Unknown,
        }
    }

    fn follow(&self, kind: &'static Kind, namespace: &str, name: &str) -> Followed {
        let selector = format!("metadata.name={name}");
        let mirror = Mirror::start(self.api.clone(), kind, namespace, &[("fieldSelector", &selector)]);
        let users = Arc::new(Mutex::new(BTreeSet::new()));
        let task = tokio::spawn(tell(mirror.clone(), users.clone(), self.handle.clone())).abort_handle();
        Followed { mirror, users, task }
    }

    /// A pod's spec never changes in this, but for ephemeral containers that come; a smaller need is a new pod of the uid's owner.
    fn drop_unused(&self, pod: &Pod, needs: &volume::Needs) {
        let (uid, namespace) = (&pod.metadata.uid, &pod.metadata.namespace);
        self.followed.lock().retain(|(plural, of, name), followed| {
            let needed = if *plural == CONFIG_MAP.plural { &needs.config_maps } else { &needs.secrets };
            if of != namespace || !needed.contains(name) {
                followed.users.lock().remove(uid);
            }
            let used = !followed.users.lock().is_empty();
            used
        });
    }

    /// The first of these Secrets' credentials that are for the registry of an image.
    pub async fn credentials(&self, namespace: &str, secrets: &[String], reference: &str) -> Option<Credentials> {
        let registry = registry(reference);
        for name in secrets {
            let Ok(secret) = self.api.get(&SECRET, namespace, name).await else { continue };
            if let Some(found) = docker_config(&secret).and_then(|config| credentials_for(&config, &registry)) {
                return Some(found);
            }
        }
        None
    }
}

/// Wakes the users of an object when it is known, and whenever it changes.
async fn tell(mirror: Mirror, users: Arc<Mutex<BTreeSet<Uid>>>, handle: Arc<OnceLock<Handle<Uid>>>) {
    let wake = || {
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

/// The registry of a reference, as credentials name it.
fn registry(reference: &str) -> String {
    let first = reference.split('/').next().unwrap_or_default();
    let is_host = reference.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if is_host { first.to_owned() } else { "index.docker.io".to_owned() }
}

fn docker_config(secret: &Value) -> Option<Value> {
    let decode = |key: &str| {
        let encoded = text(secret, &format!("/data/{key}"));
        base64::engine::general_purpose::STANDARD.decode(encoded).ok().filter(|bytes| !bytes.is_empty())
    };
    match text(secret, "/type") {
        "kubernetes.io/dockercfg" => serde_json::from_slice(&decode(".dockercfg")?).ok(),
        _ => serde_json::from_slice::<Value>(&decode(".dockerconfigjson")?).ok()?.get_mut("auths").map(Value::take),
    }
}

fn credentials_for(auths: &Value, registry: &str) -> Option<Credentials> {
    let host = |key: &str| {
        let bare = key.trim_start_matches("https://").trim_start_matches("http://");
        bare.split('/').next().unwrap_or_default().to_owned()
    };
    let (_, auth) = auths.as_object()?.iter().find(|(key, _)| host(key) == registry)?;
    let part = |name: &str| text(auth, &format!("/{name}")).to_owned();
    let token = part("identitytoken");
    let identity_token = (!token.is_empty()).then_some(token);
    let (username, password) = match (part("username"), part("password")) {
        (username, password) if !username.is_empty() => (username, password),
        _ => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(part("auth")).ok()?;
            let decoded = String::from_utf8(decoded).ok()?;
            let (username, password) = decoded.split_once(':')?;
            (username.to_owned(), password.to_owned())
        }
    };
    Some(Credentials { username, password, identity_token })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_name_their_registry() {
        let check = |reference: &str, expect: &str| assert_eq!(registry(reference), expect, "{reference}");
        check("busybox", "index.docker.io");
        check("library/busybox:1", "index.docker.io");
        check("ghcr.io/a/b", "ghcr.io");
        check("localhost/a", "localhost");
        check("reg:5000/a", "reg:5000");
    }

    #[test]
    fn credentials_are_found_in_either_form() {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let auths = json!({ "auths": {
            "https://index.docker.io/v1/": { "auth": encode("me:secret") },
            "ghcr.io": { "username": "you", "password": "p" },
        } });
        let secret = json!({ "type": "kubernetes.io/dockerconfigjson", "data": { ".dockerconfigjson": encode(&auths.to_string()) } });
        let config = docker_config(&secret).unwrap();
        let check = |registry: &str, expect: Option<(&str, &str)>| {
            let found = credentials_for(&config, registry).map(|found| (found.username, found.password));
            assert_eq!(found, expect.map(|(user, password)| (user.to_owned(), password.to_owned())));
        };
        check("index.docker.io", Some(("me", "secret")));
        check("ghcr.io", Some(("you", "p")));
        check("quay.io", None);
    }
}
