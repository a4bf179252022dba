//! The peers, their ranges, and the one tunnel that each has. Main type: [`Directory`].
//!
//! Both sides may dial. Of two connections both sides keep that of the node with the lower id, and of two by the same node the
//! newer, since whoever dials again has lost the one before. A restarted peer is told by its instance: it has lost them all.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::warn;

use super::{
    OverlayPeer, PathState,
    routes::Routes,
    tunnel::{Tunnel, code},
};
use crate::NodeId;

/// Where a tunnel came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Who dialed.
    pub(super) dialed_by: NodeId,
    /// Which process of the peer it leads to.
    pub(super) instance: u64,
}

/// One peer as the packets see it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: NodeId,
    /// Newest facts.
    pub(super) peer: ArcSwap<OverlayPeer>,
    /// The tunnel in use; it may have ended.
    pub(super) tunnel: ArcSwapOption<Tunnel>,
    /// Where that came from; held while it is replaced.
    origin: Mutex<Option<Origin>>,
    /// Counts the tunnels, so that those who wait for one wake.
    pub(super) adopted: watch::Sender<u64>,
}

impl Slot {
    fn new(peer: OverlayPeer) -> Arc<Self> {
        Arc::new(Self {
            id: peer.id,
            peer: ArcSwap::from_pointee(peer),
            tunnel: ArcSwapOption::empty(),
            origin: Mutex::new(None),
            adopted: watch::Sender::new(0),
        })
    }

    /// The tunnel, if it stands.
    pub(super) fn standing(&self) -> Option<Arc<Tunnel>> {
        self.tunnel.load_full().filter(|tunnel| tunnel.is_open())
    }

    /// Takes a new tunnel into use, unless the present one is preferred. Gives back the one that is not in use, if any.
    pub(super) fn adopt(&self, me: NodeId, origin: Origin, tunnel: Arc<Tunnel>) -> Option<Arc<Tunnel>> {
        let mut present = self.origin.lock();
        let old = self.standing();
        if old.is_some() && present.is_some_and(|present| is_kept(me.min(self.id), present, origin)) {
            return Some(tunnel);
        }
        *present = Some(origin);
        self.tunnel.store(Some(tunnel));
        self.adopted.send_modify(|count| *count += 1);
        old
    }

    /// Ends what there is.
    pub(super) fn close(&self, reason: &str) {
        if let Some(tunnel) = self.tunnel.swap(None) {
            tunnel.close(code::STOPPED, reason);
        }
    }
}

/// Whether the present tunnel stays although another one came; those dialed by `preferred` are the better ones.
fn is_kept(preferred: NodeId, present: Origin, new: Origin) -> bool {
    present.instance == new.instance && present.dialed_by == preferred && new.dialed_by != preferred
}

/// What packets ask for.
#[derive(Debug)]
pub(super) struct Directory {
    /// This node's own ranges.
    pub(super) own: Vec<IpNet>,
    /// Owners of all other ranges.
    pub(super) routes: ArcSwap<Routes<Arc<Slot>>>,
    /// By node.
    slots: Mutex<BTreeMap<NodeId, Arc<Slot>>>,
    /// The paths, as told to others.
    pub(super) paths: watch::Sender<BTreeMap<NodeId, PathState>>,
}

/// What an update changed.
pub(super) struct Changed {
    /// Peers that are new.
    pub(super) added: Vec<Arc<Slot>>,
    /// Nodes that are peers no more.
    pub(super) removed: Vec<NodeId>,
    /// All ranges that peers have now.
    pub(super) ranges: BTreeSet<IpNet>,
}

impl Directory {
    pub(super) fn new(own: Vec<IpNet>) -> Self {
        Self { own, routes: ArcSwap::default(), slots: Mutex::default(), paths: watch::Sender::default() }
    }

    /// The peer of this id.
    pub(super) fn slot(&self, id: NodeId) -> Option<Arc<Slot>> {
        self.slots.lock().get(&id).cloned()
    }

