//! Bodies: what an answer sends, and how a request's is read within bounds.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::BoxStream};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};

/// Largest request body, as upstream: what etcd took, doubled, plus head-room for base64.
pub const MAX_BODY_BYTES: usize = 3 << 20;

/// An answer's body.
pub enum ReplyBody {
    /// Known bytes, sent at once.
    Full(Bytes),
    /// Chunks as they are made (lists, watches). Each is flushed on its own.
    Stream(BoxStream<'static, Bytes>),
    /// What somebody else says, who may break off: then the client's connection breaks too.
    Relayed(BoxStream<'static, io::Result<Bytes>>),
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => f.debug_tuple("Full").field(&bytes.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Relayed(_) => f.write_str("Relayed"),
        }
    }
}

impl From<Vec<u8>> for ReplyBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Full(bytes.into())
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(stream) => stream.poll_next_unpin(cx).map(|chunk| chunk.map(|c| Ok(Frame::data(c)))),
            Self::Relayed(stream) => stream.poll_next_unpin(cx).map(|chunk| chunk.map(|c| c.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) | Self::Relayed(_) => SizeHint::default(),
        }
    }
}

/// Why a request's body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than [`MAX_BODY_BYTES`]: 413.
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// The client was too slow: 408.
    #[error("the body did not arrive within {0:?}")]
    Slow(Duration),
    /// The connection broke.
    #[error("the body broke off: {0}")]
    Broken(String),
}

/// Reads a whole body, at most [`MAX_BODY_BYTES`] in at most `timeout`.
///
/// # Errors
/// See [`BodyError`].
pub async fn read<B>(body: B, timeout: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(BodyError::TooLarge);
    }
    tokio::time::timeout(timeout, collect(body)).await.map_err(|_| BodyError::Slow(timeout))?
}

/// Joins the frames; a body of one frame is not copied.
async fn collect<B>(mut body: B) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|e| BodyError::Broken(e.to_string()))?.into_data() else { continue };
        if first.len() + joined.len() + data.len() > MAX_BODY_BYTES {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(chunks: &[usize], expect: Result<usize, BodyError>) {
        let chunks: Vec<Bytes> = chunks.iter().map(|n| Bytes::from(vec![b'x'; *n])).collect();
        let body = ReplyBody::Stream(futures::stream::iter(chunks).boxed());
        assert_eq!(read(body, Duration::from_secs(1)).await.map(|b| b.len()), expect);
    }

    #[tokio::test]
    async fn joins_what_fits_and_refuses_what_does_not() {
        check(&[], Ok(0)).await;
        check(&[5], Ok(5)).await;
        check(&[5, 0, 7], Ok(12)).await;
        check(&[MAX_BODY_BYTES], Ok(MAX_BODY_BYTES)).await;
        check(&[MAX_BODY_BYTES, 1], Err(BodyError::TooLarge)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_slow_client() {
        let body = ReplyBody::Stream(futures::stream::pending().boxed());
        let timeout = Duration::from_secs(3);
        assert_eq!(read(body, timeout).await, Err(BodyError::Slow(timeout)));
    }
}
