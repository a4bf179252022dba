//! Who is a member: the pinned key, addresses and role of each node, fed from the replicated membership by its owner.
//!
//! Readers take a snapshot without a lock. Removed ids and keys are refused for ever, whatever a later update says,
//! and the key of an id never changes: a machine with a new key is a new node. **Fixed early.**

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{Caller, KeyFingerprint, NodeId, Role};

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its identity.
    pub id: NodeId,
    /// The key that proves it.
    pub key: KeyFingerprint,
    /// Where its control endpoint listens (UDP), best first; one per family where dual stack.
    pub addresses: Vec<SocketAddr>,
    /// What it is to the quorum.
    pub role: Role,
    /// Its Kubernetes Node name: a label, not an identity.
    pub name: String,
}

/// A former member: neither its id nor its key is ever accepted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Removed {
    /// The retired id.
    pub id: NodeId,
    /// Its key.
    pub key: KeyFingerprint,
}

/// An entry that an update held and the table refused. The rest of the update is in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its id or key was removed before.
    #[error("node {0} is refused: it was removed from the cluster")]
    Removed(NodeId),
    /// Another key under a known id.
    #[error("node {0} is refused: its key differs from the one it joined with")]
    KeyChanged(NodeId),
    /// A key that is another node's.
    #[error("node {0} is refused: its key is that of node {1}")]
    KeyTaken(NodeId, NodeId),
}

/// The members at one moment.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    members: BTreeMap<NodeId, Arc<Peer>>,
    by_key: HashMap<KeyFingerprint, NodeId>,
    removed_ids: BTreeSet<NodeId>,
    removed_keys: BTreeSet<KeyFingerprint>,
}

impl Peers {
    /// The member of this id.
    pub fn get(&self, id: NodeId) -> Option<&Arc<Peer>> {
        self.members.get(&id)
    }

    /// All members, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.members.values()
    }

    /// Who proves itself by this key.
    pub fn caller(&self, key: &KeyFingerprint) -> Caller {
        match self.by_key.get(key).and_then(|id| self.members.get(id)) {
            Some(peer) => Caller::Member(peer.id, peer.role),
            None => Caller::Anonymous,
        }
    }

    /// Whether this key or id belonged to a member that was removed.
    pub fn is_removed(&self, id: NodeId, key: &KeyFingerprint) -> bool {
        self.removed_ids.contains(&id) || self.removed_keys.contains(key)
    }

    /// Whether this key belonged to a member that was removed.
    pub fn is_removed_key(&self, key: &KeyFingerprint) -> bool {
        self.removed_keys.contains(key)
    }

    /// The members after an update.
    fn next(&self, members: Vec<Peer>, removed: &[Removed]) -> (Self, Vec<Refused>) {
        let mut next = Self {
            removed_ids: self.removed_ids.iter().copied().chain(removed.iter().map(|gone| gone.id)).collect(),
            removed_keys: self.removed_keys.iter().copied().chain(removed.iter().map(|gone| gone.key)).collect(),
            ..Self::default()
        };
        let mut refused = Vec::new();
        for peer in members {
            match next.admit(peer, self) {
                Ok(()) => {}
                Err(reason) => refused.push(reason),
            }
        }
        (next, refused)
    }

    fn admit(&mut self, peer: Peer, before: &Self) -> Result<(), Refused> {
        if self.is_removed(peer.id, &peer.key) {
            return Err(Refused::Removed(peer.id));
        }
        if let Some(holder) = self.by_key.get(&peer.key)
            && *holder != peer.id
        {
            return Err(Refused::KeyTaken(peer.id, *holder));
        }
        let known = self.get(peer.id).or_else(|| before.get(peer.id)).cloned();
        match known.filter(|known| known.key != peer.key) {
            // The old entry stays, so that the binding is not forgotten by being challenged.
            Some(known) => {
                let changed = Refused::KeyChanged(peer.id);
                self.insert(known);
                Err(changed)
            }
            None => {
                self.insert(Arc::new(peer));
                Ok(())
            }
        }
    }

    fn insert(&mut self, peer: Arc<Peer>) {
        self.by_key.insert(peer.key, peer.id);
        self.members.insert(peer.id, peer);
    }
}