    /// All peers.
    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().values().cloned().collect()
    }

    /// Whether an address belongs to this node or its pods.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.own.iter().any(|range| range.contains(&address))
    }

    /// Takes these as all peers there are.
    pub(super) fn replace(&self, me: NodeId, peers: Vec<OverlayPeer>) -> Changed {
        let mut slots = self.slots.lock();
        let mut before = std::mem::take(&mut *slots);
        let mut added = Vec::new();
        for peer in peers.into_iter().filter(|peer| peer.id != me) {
            let slot = match before.remove(&peer.id) {
                Some(slot) => {
                    slot.peer.store(Arc::new(peer));
                    slot
                }
                None => {
                    let slot = Slot::new(peer);
                    added.push(slot.clone());
                    slot
                }
            };
            slots.insert(slot.id, slot);
        }
        before.values().for_each(|slot| slot.close("no longer a member"));
        let removed: Vec<NodeId> = before.into_keys().collect();
        let (routes, ranges) = self.routes_to(slots.values());
        self.routes.store(Arc::new(routes));
        self.paths.send_modify(|paths| {
            paths.retain(|id, _| slots.contains_key(id));
            paths.extend(added.iter().map(|slot| (slot.id, PathState::Unknown)));
        });
        Changed { added, removed, ranges }
    }

    fn routes_to<'a>(&self, slots: impl Iterator<Item = &'a Arc<Slot>>) -> (Routes<Arc<Slot>>, BTreeSet<IpNet>) {
        let (mut routes, mut ranges) = (Routes::default(), BTreeSet::new());
        for slot in slots {
            for range in &slot.peer.load().pod_ranges {
                let overlaps = |own: &IpNet| own.contains(range) || range.contains(own);
                if self.own.iter().any(overlaps) || !ranges.insert(range.trunc()) {
                    warn!(node = %slot.id, %range, "a peer's range is not routed: it is another node's");
                    continue;
                }
                routes.insert(*range, slot.clone());
            }
        }
        (routes, ranges)
    }

    /// Tells others of a path, if that is news.
    pub(super) fn tell(&self, id: NodeId, state: PathState) {
        self.paths.send_if_modified(|paths| match paths.get_mut(&id) {
            Some(known) if *known != state => {
                *known = state;
                true
            }
            _ => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyFingerprint;

    fn peer(id: u64, key: u8, range: &str) -> OverlayPeer {
        let pod_ranges = vec![range.parse().unwrap()];
        OverlayPeer { id: NodeId(id), key: KeyFingerprint([key; 32]), addresses: vec![], pod_ranges }
    }

    #[test]
    fn both_sides_keep_the_same_connection() {
        let [low, high] = [NodeId(1), NodeId(2)];
        for (present, new, kept) in [(low, high, true), (low, low, false), (high, low, false), (high, high, false)] {
            let present = Origin { dialed_by: present, instance: 1 };
            let new = Origin { dialed_by: new, instance: 1 };
            assert_eq!(is_kept(low, present, new), kept, "{present:?} {new:?}");
            assert!(!is_kept(low, present, Origin { instance: 2, ..new }), "it was restarted");
        }
    }

    #[test]
    fn a_peer_keeps_its_path_until_it_goes() {
        let directory = Directory::new(vec!["10.42.0.0/24".parse().unwrap()]);
        let me = NodeId(9);
        let replace = |peers: &[OverlayPeer]| {
            let changed = directory.replace(me, peers.to_vec());
            (
                changed.added.iter().map(|slot| slot.id.0).collect::<Vec<_>>(),
                changed.removed.len(),
                changed.ranges.len(),
            )
        };
        assert_eq!(replace(&[peer(1, 1, "10.42.1.0/24"), peer(9, 9, "10.42.0.0/24")]), (vec![1], 0, 1));
        assert_eq!(replace(&[peer(1, 1, "10.42.1.0/24"), peer(2, 2, "10.42.2.0/24")]), (vec![2], 0, 2));
        let owner = |address: &str| directory.routes.load().find(address.parse().unwrap()).map(|slot| slot.id.0);
        assert_eq!((owner("10.42.1.5"), owner("10.42.2.5"), owner("10.42.3.5")), (Some(1), Some(2), None));
        directory.tell(NodeId(2), PathState::Alive);
        assert_eq!(replace(&[peer(1, 1, "10.42.3.0/24"), peer(2, 2, "10.42.2.0/24")]), (vec![], 0, 2));
        assert_eq!((owner("10.42.1.5"), owner("10.42.3.5")), (None, Some(1)));
        assert_eq!(directory.paths.borrow()[&NodeId(2)], PathState::Alive);
        assert_eq!(replace(&[]), (vec![], 2, 0));
        assert!(directory.paths.borrow().is_empty());
    }

    #[test]
    fn nobody_takes_over_a_range_that_is_another_s() {
        let directory = Directory::new(vec!["10.42.0.0/24".parse().unwrap()]);
        for range in ["10.42.0.0/24", "10.42.0.0/16", "10.42.0.7/32", "0.0.0.0/0"] {
            assert!(directory.replace(NodeId(9), vec![peer(1, 1, range)]).ranges.is_empty(), "{range}");
        }
        directory.replace(NodeId(9), vec![peer(1, 1, "10.42.1.0/24"), peer(2, 2, "10.42.1.0/24")]);
        assert_eq!(directory.routes.load().find("10.42.1.1".parse().unwrap()).unwrap().id, NodeId(1));
    }
}
