//! Which members are silent, and for how long, as gossip tells this node. Main type: [`Liveness`]. By monotonic time, so
//! that a clock set wrong makes nobody dead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use net::NodeId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Who is heard, and since when the others are not.
#[derive(Debug)]
pub struct Liveness {
    /// Before this nobody was listened to.
    started: Instant,
    known: Mutex<Known>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    live: BTreeSet<NodeId>,
    /// Those that were heard once.
    lost: BTreeMap<NodeId, Instant>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { started: Instant::now(), known: Mutex::default(), changes: watch::Sender::new(()) }
    }
}

impl Liveness {
    /// How long a member other than this node has been silent; `None` while it is heard.
    pub fn silence(&self, id: NodeId) -> Option<Duration> {
        let known = self.known.lock();
        let since = || known.lost.get(&id).copied().unwrap_or(self.started);
        (!known.live.contains(&id)).then(|| since().elapsed())
    }

    /// Changes whenever somebody falls silent or is heard again.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Takes what gossip tells until it ends.
    pub async fn follow(&self, mut live: watch::Receiver<BTreeSet<NodeId>>) {
        loop {
            self.note(live.borrow_and_update().clone());
            if live.changed().await.is_err() {
                return;
            }
        }
    }

    fn note(&self, live: BTreeSet<NodeId>) {
        let mut known = self.known.lock();
        let now = Instant::now();
        let fallen: Vec<_> = known.live.difference(&live).copied().collect();
        known.lost.extend(fallen.into_iter().map(|id| (id, now)));
        known.lost.retain(|id, _| !live.contains(id));
        known.live = live;
        drop(known);
        self.changes.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_silent_from_when_it_was_last_heard() {
        let liveness = Liveness::default();
        let mut changes = liveness.changes();
        let [one, two] = [NodeId(1), NodeId(2)];
        assert!(liveness.silence(one).is_some(), "never heard");
        liveness.note([one, two].into());
        assert_eq!((liveness.silence(one), liveness.silence(two)), (None, None));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        liveness.note([two].into());
        assert!(changes.has_changed().unwrap());
        assert!(liveness.silence(one).unwrap() <= liveness.silence(NodeId(3)).unwrap());
        liveness.note([one].into());
        assert_eq!(liveness.silence(one), None);
    }
}
