//! One step of replacing pods of earlier templates: rolling, or all at once.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy>.

use super::sets::Rollout;

impl Rollout<'_> {
    /// Only sizes, history and status: while paused, and where the deployment's size has changed.
    pub(super) fn sync(&mut self) {
        self.find_newest();
        self.scale();
        if self.is_paused() {
            self.drop_history();
        }
        self.tell_status();
    }

    /// First all old pods go, then the new ones come.
    pub(super) fn recreate(&mut self) {
        self.find_newest();
        let active: Vec<usize> = self.old().into_iter().filter(|at| self.sets[*at].is_active()).collect();
        if !active.is_empty() {
            active.into_iter().for_each(|at| self.resize(at, 0));
            return self.tell_rollout();
        }
        if self.old_pods_run() {
            return self.tell_rollout();
        }
        self.make_newest();
        if let Some(at) = self.newest {
            self.resize(at, self.wanted);
        }
        if self.is_complete_as_told() {
            self.drop_history();
        }
        self.tell_rollout();
    }

    /// New pods come and old ones go within the fences.
    pub(super) fn roll(&mut self) {
        self.make_newest();
        let Some(at) = self.newest else { return self.tell_rollout() };
        if self.grow(at) || self.shrink_old(at) {
            return self.tell_rollout();
        }
        if self.is_complete_as_told() {
            self.drop_history();
        }
        self.tell_rollout();
    }

    /// Brings the newest set nearer to its size. Tells whether it did.
    fn grow(&mut self, at: usize) -> bool {
        let before = self.sets[at].size;
        if self.sets[at].object.is_none() {
            return true;
        }
        if before == self.wanted {
            return false;
        }
        let size = if before > self.wanted { self.wanted } else { self.next_size(at) };
        self.resize(at, size);
        size != before
    }

    /// Makes old sets smaller as far as enough pods stay available. Tells whether it did.
    fn shrink_old(&mut self, newest: usize) -> bool {
        let old: Vec<usize> = self.old().into_iter().filter(|at| self.sets[*at].is_active()).collect();
        let sizes: Vec<i64> = old.iter().map(|at| self.sets[*at].size).collect();
        let least = self.wanted - self.max_unavailable();
        let new = &self.sets[newest];
        let not_available = new.size - new.status("availableReplicas");
        let too_many = self.total() - least - not_available;
        if old.is_empty() || too_many <= 0 {
            return false;
        }
        let mut wanted = self.without_unhealthy(&old, &sizes, too_many);
        self.without_surplus(&old, &mut wanted, least);
        let shrinks = wanted != sizes;
        old.into_iter().zip(wanted).for_each(|(at, size)| self.resize(at, size));
        shrinks
    }

    /// Sizes without the pods that are not available anyway: they would only block the rollout.
    fn without_unhealthy(&self, old: &[usize], sizes: &[i64], most: i64) -> Vec<i64> {
        let mut left = most;
        let one = |(at, size): (&usize, &i64)| {
            let unhealthy = (size - self.sets[*at].status("availableReplicas")).clamp(0, left.max(0));
            left -= unhealthy;
            size - unhealthy
        };
        old.iter().zip(sizes).map(one).collect()
    }

    /// Sizes without the pods that are available beyond need.
    fn without_surplus(&self, old: &[usize], sizes: &mut [i64], least: i64) {
        let available: i64 = self.total_status("availableReplicas");
        let mut surplus = (available - least).max(0);
        debug_assert_eq!(old.len(), sizes.len());
        for size in sizes {
            let less = surplus.min(*size);
            *size -= less;
            surplus -= less;
        }
    }
}
