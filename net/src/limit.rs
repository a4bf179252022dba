//! At most so many at a time for each key, so that one member cannot use up what all share.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::KeyFingerprint;

/// Counts what is in use by key; keys that use nothing take no room.
#[derive(Debug)]
pub(crate) struct PerKey {
    limit: usize,
    used: Mutex<HashMap<KeyFingerprint, usize>>,
}

/// One use, given back when dropped.
#[derive(Debug)]
pub(crate) struct Use {
    of: Arc<PerKey>,
    key: KeyFingerprint,
}

impl PerKey {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: Mutex::default() })
    }

    /// One more use, if the key has one left.
    pub(crate) fn take(self: &Arc<Self>, key: KeyFingerprint) -> Option<Use> {
        let mut used = self.used.lock();
        let count = used.entry(key).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Use { of: self.clone(), key })
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut used = self.of.used.lock();
        if let Some(count) = used.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_limit_and_gets_back_what_it_returns() {
        let limit = PerKey::new(2);
        let [a, b] = [1, 2].map(|byte| KeyFingerprint([byte; 32]));
        let first = limit.take(a).unwrap();
        let _second = limit.take(a).unwrap();
        assert!(limit.take(a).is_none());
        let other = limit.take(b).unwrap();
        drop((first, other));
        assert!(limit.take(a).is_some());
        assert_eq!(limit.used.lock().len(), 1, "a key that uses nothing takes no room");
    }
}
