//! What the parts of the data plane share: what was told, what is seen, and what does not work. Main type: [`Knowledge`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use net::NodeId;
use net::dataplane::wire::{ObjectRef, PeerFacts};
use net::dataplane::{Kept, NodeFacts, Status};
use net::overlay::PathState;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Parts that follow the objects, each at its own pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follower {
    Services,
    Dns,
}

/// Objects that changed since each follower looked.
type Changed = [BTreeSet<ObjectRef>; 2];

/// See the file's head. Locks are held for a look only.
#[derive(Debug)]
pub(super) struct Knowledge {
    kept: Mutex<Kept>,
    changed: Mutex<Changed>,
    /// Raised with every change of what is kept.
    pub(super) version: watch::Sender<u64>,
    /// Whether the objects are all there: loaded, or told to the end once.
    pub(super) whole: watch::Sender<bool>,
    /// Paths to the peers, as the overlay sees them.
    pub(super) paths: watch::Sender<BTreeMap<NodeId, PathState>>,
    /// Peers whose endpoints are not to be used.
    pub(super) withdrawn: watch::Sender<BTreeSet<NodeId>>,
    /// Control processes that feed this one: none or one, but for a moment.
    feeders: AtomicUsize,
    /// Services and elements in the kernel.
    pub(super) served: Mutex<(usize, usize)>,
    troubles: Mutex<BTreeMap<&'static str, String>>,
    started: Instant,
}

impl Knowledge {
    /// What was known before, if anything was.
    pub(super) fn new(kept: Option<Kept>) -> Self {
        let whole = kept.is_some();
        let kept = kept.unwrap_or_default();
        Self {
            changed: Mutex::new([(); 2].map(|()| kept.objects.keys().cloned().collect())),
            kept: Mutex::new(kept),
            version: watch::Sender::new(0),
            whole: watch::Sender::new(whole),
            paths: watch::Sender::default(),
            withdrawn: watch::Sender::default(),
            feeders: AtomicUsize::new(0),
            served: Mutex::default(),
            troubles: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// The node itself, once it was told.
    pub(super) fn node(&self) -> Option<NodeFacts> {
        self.kept.lock().node.clone()
    }

    /// The other members.
    pub(super) fn peers(&self) -> Vec<PeerFacts> {
        self.kept.lock().peers.clone()
    }

    /// All that is to be remembered.
    pub(super) fn kept(&self) -> Kept {
        self.kept.lock().clone()
    }

    /// Takes note of the node.
    pub(super) fn set_node(&self, node: NodeFacts) {
        self.change(|kept| replace(&mut kept.node, Some(node)));
    }

    /// Takes note of the peers.
    pub(super) fn set_peers(&self, peers: Vec<PeerFacts>) {
        self.change(|kept| replace(&mut kept.peers, peers));
    }

    /// Takes note of an object, or of its end.
    pub(super) fn set_object(&self, object: ObjectRef, json: Option<Vec<u8>>) {
        self.change(|kept| {
            let before = match json {
                Some(json) if kept.objects.get(&object) == Some(&json) => return false,
                Some(json) => kept.objects.insert(object.clone(), json),
                None => match kept.objects.remove(&object) {
                    None => return false,
                    gone => gone,
                },
            };
            drop(before);
            for changed in self.changed.lock().iter_mut() {
                changed.insert(object.clone());
            }
            true
        });
    }

    /// Forgets the objects that are not among these, and knows that these are all.
    pub(super) fn retain(&self, named: &BTreeSet<ObjectRef>) {
        let gone: Vec<_> = self.kept.lock().objects.keys().filter(|object| !named.contains(object)).cloned().collect();
        gone.into_iter().for_each(|object| self.set_object(object, None));
        self.whole.send_replace(true);
    }

    fn change(&self, change: impl FnOnce(&mut Kept) -> bool) {
        let changed = change(&mut self.kept.lock());
        if changed {
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// The objects that changed since the last call, as they are now.
    pub(super) fn take_changed(&self, follower: Follower) -> Vec<(ObjectRef, Option<Vec<u8>>)> {
        // In the order of `change`.
        let kept = self.kept.lock();
        let changed = std::mem::take(&mut self.changed.lock()[follower as usize]);
        changed.into_iter().map(|object| (object.clone(), kept.objects.get(&object).cloned())).collect()
    }

    /// Looks at every object again, for a part that starts anew.
    pub(super) fn all_changed(&self, follower: Follower) {
        let kept = self.kept.lock();
        self.changed.lock()[follower as usize].extend(kept.objects.keys().cloned());
    }

    /// Notes that a part has trouble, or has none any more.
    pub(super) fn trouble(&self, part: &'static str, words: Option<String>) {
        let mut troubles = self.troubles.lock();
        match words {
            Some(words) => drop(troubles.insert(part, words)),
            None => drop(troubles.remove(part)),
        }
    }

    /// Counts a feeding control process until the guard is dropped.
    pub(super) fn feeding(&self) -> Feeding<'_> {
        self.feeders.fetch_add(1, Ordering::Relaxed);
        Feeding(self)
    }

    /// The state, for people.
    pub(super) fn status(&self) -> Status {
        let paths = self.paths.borrow().clone();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (services, elements) = *self.served.lock();
        Status {
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            fed: self.feeders.load(Ordering::Relaxed) > 0,
            peers: count(self.kept.lock().peers.len()),
            peers_reached: count(paths.values().filter(|state| **state == PathState::Alive).count()),
            services: count(services),
            elements: count(elements),
            troubles: self.troubles.lock().iter().map(|(part, words)| format!("{part}: {words}")).collect(),
        }
    }
}

/// See [`Knowledge::feeding`].
pub(super) struct Feeding<'a>(&'a Knowledge);

impl Drop for Feeding<'_> {
    fn drop(&mut self) {
        self.0.feeders.fetch_sub(1, Ordering::Relaxed);
    }
}

fn replace<T: PartialEq>(old: &mut T, new: T) -> bool {
    let changed = *old != new;
    *old = new;
    changed
}

#[cfg(test)]
mod tests {
    use net::dataplane::ObjectKind;

