//! The stream that a watch is. Main type: [`Watcher`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use super::seat::{Buffered, Seat};
use super::{Hub, Inner};
use crate::{Batch, WatchError};

/// Yields the batches of one seat; gives the seat back when dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    hub: Hub,
    seat: Arc<Seat>,
    done: bool,
}

impl Watcher {
    pub(super) fn new(hub: Hub, seat: Arc<Seat>) -> Self {
        Self { hub, seat, done: false }
    }
}

impl Stream for Watcher {
    type Item = Result<Batch, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.done {
            match self.seat.poll_buffer(context.waker()) {
                Buffered::Batch(batch) => return Poll::Ready(Some(Ok(batch))),
                Buffered::Empty => return Poll::Pending,
                Buffered::Ended(error) => {
                    self.done = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Buffered::Behind => {
                    let Inner { window, compacted, .. } = &*self.hub.0.lock();
                    if self.seat.catch_up(window, *compacted).is_pending() {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.hub.0.lock().topics.remove(&self.seat);
    }
}
