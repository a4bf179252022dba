//! Replaces pods of old templates, node by node. Main function: [`Daemons::roll`].
//! Spec: <https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/>.
//!
//! Without surge the old pod goes first, while no more than `maxUnavailable` nodes are without one that is available; with
//! surge the new one comes first, on at most `maxSurge` nodes at a time. An old pod that is not available is no loss.

use api::meta;

use super::{manage::Wanted, nodes::Daemons};
use crate::view::Object;

/// The pods on one node that are not on their way out: one of the present template and one other, at most.
struct Pair<'a> {
    new: Option<&'a Object>,
    old: Option<&'a Object>,
}

impl Daemons<'_> {
    /// Decides which old pods go, and which nodes get a second pod.
    pub(super) fn roll<'s>(&'s self, wanted: &mut Wanted<'s>) {
        let (surge, unavailable) = self.bounds(self.wanted());
        let limit = |bound: i64| usize::try_from(bound).unwrap_or_default();
        if surge == 0 {
            self.roll_in_place(limit(unavailable), wanted);
        } else {
            self.roll_with_surge(limit(surge), wanted);
        }
    }

    /// Nodes that have pods or should; `None` where a node has several alike, which is for another run to prune.
    fn pairs(&self) -> impl Iterator<Item = (&str, Option<Pair<'_>>)> {
        let bare = self.nodes.iter().filter(|(node, wish)| wish.runs && self.on(node).is_empty()).map(|(node, _)| node);
        self.pods.keys().chain(bare).map(|node| (node.as_str(), self.pair(node)))
    }

    fn pair(&self, node: &str) -> Option<Pair<'_>> {
        let living = || self.on(node).iter().filter(|pod| !meta::is_being_deleted(pod));
        let mut new = living().filter(|pod| self.is_new(pod));
        let mut old = living().filter(|pod| !self.is_new(pod));
        let pair = Pair { new: new.next(), old: old.next() };
        (new.next().is_none() && old.next().is_none()).then_some(pair)
    }

    fn roll_in_place<'s>(&'s self, most: usize, wanted: &mut Wanted<'s>) {
        let (mut unavailable, mut candidates) = (0, Vec::new());
        for (_, pair) in self.pairs() {
            match pair {
                Some(Pair { new: Some(new), old: None }) if self.is_available(new) => {}
                Some(Pair { new: None, old: Some(old) }) if self.is_available(old) => candidates.push(old),
                Some(Pair { new: None, old: Some(old) }) => {
                    wanted.ended.push(old);
                    unavailable += 1;
                }
                _ => unavailable += 1,
            }
        }
        wanted.ended.extend(candidates.into_iter().take(most.saturating_sub(unavailable)));
    }

    fn roll_with_surge<'s>(&'s self, most: usize, wanted: &mut Wanted<'s>) {
        let (mut surging, mut available) = (0, 0usize);
        let (mut candidates, mut leaving) = (Vec::new(), Vec::new());
        for (node, pair) in self.pairs() {
            let Some(Pair { new, old }) = pair else {
                surging += 1;
                continue;
            };
            available += usize::from(old.or(new).is_some_and(|pod| self.is_available(pod)));
            let Some(old) = old else { continue };
            let runs = self.nodes.get(node).is_some_and(|wish| wish.runs);
            match (new, self.is_available(old)) {
                (Some(new), _) if self.is_available(new) => wanted.ended.push(old),
                (Some(_), _) => surging += 1,
                (None, false) if runs => wanted.made.push((node, 0)),
                (None, false) => wanted.ended.push(old),
                (None, true) if runs => candidates.push(node),
                (None, true) => leaving.push(old),
            }
        }
        wanted.made.extend(candidates.into_iter().take(most.saturating_sub(surging)).map(|node| (node, 0)));
        // Where a pod is to be no longer, it serves until those that are to be do.
        let needed = usize::try_from(self.wanted()).unwrap_or_default();
        wanted.ended.extend(leaving.into_iter().take(available.saturating_sub(needed)));
    }
}
