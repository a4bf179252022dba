//! Sizes of sets: what a deployment's own size asks of them.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling>.

use std::cmp::Reverse;

use super::sets::{DESIRED, MOST, Rollout};
use crate::workload::News;

impl Rollout<'_> {
    /// Whether the deployment has another size than when a set was scaled last.
    pub(super) fn is_scaled_anew(&mut self) -> bool {
        self.find_newest();
        self.sets.iter().any(|set| set.is_active() && set.said(DESIRED).is_some_and(|said| said != self.wanted))
    }

    /// Gives a set a size, and tells of it.
    pub(super) fn resize(&mut self, at: usize, size: i64) {
        let before = self.sets[at].size;
        if before == size {
            return;
        }
        self.size_quietly(at, size);
        let (way, name) = (if before < size { "up" } else { "down" }, &self.sets[at].name);
        let message = format!("Scaled {way} replica set {name} from {before} to {size}");
        self.sets[at].news = Some(News::normal("ScalingReplicaSet", message));
    }

    fn size_quietly(&mut self, at: usize, size: i64) {
        self.sets[at].size = size;
        self.annotate_size(at);
    }

    /// Notes at a set what the deployment wants now.
    pub(super) fn annotate_size(&mut self, at: usize) {
        let (wanted, most) = (self.wanted, self.wanted + self.max_surge());
        let annotations = &mut self.sets[at].annotations;
        annotations.insert(DESIRED.to_owned(), wanted.to_string());
        annotations.insert(MOST.to_owned(), most.to_string());
    }

    /// The size that the newest set may have next, given all others.
    pub(super) fn next_size(&self, at: usize) -> i64 {
        let size = self.sets[at].size;
        if self.recreates() {
            return self.wanted;
        }
        let room = self.wanted + self.max_surge() - self.total();
        if room <= 0 { size } else { size + room.min(self.wanted - size) }
    }

    /// Brings all sets to what the deployment's size asks for, without going on with a rollout.
    pub(super) fn scale(&mut self) {
        let active: Vec<usize> = (0..self.sets.len()).filter(|at| self.sets[*at].is_active()).collect();
        match active.as_slice() {
            [] => {
                let latest = self.newest.or_else(|| self.old().pop());
                if let Some(at) = latest {
                    self.resize(at, self.wanted);
                }
            }
            [only] => {
                self.resize(*only, self.wanted);
                self.annotate_size(*only);
            }
            _ if self.is_saturated() => {
                for at in self.old().into_iter().filter(|at| active.contains(at)) {
                    self.resize(at, 0);
                }
            }
            _ if !self.recreates() => self.share_out(active),
            _ => {}
        }
    }

    /// Whether the newest set has all pods that are wanted, and all are available.
    fn is_saturated(&self) -> bool {
        let full = |set: &super::sets::Set| {
            set.size == self.wanted
                && set.said(DESIRED) == Some(self.wanted)
                && set.status("availableReplicas") == self.wanted
        };
        self.new_set().is_some_and(full)
    }

    /// Spreads the difference over the active sets, each by its share. What rounding leaves over goes to the largest.
    fn share_out(&mut self, mut active: Vec<usize>) {
        let allowed = if self.wanted > 0 { self.wanted + self.max_surge() } else { 0 };
        let total: i64 = active.iter().map(|at| self.sets[*at].size).sum();
        let to_add = allowed - total;
        let created = |at: usize| (self.sets[at].created(), self.sets[at].name.clone());
        // Of sets of one size the newer grow first, and the older shrink first.
        if to_add > 0 {
            active.sort_by_key(|at| (Reverse(self.sets[*at].size), Reverse(created(*at))));
        } else {
            active.sort_by_key(|at| (Reverse(self.sets[*at].size), created(*at)));
        }
        let mut added = 0;
        let mut sizes = Vec::new();
        for at in &active {
            let share = self.share(*at, to_add, added);
            sizes.push(self.sets[*at].size + share);
            added += share;
        }
        if let Some(first) = sizes.first_mut().filter(|_| to_add != 0) {
            *first = (*first + to_add - added).max(0);
        }
        for (at, size) in active.into_iter().zip(sizes) {
            if self.sets[at].size == size {
                self.annotate_size(at);
            } else {
                self.resize(at, size);
            }
        }
    }

    fn share(&self, at: usize, to_add: i64, added: i64) -> i64 {
        let set = &self.sets[at];
        if set.size == 0 || to_add == 0 || to_add == added {
            return 0;
        }
        let (share, left) = (self.fraction(at), to_add - added);
        if to_add > 0 { share.min(left) } else { share.max(left) }
    }

    /// How much a set would grow if all did alike.
    fn fraction(&self, at: usize) -> i64 {
        let set = &self.sets[at];
        if self.wanted == 0 {
            return -set.size;
        }
        let most = self.wanted + self.max_surge();
        let before = set.said(MOST).filter(|said| *said != 0).unwrap_or_else(|| self.reported("replicas"));
        if before == 0 {
            return 0;
        }
        let size = (set.size * most) as f64 / before as f64;
        size.round() as i64 - set.size
    }
}
