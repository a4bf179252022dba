//! What a pod says, on its way to the client: an answer's body, or a connection that is HTTP's no longer. Main items: [`body`], [`join`].

use std::{io, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::Response;
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Incoming},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    super::{IDLE_TIMEOUT, session::Idle},
    Kept,
};
use crate::{http::body::ReplyBody, shared::Shared};

/// Bytes read at once of a connection.
const READ_BYTES: usize = 32 << 10;

/// The body of a pod's answer, as it comes.
pub(super) fn body(shared: &Shared, mut response: Response<Incoming>) -> ReplyBody {
    let kept = response.extensions_mut().remove::<Arc<Kept>>();
    let body = response.into_body();
    if body.is_end_stream() {
        return ReplyBody::from(Vec::new());
    }
    let state = Some((body, shared.closing.clone(), kept));
    let parts = stream::unfold(state, |state| async move {
        let (mut body, closing, kept) = state?;
        match next(&mut body, &closing).await {
            Ok(part) => part.map(|part| (Ok(part), Some((body, closing, kept)))),
            Err(error) => Some((Err(error), None)),
        }
    });
    ReplyBody::Relayed(parts.boxed())
}

/// The next part of a body; `None` at its end.
async fn next(body: &mut Incoming, closing: &CancellationToken) -> io::Result<Option<Bytes>> {
    loop {
        let frame = tokio::select! {
            frame = timeout(IDLE_TIMEOUT, body.frame()) => frame.map_err(io::Error::from)?,
            () = closing.cancelled() => return Err(io::Error::other("the server stops")),
        };
        match frame {
            None => return Ok(None),
            // What comes after the data is not carried on.
            Some(frame) => match frame.map_err(io::Error::other)?.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_) => continue,
            },
        }
    }
}

/// Joins the client's connection to the pod's, once both are HTTP's no longer.
pub(super) fn join(shared: &Shared, client: OnUpgrade, mut response: Response<Incoming>) -> ReplyBody {
    let kept = response.extensions_mut().remove::<Arc<Kept>>();
    let pod = hyper::upgrade::on(response);
    let closing = shared.closing.clone();
    tokio::spawn(async move {
        let _kept = kept;
        let joined = async {
            let (client, pod) = tokio::try_join!(client, pod).map_err(io::Error::other)?;
            both_ways(TokioIo::new(client), TokioIo::new(pod)).await
        };
        tokio::select! {
            ended = joined => drop(ended.inspect_err(|error| debug!(%error, "upgraded connection broke"))),
            () = closing.cancelled() => {}
        }
    });
    ReplyBody::from(Vec::new())
}

/// Carries bytes until both sides have said all, or nothing has moved for long.
async fn both_ways(one: impl AsyncRead + AsyncWrite, other: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let ((from_one, to_one), (from_other, to_other)) = (tokio::io::split(one), tokio::io::split(other));
    let idle = Idle::new();
    let carrying = async { tokio::try_join!(carry(from_one, to_other, &idle), carry(from_other, to_one, &idle)) };
    tokio::select! {
        ended = carrying => ended.map(|_| ()),
        () = idle.expired() => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, idle: &Idle) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    while from.read_buf(&mut buffer).await? > 0 {
        idle.touch();
        to.write_all(&buffer).await?;
        to.flush().await?;
        buffer.clear();
    }
    to.shutdown().await
}
