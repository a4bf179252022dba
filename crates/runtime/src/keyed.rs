//! One at a time, for each key. Main type: [`Keyed`].

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// Locks by key; those that nobody holds or waits for are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Keyed {
    locks: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl Keyed {
    /// Waits until nobody else holds this key.
    pub(crate) async fn lock(&self, key: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock();
            locks.retain(|_, lock| lock.strong_count() > 0);
            match locks.get(key).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::new(tokio::sync::Mutex::new(()));
                    locks.insert(key.to_owned(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_then_forgotten() {
        let keyed = Keyed::default();
        let held = keyed.lock("a").await;
        let _other = keyed.lock("b").await;
        assert!(futures::FutureExt::now_or_never(keyed.lock("a")).is_none());
        drop(held);
        let _again = keyed.lock("a").await;
        assert_eq!(keyed.locks.lock().len(), 2);
    }
}
