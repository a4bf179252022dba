//! Pods that wait for a node. Main type: [`Pending`].
//! Spec: <https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/>, the queue.
//!
//! Pure: time is a [`Duration`] since the queue's start. A pod that no node would take is parked until something changes
//! that may help; it comes back no sooner than its back-off allows.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use scheduler::Pod;
use serde_json::Value;

/// First wait after a failure; doubles with each further one, as upstream.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// Longest wait after a failure.
const BACKOFF_LONGEST: Duration = Duration::from_secs(10);

/// A parked pod is tried again after this although nothing seems to have changed, as upstream.
const PARKED_LONGEST: Duration = Duration::from_secs(300);

/// A pod that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// As placing sees it.
    pub(super) pod: Arc<Pod>,
    /// As it is stored.
    pub(super) object: Arc<Value>,
}

/// What is done about it now.
#[derive(Debug)]
enum Stage {
    /// Its turn comes, by priority and then by this number.
    Ready(u64),
    /// It is tried again at a time.
    Backoff(Duration),
    /// No node would take it.
    Parked { since: Duration, refused_by: BTreeSet<&'static str> },
    /// It is being placed or bound.
    Taken,
}

#[derive(Debug)]
struct Entry {
    waiting: Waiting,
    stage: Stage,
    attempts: u32,
    failed_at: Duration,
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pods: HashMap<String, Entry>,
    ready: BTreeSet<(Reverse<i32>, u64, String)>,
    /// Those in back-off and those parked, by when they are tried again whatever happens.
    timed: BTreeSet<(Duration, String)>,
    parked: BTreeSet<String>,
    next: u64,
}

impl Pending {
    /// A pod waits, or has changed while it waited.
    pub(super) fn set(&mut self, key: &str, waiting: Waiting) {
        let Some(entry) = self.pods.get_mut(key).filter(|entry| entry.waiting.pod.uid == waiting.pod.uid) else {
            self.remove(key);
            let entry = Entry { waiting, stage: Stage::Taken, attempts: 0, failed_at: Duration::ZERO };
            self.pods.insert(key.to_owned(), entry);
            return self.make_ready(key);
        };
        let wants_else = |field| entry.waiting.object.pointer(field) != waiting.object.pointer(field);
        let changed = wants_else("/spec") || wants_else("/metadata/labels");
        entry.waiting = waiting;
        if changed && !matches!(entry.stage, Stage::Taken) {
            self.unqueue(key);
            self.make_ready(key);
        }
    }

    /// A pod waits no longer.
    pub(super) fn remove(&mut self, key: &str) {
        self.unqueue(key);
        self.pods.remove(key);
    }

    /// The pod whose turn it is.
    pub(super) fn take(&mut self, now: Duration) -> Option<(String, Waiting)> {
        self.due(now);
        let (_, _, key) = self.ready.pop_first()?;
        let entry = self.pods.get_mut(&key)?;
        entry.stage = Stage::Taken;
        Some((key, entry.waiting.clone()))
    }

    /// No node would take it.
    pub(super) fn park(&mut self, key: &str, now: Duration, refused_by: BTreeSet<&'static str>) {
        let Some(entry) = self.pods.get_mut(key) else { return };
        entry.fail(now);
        entry.stage = Stage::Parked { since: now, refused_by };
        self.timed.insert((now + PARKED_LONGEST, key.to_owned()));
        self.parked.insert(key.to_owned());
    }

    /// It had a node, but could not be bound.
    pub(super) fn failed(&mut self, key: &str, now: Duration) {
        let Some(entry) = self.pods.get_mut(key) else { return };
        entry.fail(now);
        let at = now + entry.backoff();
        entry.stage = Stage::Backoff(at);
        self.timed.insert((at, key.to_owned()));
    }

    /// Something changed that may help those refused by one of these filters; by any, where none is named.
    pub(super) fn wake(&mut self, now: Duration, helps: &[&str]) {
        let helped = |key: &&String| match self.pods.get(*key).map(|entry| &entry.stage) {
            Some(Stage::Parked { refused_by, .. }) => {
                helps.is_empty() || helps.iter().any(|name| refused_by.contains(name))
            }
            _ => false,
        };
        let woken: Vec<String> = self.parked.iter().filter(helped).cloned().collect();
        for key in woken {
            self.unqueue(&key);
            let Some(entry) = self.pods.get_mut(&key) else { continue };
            let at = entry.failed_at + entry.backoff();
            if at <= now {
                self.make_ready(&key);
            } else {
                entry.stage = Stage::Backoff(at);
                self.timed.insert((at, key));
            }
        }
    }

