//! Pods that are alike to other pods, counted by node: a selector is matched once for each class, not for each pod.
//! Main type: [`Classes`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Slot;
use crate::{pod::Pod, terms::Labels};

/// Index of a class.
type ClassId = usize;

/// Pods of one namespace with equal labels, controller and wishes about other pods.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// One of them; stands for all in what they have in common.
    pub(crate) like: Arc<Pod>,
    /// How many are on which node.
    pub(crate) nodes: BTreeMap<Slot, i64>,
}

/// What pods of a class have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Identity {
    namespace: String,
    labels: Labels,
    controller: String,
    deleting: bool,
    wishes: String,
}

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    all: BTreeMap<ClassId, Class>,
    next: ClassId,
    ids: HashMap<Identity, ClassId>,
    by_namespace: HashMap<String, BTreeSet<ClassId>>,
    /// Those that say whom they want near or far.
    wishing: BTreeSet<ClassId>,
}

impl Classes {
    pub(super) fn add(&mut self, pod: &Arc<Pod>, slot: Slot) {
        let identity = Identity::of(pod);
        let id = self.ids.get(&identity).copied().unwrap_or_else(|| self.found(identity, pod));
        if let Some(class) = self.all.get_mut(&id) {
            *class.nodes.entry(slot).or_default() += 1;
        }
    }

    fn found(&mut self, identity: Identity, pod: &Arc<Pod>) -> ClassId {
        let id = self.next;
        self.next += 1;
        self.all.insert(id, Class { like: pod.clone(), nodes: BTreeMap::new() });
        self.by_namespace.entry(pod.namespace.clone()).or_default().insert(id);
        if !pod.wishes.is_empty() {
            self.wishing.insert(id);
        }
        self.ids.insert(identity, id);
        id
    }

    pub(super) fn remove(&mut self, pod: &Pod, slot: Slot) {
        let identity = Identity::of(pod);
        let Some(id) = self.ids.get(&identity).copied() else { return };
        let Some(class) = self.all.get_mut(&id) else { return };
        if let Some(count) = class.nodes.get_mut(&slot) {
            *count -= 1;
            if *count == 0 {
                class.nodes.remove(&slot);
            }
        }
        if class.nodes.is_empty() {
            self.all.remove(&id);
            self.ids.remove(&identity);
            self.wishing.remove(&id);
            let within = self.by_namespace.get_mut(&pod.namespace);
            if within.is_some_and(|ids| ids.remove(&id) && ids.is_empty()) {
                self.by_namespace.remove(&pod.namespace);
            }
        }
    }

    /// All classes.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Class> {
        self.all.values()
    }

    /// Those of a namespace.
    pub(crate) fn within(&self, namespace: &str) -> impl Iterator<Item = &Class> {
        self.by_namespace.get(namespace).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// Those whose pods have wishes about other pods.
    pub(crate) fn wishing(&self) -> impl Iterator<Item = &Class> {
        self.wishing.iter().filter_map(|id| self.all.get(id))
    }
}

impl Identity {
    fn of(pod: &Pod) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            labels: pod.labels.clone(),
            controller: pod.controller.clone(),
            deleting: pod.deleting,
            wishes: pod.wishes.clone(),
        }
    }
}
