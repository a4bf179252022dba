//! One direction of a byte stream between two hosts: what was written on the one arrives on the other in its order, after
//! a time that [`Wire`] draws. Main types: [`Reader`], [`Writer`].

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::{Cargo, Wire};

/// Bytes written that nobody has read yet, of one direction; a writer waits above it. As much as a QUIC stream's window.
const WINDOW_BYTES: usize = 1 << 20;

/// What both ends of a direction share.
#[derive(Debug, Default)]
pub(crate) struct Pipe(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    arrived: VecDeque<Bytes>,
    /// Written and not read.
    under_way: usize,
    /// When the last that was sent arrives: what follows does not overtake it.
    due: Duration,
    finished: bool,
    reset: bool,
    /// Nobody reads any more.
    deaf: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// When what would arrive at `due` arrives, if it does not overtake what was sent before.
    pub(crate) fn in_order(&self, due: Duration) -> Duration {
        let mut state = self.0.lock();
        state.due = state.due.max(due);
        state.due
    }

    /// These bytes are there; returns whether somebody may still read them.
    pub(crate) fn arrive(&self, bytes: Bytes) -> bool {
        self.change(|state| {
            state.arrived.push_back(bytes);
            !state.deaf
        })
    }

    /// No more bytes follow.
    pub(crate) fn finish(&self) {
        self.change(|state| state.finished = true);
    }

    /// Nobody at the other end knows this stream.
    pub(crate) fn reset(&self) {
        self.change(|state| {
            state.reset = true;
            state.writer.take().into_iter().for_each(Waker::wake);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock();
        let result = change(&mut state);
        state.reader.take().into_iter().for_each(Waker::wake);
        result
    }
}

/// The end at which bytes arrive.
#[derive(Debug)]
pub(crate) struct Reader(pub(crate) Arc<Pipe>);

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.0.lock();
        if state.arrived.is_empty() {
            return match (state.finished, state.reset) {
                (true, _) => Poll::Ready(Ok(())),
                (_, true) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                _ => {
                    state.reader = Some(task.waker().clone());
                    Poll::Pending
                }
            };
        }
        while let Some(first) = state.arrived.front_mut().filter(|_| buffer.remaining() > 0) {
            let length = first.len().min(buffer.remaining());
            buffer.put_slice(&first[..length]);
            first.advance(length);
            if first.is_empty() {
                state.arrived.pop_front();
            }
            state.under_way -= length;
        }
        state.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.lock().deaf = true;
    }
}

/// The end from which bytes leave. Dropping it ends the stream, as far as the network lets the other end know.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) wire: Wire,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) finished: bool,
}

impl Writer {
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.wire.send(self.from, self.to, Cargo::Finish(self.pipe.clone()));
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        {
            let mut state = self.pipe.0.lock();
            if state.reset || self.finished {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if state.under_way >= WINDOW_BYTES {
                state.writer = Some(task.waker().clone());
                return Poll::Pending;
            }
            state.under_way += bytes.len();
        }
        self.wire.send(self.from, self.to, Cargo::Bytes(self.pipe.clone(), Bytes::copy_from_slice(bytes)));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.finish();
    }
}
