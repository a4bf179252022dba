//! One client connection: TLS handshake, then HTTP/1.1 or HTTP/2 until either side ends it.
//! A panic while answering a request becomes the handler's `on_panic` answer; the connection lives on.

use std::{convert::Infallible, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    body::ReplyBody,
    gather::{Gather, drive},
};

/// Requests one HTTP/2 connection may have open; client-go multiplexes every watch over one connection.
const MAX_STREAMS: u32 = 1000;

/// HTTP/2 pings of a quiet connection, so that a client gone without a word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// HTTP/2 receive window of a stream: small, since request bodies are.
const STREAM_WINDOW: u32 = 256 << 10;

/// HTTP/2 receive window of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Bytes of one answer kept ready for a slow HTTP/2 client.
const SEND_BUFFER: usize = 256 << 10;

/// Bytes of request head, as Go's `net/http` allows.
const MAX_HEAD_BYTES: usize = 1 << 20;

/// What is known of the other end before its first request.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Where it connected from, if by TCP.
    pub address: Option<SocketAddr>,
    /// The client certificate the handshake has verified, leaf first.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// What it remembers of a connection, made once after the handshake.
    type Session: Send + Sync + 'static;

    /// Meets a new connection.
    fn connected(&self, peer: Peer) -> Self::Session;

    /// Answers one request.
    fn answer(
        self: Arc<Self>,
        session: Arc<Self::Session>,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Response<ReplyBody>>;

    /// The answer where `answer` panicked.
    fn on_panic(&self) -> Response<ReplyBody>;
}

/// How long a connection may take over its steps.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// TLS handshake.
    pub handshake: Duration,
    /// A request's head; the first one's counts from the handshake.
    pub header: Duration,
}

/// Serves one connection until it ends; `stop` ends it after the requests in flight.
pub async fn serve<H: Handler>(
    handler: Arc<H>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: Option<SocketAddr>,
    tls: Arc<ServerConfig>,
    patience: Patience,
    stop: CancellationToken,
) {
    let handshake = tokio::time::timeout(patience.handshake, TlsAcceptor::from(tls).accept(io));
    let stream = tokio::select! {
        done = handshake => match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(%error, ?address, "TLS handshake failed"),
            Err(_) => return debug!(?address, "TLS handshake timed out"),
        },
        () = stop.cancelled() => return,
    };
    let certificates =
        stream.get_ref().1.peer_certificates().map(|c| c.iter().cloned().map(CertificateDer::into_owned).collect());
    let session = Arc::new(handler.connected(Peer { address, certificates: certificates.unwrap_or_default() }));
    let asked = CancellationToken::new();
    let first = asked.clone();
    let service = service_fn(move |request| {
        first.cancel();
        guarded(Arc::clone(&handler), Arc::clone(&session), request)
    });
    let builder = builder(patience.header);
    let gather = Gather::new(stream);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(gather.clone()), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = drive(connection.as_mut(), &gather) => ended,
        () = dawdled(patience.header, &asked) => return debug!(?address, "no request came"),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drive(connection.as_mut(), &gather).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, ?address, "connection broke");
    }
}

/// Resolves where no first request has come in time: before it, the HTTP library has no time-out of its own.
async fn dawdled(patience: Duration, asked: &CancellationToken) {
    if tokio::time::timeout(patience, asked.cancelled()).await.is_ok() {
        std::future::pending().await
    }
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

async fn guarded<H: Handler>(
    handler: Arc<H>,
    session: Arc<H::Session>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let answer = AssertUnwindSafe(Arc::clone(&handler).answer(session, request));
    Ok(answer.catch_unwind().await.unwrap_or_else(|_| handler.on_panic()))
}
