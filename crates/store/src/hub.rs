//! Fan-out of committed transactions to watchers. Main type: [`Hub`].
//!
//! A transaction costs what it changed times who asked for it, never the number of all watchers: it is dispatched
//! through `topics`. Each watcher has a small buffer (`seat`); one that overflows reads on from the window, and
//! only where that no longer reaches back is it ended. No runtime is assumed: a watch is a plain stream.

mod seat;
mod topics;
mod watcher;

use std::sync::Arc;

use futures::StreamExt;
use parking_lot::Mutex;

use crate::{Batch, Revision, Scope, State, View, Watch, WatchError, Window};
use seat::Seat;
use topics::Topics;
use watcher::Watcher;

/// Passes committed transactions on to watchers. Clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Equal to the state's, kept apart so that watchers never hold up `apply`.
    window: Window,
    newest: Revision,
    compacted: Revision,
    topics: Topics,
    next_seat: u64,
}

impl Hub {
    /// A hub whose watches start within the state's window.
    #[must_use]
    pub fn new(state: &State) -> Self {
        let hub = Self::default();
        hub.reset(state);
        hub
    }

    /// Passes on what one transaction changed; to be called in the order of application, and before a view with its
    /// revision can be read.
    pub fn publish(&self, batch: &Batch) {
        let Some(first) = batch.first() else { return };
        let wakers = {
            let inner = &mut *self.0.lock();
            inner.newest = first.revision;
            if let Some(evicted) = inner.window.push(batch.clone()) {
                inner.compacted = evicted;
            }
            inner.topics.dispatch(batch)
        };
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Takes the window of a state that was restored from a snapshot. Watches go on where that window reaches back
    /// to what they have seen, and end as [`WatchError::Lagged`] otherwise.
    pub fn reset(&self, state: &State) {
        let wakers: Vec<_> = {
            let inner = &mut *self.0.lock();
            let seen = std::mem::replace(&mut inner.newest, state.revision());
            inner.window = state.window().clone();
            inner.compacted = state.view().compacted();
            inner.topics.seats().filter_map(|seat| seat.fall_behind(seen)).collect()
        };
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Events after `after` within `scope`: in order, none missed, none twice, one batch per transaction.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] where the window no longer reaches back to `after`.
    pub fn watch(&self, scope: Scope, after: Revision) -> Result<Watch, WatchError> {
        let inner = &mut *self.0.lock();
        if after < inner.compacted {
            return Err(WatchError::Compacted { wanted: after, oldest: inner.compacted });
        }
        let seat = Arc::new(Seat::new(inner.next_seat, scope, after));
        inner.next_seat += 1;
        inner.topics.insert(seat.clone());
        Ok(Watcher::new(self.clone(), seat).boxed())
    }

    /// A view that can be read, rolled back to an earlier revision as [`View::as_of`] does; `None` where the window
    /// no longer reaches back to it.
    #[must_use]
    pub fn as_of(&self, view: &View, revision: Revision) -> Option<View> {
        if revision == view.revision() {
            return Some(view.clone());
        }
        let window = {
            let inner = self.0.lock();
            (revision >= inner.compacted).then(|| inner.window.clone())?
        };
        view.as_of(revision, &window)
    }

    /// Ends all watches, after what they have buffered, with [`WatchError::Disconnected`]; new ones may start.
    pub fn disconnect_all(&self) {
        let topics = std::mem::take(&mut self.0.lock().topics);
        let wakers: Vec<_> = topics.seats().filter_map(|seat| seat.end(WatchError::Disconnected)).collect();
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Watches open.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.0.lock().topics.seats().count()
    }
}

#[cfg(test)]
mod tests;
