//! Joins what a connection writes in one turn into few TLS records and system calls. Main type: [`Gather`].
//!
//! The HTTP/2 library flushes after each frame of data, which for a hundred watches on a connection makes a hundred
//! system calls of one event. Here a flush only takes note; [`drive`] sends once the connection has no more to say.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that wait at most: four full TLS records.
const MAX_WAITING: usize = 64 << 10;

/// A stream whose writes wait for each other. Clones share it: one is the connection's, the other its driver's.
#[derive(Debug)]
pub(super) struct Gather<S>(Arc<Mutex<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    waiting: BytesMut,
    /// Nobody drives it any more (its connection was upgraded): a flush sends.
    direct: bool,
}

impl<S> Clone for Gather<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Gather<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, waiting: BytesMut::new(), direct: false })))
    }
}

/// Runs a connection over `gather` to its end. After each wake it lets a turn of the scheduler pass, so that all its
/// streams that are ready write before it sends.
pub(super) async fn drive<S, F, E>(mut connection: Pin<&mut F>, gather: &Gather<S>) -> Result<(), E>
where
    S: AsyncWrite + Unpin,
    F: Future<Output = Result<(), E>>,
    E: From<io::Error>,
{
    let mut waited = false;
    let turn = poll_fn(move |context| {
        waited = !waited;
        if waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let ended = connection.as_mut().poll(context);
        let mut inner = gather.0.lock();
        inner.direct = ended.is_ready();
        match (ended, inner.poll_sent(context)) {
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (ended, _) => ended,
        }
    });
    turn.await
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drained(context))?;
        self.waiting = BytesMut::new();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_gather(&mut self, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= MAX_WAITING {
            ready!(self.poll_drained(context))?;
        }
        let before = self.waiting.len();
        for part in parts {
            let room = MAX_WAITING - self.waiting.len();
            self.waiting.extend_from_slice(&part[..part.len().min(room)]);
        }
        Poll::Ready(Ok(self.waiting.len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_gather(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_gather(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        if inner.direct { inner.poll_sent(context) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_drained(context))?;
        Pin::new(&mut inner.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn check(writes: usize, size: usize) {
        let (near, mut far) = duplex(1 << 10);
        let gather = Gather::new(near);
        let mut stream = gather.clone();
        let connection = async move {
            for n in 0..writes {
                stream.write_all(&vec![n as u8; size]).await?;
                stream.flush().await?;
            }
            stream.shutdown().await
        };
        let reader = tokio::spawn(async move {
            let mut read = Vec::new();
            far.read_to_end(&mut read).await.map(|_| read)
        });
        tokio::pin!(connection);
        drive(connection.as_mut(), &gather).await.unwrap();
        let expect: Vec<u8> = (0..writes).flat_map(|n| vec![n as u8; size]).collect();
        assert_eq!(reader.await.unwrap().unwrap(), expect);
    }

    #[tokio::test]
    async fn loses_and_reorders_nothing() {
        check(0, 1).await;
        check(100, 10).await;
        check(3, MAX_WAITING).await;
        check(2, MAX_WAITING + 1).await;
        check(200, 1500).await;
    }

    #[tokio::test]
    async fn sends_when_the_connection_rests_and_at_once_when_nobody_drives_it() {
        let (near, mut far) = duplex(1 << 10);
        let gather = Gather::new(near);
        let mut stream = gather.clone();
        let driver = tokio::spawn(async move {
            let (resting, rest) = tokio::sync::oneshot::channel::<()>();
            let connection = async move {
                stream.write_all(b"a").await?;
                stream.flush().await?;
                _ = rest.await;
                io::Result::Ok(())
            };
            tokio::pin!(connection);
            let driven = drive(connection.as_mut(), &gather);
            tokio::pin!(driven);
            let mut answer = [0];
            tokio::select! {
                _ = driven.as_mut() => panic!("it rests"),
                read = far.read_exact(&mut answer) => assert_eq!(read.unwrap(), 1),
            }
            assert_eq!(&answer, b"a");
            resting.send(()).unwrap();
            driven.await.unwrap();
            let mut stream = gather.clone();
            stream.write_all(b"b").await.unwrap();
            stream.flush().await.unwrap();
            far.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"b");
        });
        driver.await.unwrap();
    }
}