/// The members as they are now. Shared by everything that judges a peer.
#[derive(Debug)]
pub struct PeerTable {
    peers: ArcSwap<Peers>,
    changes: watch::Sender<u64>,
}

impl Default for PeerTable {
    fn default() -> Self {
        Self { peers: ArcSwap::default(), changes: watch::Sender::new(0) }
    }
}

impl PeerTable {
    /// An empty table: everybody is a stranger.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The members now; a snapshot.
    pub fn load(&self) -> Arc<Peers> {
        self.peers.load_full()
    }

    /// Puts the whole membership in force, at once for every connection. Removals add up over all calls.
    /// One owner calls this. Returns the entries refused; an id whose key differs keeps its old entry.
    pub fn replace(&self, members: Vec<Peer>, removed: &[Removed]) -> Vec<Refused> {
        let (next, refused) = self.peers.load().next(members, removed);
        self.peers.store(Arc::new(next));
        self.changes.send_modify(|count| *count += 1);
        refused
    }

    /// Tells of every [`PeerTable::replace`].
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u64, key: u8) -> Peer {
        Peer {
            id: NodeId(id),
            key: KeyFingerprint([key; 32]),
            addresses: Vec::new(),
            role: Role::Worker,
            name: format!("node-{id}"),
        }
    }

    fn removed(id: u64, key: u8) -> Removed {
        Removed { id: NodeId(id), key: KeyFingerprint([key; 32]) }
    }

    /// Applies the updates in turn; tells the last one's refusals and who is left.
    fn check(updates: Vec<(Vec<Peer>, Vec<Removed>)>, refused: &[Refused], left: &[u64]) {
        let table = PeerTable::new();
        let mut last = Vec::new();
        for (members, removed) in updates {
            last = table.replace(members, &removed);
        }
        assert_eq!(last, refused);
        assert_eq!(table.load().iter().map(|peer| peer.id.0).collect::<Vec<_>>(), left);
    }

    #[test]
    fn an_update_is_the_whole_membership() {
        check(vec![(vec![peer(1, 1), peer(2, 2)], vec![])], &[], &[1, 2]);
        check(vec![(vec![peer(1, 1), peer(2, 2)], vec![]), (vec![peer(2, 2)], vec![])], &[], &[2]);
    }

    #[test]
    fn what_was_removed_never_comes_back() {
        let gone = Refused::Removed(NodeId(1));
        check(vec![(vec![], vec![removed(1, 1)]), (vec![peer(1, 1)], vec![])], std::slice::from_ref(&gone), &[]);
        check(vec![(vec![], vec![removed(1, 1)]), (vec![peer(1, 9)], vec![])], &[gone], &[]);
        let key = Refused::Removed(NodeId(9));
        check(vec![(vec![], vec![removed(1, 1)]), (vec![peer(9, 1)], vec![])], &[key], &[]);
    }

    #[test]
    fn an_id_keeps_its_key_and_a_key_its_id() {
        check(vec![(vec![peer(1, 1)], vec![]), (vec![peer(1, 2)], vec![])], &[Refused::KeyChanged(NodeId(1))], &[1]);
        check(vec![(vec![peer(1, 1), peer(2, 1)], vec![])], &[Refused::KeyTaken(NodeId(2), NodeId(1))], &[1]);
    }

    #[test]
    fn a_caller_is_known_by_its_key_in_its_present_role() {
        let table = PeerTable::new();
        let changes = table.changes();
        table.replace(vec![peer(1, 1)], &[]);
        assert_eq!(table.load().caller(&KeyFingerprint([1; 32])), Caller::Member(NodeId(1), Role::Worker));
        assert_eq!(table.load().caller(&KeyFingerprint([2; 32])), Caller::Anonymous);
        table.replace(vec![Peer { role: Role::Voter, ..peer(1, 1) }], &[]);
        assert_eq!(table.load().caller(&KeyFingerprint([1; 32])), Caller::Member(NodeId(1), Role::Voter));
        assert!(changes.has_changed().unwrap());
    }
}
