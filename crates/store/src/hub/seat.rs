//! One watcher's place in the hub: its buffer and how far it is. Main type: [`Seat`].
//!
//! A seat is either live (the hub puts batches into its buffer) or behind (it reads them from the window, when it
//! is polled). Overflow makes it drop its buffer and fall behind, so a stalled watcher keeps nothing alive.
//! Locks are taken in the order hub, seat.

use std::{collections::VecDeque, task::Poll, task::Waker};

use parking_lot::Mutex;

use super::topics::within;
use crate::{Batch, Revision, Scope, WatchError, Window};

/// Transactions a live watcher may leave unread: some 10 ms of a busy cluster. More is read from the window.
pub(super) const BUFFERED_BATCHES: usize = 64;

/// Transactions of the window looked through per poll, so that catching up holds the hub's lock for microseconds.
const SCANNED_BATCHES: usize = 512;

/// A watcher as the hub sees it.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    scope: Scope,
    /// Only what comes after this was asked for.
    after: Revision,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    buffer: VecDeque<Batch>,
    /// Behind: everything up to here is delivered, buffered or out of scope. `None` while live.
    behind: Option<Revision>,
    ended: Option<WatchError>,
    waker: Option<Waker>,
}

impl Seat {
    pub(super) fn new(id: u64, scope: Scope, after: Revision) -> Self {
        let inner = Inner { buffer: VecDeque::new(), behind: Some(after), ended: None, waker: None };
        Self { id, scope, after, inner: Mutex::new(inner) }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Buffers a batch where the watcher is live; returns whom to wake.
    pub(super) fn deliver(&self, batch: &Batch) -> Option<Waker> {
        let mut inner = self.inner.lock();
        if inner.behind.is_some() || inner.ended.is_some() || batch[0].revision <= self.after {
            return None;
        }
        if inner.buffer.len() < BUFFERED_BATCHES {
            inner.buffer.push_back(batch.clone());
            return inner.waker.take();
        }
        // Nothing in scope lies between what was delivered and the first batch buffered.
        inner.behind = inner.buffer.front().map(|first| Revision(first[0].revision.0 - 1));
        inner.buffer = VecDeque::new();
        inner.waker.take()
    }

    /// The window was replaced, and a live watcher has been shown everything up to `seen`.
    pub(super) fn fall_behind(&self, seen: Revision) -> Option<Waker> {
        let mut inner = self.inner.lock();
        inner.behind.get_or_insert(seen.max(self.after));
        inner.waker.take()
    }

    /// Ends the watch after what is buffered.
    pub(super) fn end(&self, error: WatchError) -> Option<Waker> {
        let mut inner = self.inner.lock();
        inner.ended.get_or_insert(error);
        inner.waker.take()
    }

    /// The next item; notes the waker where there is nothing to do.
    pub(super) fn poll_buffer(&self, waker: &Waker) -> Buffered {
        let mut inner = self.inner.lock();
        if let Some(batch) = inner.buffer.pop_front() {
            if inner.buffer.is_empty() {
                inner.buffer = VecDeque::new();
            }
            return Buffered::Batch(batch);
        }
        if let Some(error) = &inner.ended {
            return Buffered::Ended(error.clone());
        }
        if inner.behind.is_some() {
            return Buffered::Behind;
        }
        inner.waker = Some(waker.clone());
        Buffered::Empty
    }

    /// Reads on from the window, called under the hub's lock. Ready: poll the buffer again. Pending: only a part of
    /// the window was looked through, and nothing found.
    pub(super) fn catch_up(&self, window: &Window, compacted: Revision) -> Poll<()> {
        let mut inner = self.inner.lock();
        let Some(mut reached) = inner.behind else { return Poll::Ready(()) };
        if reached < compacted {
            inner.ended.get_or_insert(WatchError::Lagged);
            return Poll::Ready(());
        }
        for (scanned, batch) in window.after(reached).enumerate() {
            if scanned == SCANNED_BATCHES || inner.buffer.len() == BUFFERED_BATCHES {
                inner.behind = Some(reached);
                return if inner.buffer.is_empty() { Poll::Pending } else { Poll::Ready(()) };
            }
            inner.buffer.extend(within(&self.scope, batch));
            reached = batch[0].revision;
        }
        inner.behind = None;
        Poll::Ready(())
    }
}

/// What a watcher finds in its seat.
#[derive(Debug)]
pub(super) enum Buffered {
    /// A transaction.
    Batch(Batch),
    /// Nothing, and nothing to come but this.
    Ended(WatchError),
    /// Nothing here, but perhaps in the window.
    Behind,
    /// Nothing new; the waker is noted.
    Empty,
}