    /// When a pod is due that is not yet.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timed.first().map(|(at, _)| *at)
    }

    /// Whether a pod's turn has come.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn due(&mut self, now: Duration) {
        while let Some((_, key)) = self.timed.first().filter(|(at, _)| *at <= now).cloned() {
            self.unqueue(&key);
            self.make_ready(&key);
        }
    }

    fn make_ready(&mut self, key: &str) {
        let Some(entry) = self.pods.get_mut(key) else { return };
        entry.stage = Stage::Ready(self.next);
        self.ready.insert((Reverse(entry.waiting.pod.priority), self.next, key.to_owned()));
        self.next += 1;
    }

    fn unqueue(&mut self, key: &str) {
        let Some(entry) = self.pods.get_mut(key) else { return };
        match std::mem::replace(&mut entry.stage, Stage::Taken) {
            // The priority of a pod cannot change.
            Stage::Ready(at) => _ = self.ready.remove(&(Reverse(entry.waiting.pod.priority), at, key.to_owned())),
            Stage::Backoff(at) => _ = self.timed.remove(&(at, key.to_owned())),
            Stage::Parked { since, .. } => {
                self.timed.remove(&(since + PARKED_LONGEST, key.to_owned()));
                self.parked.remove(key);
            }
            Stage::Taken => {}
        }
    }
}

impl Entry {
    fn fail(&mut self, now: Duration) {
        self.attempts += 1;
        self.failed_at = now;
    }

    fn backoff(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(16);
        BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pod(name: &str, priority: i32, spec: u32) -> (String, Waiting) {
        let metadata = json!({ "name": name, "namespace": "n", "uid": name });
        let object = json!({ "metadata": metadata, "spec": { "priority": priority, "x": spec } });
        let pod = Arc::new(Pod::read(&object).unwrap());
        (pod.key(), Waiting { pod, object: object.into() })
    }

    fn queue(pods: &[(&str, i32)]) -> Pending {
        let mut pending = Pending::default();
        for (name, priority) in pods {
            let (key, waiting) = pod(name, *priority, 0);
            pending.set(&key, waiting);
        }
        pending
    }

    fn taken(pending: &mut Pending, now: Duration) -> Vec<String> {
        std::iter::from_fn(|| pending.take(now).map(|(_, waiting)| waiting.pod.name.clone())).collect()
    }

    #[test]
    fn more_important_pods_go_first_then_those_that_came_first() {
        let mut pending = queue(&[("a", 0), ("b", 5), ("c", 0)]);
        assert_eq!(taken(&mut pending, s(0)), ["b", "a", "c"]);
        assert!(!pending.is_ready());
    }

    #[test]
    fn a_parked_pod_waits_for_what_may_help_and_for_its_back_off() {
        let mut pending = queue(&[("a", 0)]);
        let by = BTreeSet::from(["NodeAffinity"]);
        assert_eq!(taken(&mut pending, s(0)), ["a"]);
        pending.park("n/a", s(0), by.clone());
        pending.wake(s(5), &["PodTopologySpread"]);
        assert!(taken(&mut pending, s(5)).is_empty());
        pending.wake(s(5), &[]);
        assert_eq!(taken(&mut pending, s(5)), ["a"]);
        pending.park("n/a", s(5), by.clone());
        pending.wake(s(6), &["NodeAffinity"]);
        assert_eq!((taken(&mut pending, s(6)).len(), pending.next_due()), (0, Some(s(7))));
        assert_eq!(taken(&mut pending, s(7)), ["a"]);
        pending.park("n/a", s(7), by);
        assert_eq!(pending.next_due(), Some(s(307)), "it is tried again although nothing changed");
    }

    #[test]
    fn a_pod_that_wants_something_else_is_tried_at_once() {
        let mut pending = queue(&[("a", 0)]);
        assert_eq!(taken(&mut pending, s(0)), ["a"]);
        pending.park("n/a", s(0), BTreeSet::new());
        let (key, same) = pod("a", 0, 0);
        pending.set(&key, same);
        assert!(!pending.is_ready());
        let (key, changed) = pod("a", 0, 1);
        pending.set(&key, changed);
        assert_eq!(taken(&mut pending, s(0)), ["a"]);
    }

    #[test]
    fn failures_wait_longer_up_to_a_bound_and_the_removed_are_gone() {
        let mut pending = queue(&[("a", 0)]);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let now = pending.next_due().unwrap_or_default();
            assert_eq!(taken(&mut pending, now), ["a"]);
            pending.failed("n/a", now);
            waits.extend(pending.next_due().map(|due| (due - now).as_secs()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        pending.remove("n/a");
        assert_eq!(pending.next_due(), None);
    }
}
