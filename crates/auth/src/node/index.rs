//! Which node uses what, by the pods bound to it. Main type: [`NodeIndex`]; fed with pods and PersistentVolumes as they
//! change.

use std::collections::{HashMap, HashSet};

use api::{
    kinds::{
        pod::claim_name,
        read::{items, text},
    },
    meta,
};
use serde_json::Value;

/// Annotation of pods that only mirror what a node runs by itself: they lead to nothing.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What a pod refers to: resource and name, in its own namespace.
type Use = (&'static str, String);

/// Which node uses which objects. Memory: a few names per pod.
#[derive(Clone, Debug, Default)]
pub struct NodeIndex {
    pods: HashMap<(String, String), Bound>,
    /// By node; how many of its pods use an object.
    used: HashMap<String, HashMap<(String, Use), usize>>,
    /// Namespace and name of the claim that a PersistentVolume is for.
    volumes: HashMap<String, (String, String)>,
}

#[derive(Clone, Debug)]
struct Bound {
    node: String,
    uses: HashSet<Use>,
}

impl NodeIndex {
    /// An empty index: no node uses anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a pod as it is now.
    pub fn put(&mut self, pod: &Value) {
        let (namespace, name) = (meta::namespace(pod), meta::name(pod));
        self.remove(namespace, name);
        let node = text(pod, "/spec/nodeName").to_owned();
        if node.is_empty() {
            return;
        }
        let mut uses = if meta::annotation(pod, MIRROR).is_some() { HashSet::new() } else { uses(pod) };
        uses.insert(("pods", name.to_owned()));
        let used = self.used.entry(node.clone()).or_default();
        for of in &uses {
            *used.entry((namespace.to_owned(), of.clone())).or_default() += 1;
        }
        self.pods.insert((namespace.to_owned(), name.to_owned()), Bound { node, uses });
    }

    /// Forgets a pod.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        let Some(bound) = self.pods.remove(&(namespace.to_owned(), name.to_owned())) else { return };
        let Some(used) = self.used.get_mut(&bound.node) else { return };
        for of in bound.uses {
            let key = (namespace.to_owned(), of);
            if let Some(count) = used.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    used.remove(&key);
                }
            }
        }
        if used.is_empty() {
            self.used.remove(&bound.node);
        }
    }

    /// Takes note of a PersistentVolume as it is now.
    pub fn put_volume(&mut self, volume: &Value) {
        let part = |name: &str| text(volume, &format!("/spec/claimRef/{name}")).to_owned();
        let (name, claim) = (meta::name(volume).to_owned(), (part("namespace"), part("name")));
        match claim.1.is_empty() {
            true => _ = self.volumes.remove(&name),
            false => _ = self.volumes.insert(name, claim),
        }
    }

    /// Forgets a PersistentVolume.
    pub fn remove_volume(&mut self, name: &str) {
        self.volumes.remove(name);
    }

    /// Whether a pod on the node refers to the claim that this PersistentVolume is for.
    #[must_use]
    pub fn uses_volume(&self, node: &str, name: &str) -> bool {
        let claim = self.volumes.get(name);
        claim.is_some_and(|(namespace, claim)| self.uses(node, "persistentvolumeclaims", namespace, claim))
    }

    /// Whether a pod on the node is, or refers to, this object.
    #[must_use]
    pub fn uses(&self, node: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let Some(resource) = RESOURCES.iter().find(|known| **known == resource) else { return false };
        let key = (namespace.to_owned(), (*resource, name.to_owned()));
        self.used.get(node).is_some_and(|used| used.contains_key(&key))
    }
}

const RESOURCES: &[&str] = &["pods", "secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims"];

/// Where a volume names an object: pointer and resource.
const VOLUME_USES: &[(&str, &str)] = &[
    ("/secret/secretName", "secrets"),
    ("/configMap/name", "configmaps"),
    ("/csi/nodePublishSecretRef/name", "secrets"),
    ("/flexVolume/secretRef/name", "secrets"),
    ("/cephfs/secretRef/name", "secrets"),
    ("/rbd/secretRef/name", "secrets"),
    ("/iscsi/secretRef/name", "secrets"),
    ("/azureFile/secretName", "secrets"),
    ("/scaleIO/secretRef/name", "secrets"),
    ("/storageos/secretRef/name", "secrets"),
];

/// All that a pod refers to.
pub(super) fn uses(pod: &Value) -> HashSet<Use> {
    let mut uses = HashSet::new();
    let mut note = |resource: &'static str, name: &str| {
        if !name.is_empty() {
            uses.insert((resource, name.to_owned()));
        }
    };
    note("serviceaccounts", text(pod, "/spec/serviceAccountName"));
    for secret in items(pod, "/spec/imagePullSecrets") {
        note("secrets", text(secret, "/name"));
    }
    for volume in items(pod, "/spec/volumes") {
        VOLUME_USES.iter().for_each(|(pointer, resource)| note(resource, text(volume, pointer)));
        for source in items(volume, "/projected/sources") {
            note("secrets", text(source, "/secret/name"));
            note("configmaps", text(source, "/configMap/name"));
        }
        if let Some(claim) = claim_name(pod, volume) {
            note("persistentvolumeclaims", &claim);
        }
    }
    let containers = ["/spec/containers", "/spec/initContainers", "/spec/ephemeralContainers"];
    for container in containers.iter().flat_map(|list| items(pod, list)) {
        for source in items(container, "/envFrom") {
            note("secrets", text(source, "/secretRef/name"));
            note("configmaps", text(source, "/configMapRef/name"));
        }
        for variable in items(container, "/env") {
            note("secrets", text(variable, "/valueFrom/secretKeyRef/name"));
            note("configmaps", text(variable, "/valueFrom/configMapKeyRef/name"));
        }
    }
    uses
}
