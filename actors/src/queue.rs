//! A work queue of keys: each waits at most once, failures come back later, poison is set aside.
//! Pure: time is a [`Duration`] since the queue's start, the jitter's randomness is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Keys that may wait. Past it a key is refused and the periodic resync repairs the loss.
pub const CAPACITY: usize = 65_536;

/// First wait after a failure; doubles with each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);

/// Longest wait after a failure: a person who mended the cause should not wait longer.
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);

/// Panics after which a key is set aside, so that one poisonous object cannot stop all others.
const PANICS_ALLOWED: u32 = 3;

/// Keys to work on, and when.
#[derive(Debug)]
pub struct Queue<K> {
    due: BTreeMap<K, Duration>,
    /// The same by time, so that the first is found without looking at all.
    order: BTreeSet<(Duration, K)>,
    failures: BTreeMap<K, u32>,
    panics: BTreeMap<K, u32>,
    aside: BTreeSet<K>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            due: BTreeMap::new(),
            order: BTreeSet::new(),
            failures: BTreeMap::new(),
            panics: BTreeMap::new(),
            aside: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// Wants the key to be worked on at a time, or earlier if it waits already. Tells whether there was room.
    pub fn add(&mut self, key: K, at: Duration) -> bool {
        if self.aside.contains(&key) {
            return true;
        }
        match self.due.get(&key).copied() {
            Some(due) if due <= at => return true,
            Some(due) => drop(self.order.remove(&(due, key.clone()))),
            None if self.due.len() >= CAPACITY => return false,
            None => {}
        }
        self.due.insert(key.clone(), at);
        self.order.insert((at, key));
        true
    }

    /// Takes the key that is due first.
    pub fn take(&mut self, now: Duration) -> Option<K> {
        if self.next_due()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.due.remove(&key);
        Some(key)
    }

    /// When the next key is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.order.first().map(|(due, _)| *due)
    }

    /// The key was worked on without an error.
    pub fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
        self.panics.remove(key);
    }

    /// The key failed: it comes back after a wait that doubles, spread by `jitter` (0 to 1).
    pub fn failed(&mut self, key: K, now: Duration, jitter: f64) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = BACKOFF_FIRST.saturating_mul(1 << (*failures).min(16)).min(BACKOFF_LONGEST);
        *failures += 1;
        let wait = wait.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.add(key, now + wait);
        wait
    }

    /// The key panicked. Tells whether it was set aside, after which it is ignored until the queue is rebuilt.
    pub fn panicked(&mut self, key: K, now: Duration, jitter: f64) -> bool {
        let panics = self.panics.entry(key.clone()).or_default();
        *panics += 1;
        if *panics >= PANICS_ALLOWED {
            self.panics.remove(&key);
            self.failures.remove(&key);
            self.aside.insert(key);
            return true;
        }
        self.failed(key, now, jitter);
        false
    }

    /// Keys that wait.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether no key waits.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Keys that were set aside.
    pub fn aside(&self) -> impl Iterator<Item = &K> {
        self.aside.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_key_waits_once_and_the_earliest_comes_first() {
        let mut queue = Queue::default();
        assert!(queue.add("b", ms(5)) && queue.add("a", ms(9)) && queue.add("b", ms(7)));
        assert_eq!((queue.len(), queue.next_due()), (2, Some(ms(5))));
        assert_eq!((queue.take(ms(4)), queue.take(ms(9)), queue.take(ms(9))), (None, Some("b"), Some("a")));
        assert!(queue.is_empty());
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_a_bound() {
        let mut queue = Queue::default();
        let waits: Vec<_> = (0..12).map(|_| queue.failed("k", ms(0), 1.0)).collect();
        assert_eq!((waits[0], waits[1], waits[11]), (BACKOFF_FIRST, BACKOFF_FIRST * 2, BACKOFF_LONGEST));
        queue.succeeded(&"k");
        assert_eq!(queue.failed("k", ms(0), 0.0), BACKOFF_FIRST / 2);
    }

    #[test]
    fn the_third_panic_sets_a_key_aside_and_the_others_go_on() {
        let mut queue = Queue::default();
        assert_eq!([false, false, true], [0, 1, 2].map(|at| queue.panicked("poison", ms(at), 0.5)));
        while queue.take(ms(60_000)).is_some() {}
        assert!(queue.add("poison", ms(0)) && queue.add("good", ms(0)));
        assert_eq!((queue.take(ms(1)), queue.take(ms(1))), (Some("good"), None));
        assert_eq!(queue.aside().collect::<Vec<_>>(), [&"poison"]);
    }

    #[test]
    fn a_full_queue_refuses_new_keys_but_not_known_ones() {
        let mut queue = Queue::default();
        assert!((0..CAPACITY).all(|key| queue.add(key, ms(0))));
        assert!(queue.add(0, ms(0)) && !queue.add(CAPACITY, ms(0)));
    }
}