    use super::*;

    fn object(name: &str) -> ObjectRef {
        ObjectRef { kind: ObjectKind::Service, namespace: "default".into(), name: name.into() }
    }

    #[test]
    fn only_what_differs_is_a_change_and_what_is_not_named_is_gone() {
        let knowledge = Knowledge::new(None);
        let version = knowledge.version.subscribe();
        knowledge.set_object(object("a"), Some(b"1".to_vec()));
        knowledge.set_object(object("b"), Some(b"1".to_vec()));
        knowledge.set_object(object("a"), Some(b"1".to_vec()));
        knowledge.set_object(object("c"), None);
        assert_eq!(*version.borrow(), 2);
        assert_eq!(knowledge.take_changed(Follower::Dns).len(), 2);
        assert!(!*knowledge.whole.borrow());
        knowledge.retain(&BTreeSet::from([object("b")]));
        assert!(*knowledge.whole.borrow());
        assert_eq!(knowledge.take_changed(Follower::Dns), [(object("a"), None)]);
        knowledge.all_changed(Follower::Dns);
        assert_eq!(knowledge.take_changed(Follower::Dns), [(object("b"), Some(b"1".to_vec()))]);
    }

    #[test]
    fn what_was_kept_counts_as_whole_and_as_changed() {
        let objects = BTreeMap::from([(object("a"), b"1".to_vec())]);
        let knowledge = Knowledge::new(Some(Kept { objects, ..Kept::default() }));
        assert!(*knowledge.whole.borrow());
        assert_eq!(knowledge.take_changed(Follower::Dns).len(), 1);
    }
}
