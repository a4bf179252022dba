//! Nodes, and the pods bound to them, with the sums that placements need. Main type: [`ClusterSnapshot`].
//!
//! Kept one change at a time: each costs what the changed object is, whatever the cluster's size. A pod may come before
//! its node and outlive it; its node is then a name without facts, which takes no pods.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{
    amounts::Amounts,
    node::Node,
    pod::{HostPort, Pod},
    storage::Storage,
    terms::Labels,
};

mod classes;

pub(crate) use classes::{Class, Classes};

/// Index of a node in a snapshot.
pub(crate) type Slot = usize;

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub struct ClusterSnapshot {
    /// Never shrinks by more than its end; free places are used again.
    slots: Vec<NodeState>,
    free: Vec<Slot>,
    by_name: HashMap<String, Slot>,
    known: usize,
    pods: HashMap<String, Bound>,
    classes: Classes,
    namespaces: HashMap<String, Labels>,
    /// How many nodes have an image.
    images: HashMap<String, usize>,
    /// What pods' claims lead to.
    pub storage: Storage,
    /// How many of its pods use a claim.
    claims: HashMap<String, usize>,
}

/// One node and what its pods use.
#[derive(Clone, Debug, Default)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// The node, once it is known.
    pub node: Option<Node>,
    /// The sum of what its pods request.
    pub requested: Amounts,
    /// The same as scores count it.
    pub usual: Amounts,
    /// Its pods, by namespace and name.
    pub pods: BTreeMap<String, Arc<Pod>>,
    /// Ports its pods take, and how many take them.
    pub ports: BTreeMap<HostPort, usize>,
    pub(crate) slot: Slot,
}

/// A pod that uses a node.
#[derive(Clone, Debug)]
struct Bound {
    pod: Arc<Pod>,
    slot: Slot,
    assumed: bool,
}

impl ClusterSnapshot {
    /// A node came or changed. Tells whether pods that had no node may have one now.
    pub fn set_node(&mut self, node: Node) -> bool {
        let slot = self.slot(&node.name);
        let may_help = self.slots[slot].node.as_ref().is_none_or(|old| old.differs(&node));
        self.count_images(slot, false);
        self.known += usize::from(self.slots[slot].node.is_none());
        self.slots[slot].node = Some(node);
        self.count_images(slot, true);
        may_help
    }

    /// A node is gone. Its pods stay until they are removed.
    pub fn remove_node(&mut self, name: &str) {
        let Some(slot) = self.by_name.get(name).copied() else { return };
        self.count_images(slot, false);
        self.known -= usize::from(self.slots[slot].node.take().is_some());
        self.release(slot);
    }

    /// A pod came or changed. One that is bound to no node changes nothing, unless it is assumed on one.
    pub fn set_pod(&mut self, pod: Pod) {
        let key = pod.key();
        let assumed = self.pods.get(&key).filter(|bound| bound.assumed && bound.pod.uid == pod.uid);
        if pod.node.is_empty() && !pod.finished && assumed.is_some() {
            return;
        }
        self.remove_pod(&key);
        if !pod.node.is_empty() && !pod.finished {
            let slot = self.slot(&pod.node);
            self.insert(key, pod.into(), slot, false);
        }
    }

    /// A pod is gone; `key` is its namespace and name.
    pub fn remove_pod(&mut self, key: &str) {
        let Some(bound) = self.pods.remove(key) else { return };
        let state = &mut self.slots[bound.slot];
        state.requested.subtract(&bound.pod.requests);
        state.usual.subtract(&bound.pod.usual);
        state.pods.remove(key);
        for port in &bound.pod.ports {
            if let Some(count) = state.ports.get_mut(port) {
                *count -= 1;
            }
        }
        state.ports.retain(|_, count| *count > 0);
        self.classes.remove(&bound.pod, bound.slot);
        self.count_claims(&bound.pod, false);
        self.release(bound.slot);
    }

    /// A pod is about to be bound: it counts from now on, until [`ClusterSnapshot::set_pod`] says better.
    pub fn assume(&mut self, pod: Arc<Pod>, node: &str) {
        let key = pod.key();
        self.remove_pod(&key);
        let slot = self.slot(node);
        self.insert(key, pod, slot, true);
    }

    /// A pod was not bound after all.
    pub fn forget(&mut self, key: &str) {
        if self.pods.get(key).is_some_and(|bound| bound.assumed) {
            self.remove_pod(key);
        }
    }

    /// Whether a pod counts somewhere.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        self.pods.contains_key(key)
    }

    /// Labels of a namespace, which pods' terms may select by.
    pub fn set_namespace(&mut self, name: &str, labels: Labels) {
        self.namespaces.insert(name.to_owned(), labels);
    }

    /// A namespace is gone.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// How many nodes are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known
    }

    /// Whether no node is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// The known nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeState, &Node)> {
        self.slots.iter().filter_map(|state| Some((state, state.node.as_ref()?)))
    }

    /// A known node.
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.node_at(*self.by_name.get(name)?)
    }

    pub(crate) fn classes(&self) -> &Classes {
        &self.classes
    }

    pub(crate) fn node_at(&self, slot: Slot) -> Option<&Node> {
        self.slots[slot].node.as_ref()
    }

    pub(crate) fn labels_of_namespace(&self, name: &str) -> &Labels {
        const NONE: &Labels = &Vec::new();
        self.namespaces.get(name).unwrap_or(NONE)
    }

    pub(crate) fn nodes_with_image(&self, name: &str) -> usize {
        self.images.get(name).copied().unwrap_or_default()
    }

    fn insert(&mut self, key: String, pod: Arc<Pod>, slot: Slot, assumed: bool) {
        let state = &mut self.slots[slot];
        state.requested.add(&pod.requests);
        state.usual.add(&pod.usual);
        for port in &pod.ports {
            *state.ports.entry(port.clone()).or_default() += 1;
        }
        state.pods.insert(key.clone(), pod.clone());
        self.classes.add(&pod, slot);
        self.count_claims(&pod, true);
        self.pods.insert(key, Bound { pod, slot, assumed });
    }

    /// The slot of a node, made if there is none.
    fn slot(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or(self.slots.len());
        let state = NodeState { name: name.to_owned(), slot, ..NodeState::default() };
        match self.slots.get_mut(slot) {
            Some(free) => *free = state,
            None => self.slots.push(state),
        }
        self.by_name.insert(name.to_owned(), slot);
        slot
    }

    /// Frees a slot without node and pods.
    fn release(&mut self, slot: Slot) {
        let state = &self.slots[slot];
        if state.node.is_none() && state.pods.is_empty() {
            self.by_name.remove(&state.name);
            self.free.push(slot);
        }
    }

    /// How many of its pods use a claim.
    pub(crate) fn uses_of_claim(&self, key: &str) -> usize {
        self.claims.get(key).copied().unwrap_or_default()
    }

    fn count_claims(&mut self, pod: &Pod, there: bool) {
        for (name, _) in &pod.claims {
            let key = format!("{}/{name}", pod.namespace);
            let count = self.uses_of_claim(&key);
            match if there { count + 1 } else { count.saturating_sub(1) } {
                0 => _ = self.claims.remove(&key),
                count => _ = self.claims.insert(key, count),
            }
        }
    }

    fn count_images(&mut self, slot: Slot, there: bool) {
        let Some(node) = &self.slots[slot].node else { return };
        for (name, _) in &node.images {
            let count = self.images.entry(name.clone()).or_default();
            *count = if there { *count + 1 } else { count.saturating_sub(1) };
        }
        if !there {
            self.images.retain(|_, count| *count > 0);
        }
    }
}
