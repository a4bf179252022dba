//! Which nodes' endpoints are withdrawn here, given which paths are dead: damped, and frozen while this node itself
//! looks cut off. Pure. Main type: [`Reach`]. The overlay calls a path dead after 3 s of silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::NodeId;
use crate::overlay::PathState;

/// A path that came back must hold so long before it is used again; doubled with each further failure.
const STEADY: Duration = Duration::from_secs(5);

/// Longest such time.
const LONGEST_STEADY: Duration = Duration::from_secs(60);

/// A path that held so long has a good name again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);

/// Fewest dead peers that make this node doubt itself. With one only, nobody can tell who is cut off, and withdrawing
/// does no harm: without other endpoints the list stays.
const DOUBT_AT: usize = 2;

/// See the file's head. Times are since any fixed moment, by monotonic time.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    peers: BTreeMap<NodeId, Peer>,
    frozen: bool,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    withdrawn: bool,
    alive_since: Option<Duration>,
    failures: u32,
}

impl Peer {
    fn steady(&self) -> Duration {
        STEADY.saturating_mul(1 << self.failures.saturating_sub(1).min(8)).min(LONGEST_STEADY)
    }

    /// Takes the newest state; returns how long until time alone changes the judgement.
    fn judge(&mut self, state: PathState, now: Duration) -> Option<Duration> {
        match state {
            PathState::Dead => {
                if !self.withdrawn {
                    self.failures = self.failures.saturating_add(1);
                }
                self.withdrawn = true;
                self.alive_since = None;
                None
            }
            PathState::Unknown => None,
            PathState::Alive => {
                let held = now.saturating_sub(*self.alive_since.get_or_insert(now));
                if held >= FORGIVEN_AFTER {
                    self.failures = 0;
                }
                if !self.withdrawn {
                    return None;
                }
                self.withdrawn = held < self.steady();
                self.withdrawn.then(|| self.steady().saturating_sub(held))
            }
        }
    }
}

impl Reach {
    /// Takes the newest states of all peers; returns when to ask again although none changed.
    pub fn observe(&mut self, states: &BTreeMap<NodeId, PathState>, now: Duration) -> Option<Duration> {
        let dead = states.values().filter(|state| **state == PathState::Dead).count();
        self.frozen = dead >= DOUBT_AT && dead * 2 > states.len();
        self.peers.retain(|id, _| states.contains_key(id));
        if self.frozen {
            return None;
        }
        let judged = states.iter().filter_map(|(id, state)| self.peers.entry(*id).or_default().judge(*state, now));
        judged.min()
    }

    /// The nodes whose endpoints are not to be used.
    pub fn withdrawn(&self) -> BTreeSet<NodeId> {
        self.peers.iter().filter(|(_, peer)| peer.withdrawn).map(|(id, _)| *id).collect()
    }

    /// Whether more than half of the peers fell silent: then it is this node that is cut off, and nothing is changed.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States by second: `a`live, `d`ead, `u`nknown, one letter a peer. Expects the withdrawn peers at the end, by place.
    fn check(steps: &[(u64, &str)], expect: &[u64], again: Option<u64>) {
        let mut reach = Reach::default();
        let mut next = None;
        for (second, letters) in steps {
            let states = letters.chars().zip(0..).map(|(letter, id)| {
                let state = match letter {
                    'a' => PathState::Alive,
                    'd' => PathState::Dead,
                    _ => PathState::Unknown,
                };
                (NodeId(id), state)
            });
            next = reach.observe(&states.collect(), Duration::from_secs(*second));
        }
        let withdrawn: Vec<_> = reach.withdrawn().into_iter().map(|id| id.0).collect();
        assert_eq!((withdrawn.as_slice(), next.map(|time| time.as_secs())), (expect, again), "{steps:?}");
    }

    #[test]
    fn a_dead_path_is_withdrawn_at_once_and_an_unknown_one_is_not() {
        check(&[(0, "aua")], &[], None);
        check(&[(0, "aaa"), (9, "ada")], &[1], None);
        check(&[(0, "a"), (9, "d")], &[0], None);
    }

    #[test]
    fn a_path_that_comes_back_must_hold_and_longer_each_time() {
        check(&[(0, "aaa"), (9, "ada"), (10, "aaa")], &[1], Some(5));
        check(&[(0, "aaa"), (9, "ada"), (10, "aaa"), (14, "aaa")], &[1], Some(1));
        check(&[(0, "aaa"), (9, "ada"), (10, "aaa"), (15, "aaa")], &[], None);
        let twice = [(0, "aaa"), (9, "ada"), (10, "aaa"), (15, "aaa"), (16, "ada"), (17, "aaa"), (22, "aaa")];
        check(&twice, &[1], Some(5));
        let forgiven = [(0, "aaa"), (9, "ada"), (10, "aaa"), (15, "aaa"), (700, "aaa"), (701, "ada"), (702, "aaa")];
        check(&forgiven, &[1], Some(5));
    }

    #[test]
    fn with_most_peers_gone_nothing_is_changed() {
        check(&[(0, "aaaa"), (9, "daaa"), (10, "ddda")], &[0], None);
        check(&[(0, "aaaa"), (10, "ddaa")], &[0, 1], None);
        check(&[(0, "aa"), (10, "dd")], &[], None);
        check(&[(0, "aa"), (10, "dd"), (20, "da")], &[0], None);
    }

    #[test]
    fn a_peer_that_left_is_forgotten() {
        check(&[(0, "aad"), (1, "aa")], &[], None);
    }
}
