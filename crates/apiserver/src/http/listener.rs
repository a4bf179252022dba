//! Takes connections, from a TCP listener and from a channel of byte streams that other nodes pipe here,
//! up to a bound; ends them gracefully.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::connection::{Handler, Patience, serve};

/// Pause after a failed `accept` (out of file descriptors, say), so that it does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Bytes in both directions, whatever carries them.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// A stream another part of the node hands over: TLS bytes as the client sent them.
pub type BoxStream = Box<dyn Stream>;

/// Every connection of one server.
pub struct Acceptor<H> {
    handler: Arc<H>,
    tls: ArcSwap<ServerConfig>,
    patience: Patience,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<H: Handler> Acceptor<H> {
    /// Serves at most `max_connections` at a time with `handler`.
    pub fn new(handler: Arc<H>, tls: ServerConfig, patience: Patience, max_connections: usize) -> Self {
        Self {
            handler,
            tls: ArcSwap::from_pointee(tls),
            patience,
            places: Arc::new(Semaphore::new(max_connections)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// New connections use this from now on.
    pub fn set_tls(&self, tls: ServerConfig) {
        self.tls.store(Arc::new(tls));
    }

    /// Takes connections until [`Self::stop`].
    pub async fn accept(&self, listener: TcpListener) {
        loop {
            let Some(place) = self.place().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, address)) => self.spawn_tcp(tcp, address, place),
                Err(error) => {
                    warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Takes streams handed over by other parts of the node until the channel closes or [`Self::stop`].
    pub async fn accept_streams(&self, mut streams: mpsc::Receiver<BoxStream>) {
        loop {
            let Some(place) = self.place().await else { return };
            tokio::select! {
                stream = streams.recv() => match stream {
                    Some(stream) => self.spawn(stream, None, place),
                    None => return,
                },
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Serves one stream to its end.
    pub async fn serve_stream(&self, stream: impl Stream) {
        let Some(_place) = self.place().await else { return };
        let tls = self.tls.load_full();
        serve(Arc::clone(&self.handler), stream, None, tls, self.patience, self.stop.clone()).await;
    }

    /// Ends all connections after their requests in flight, at the latest after `grace`.
    pub async fn stop(&self, grace: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            info!(connections = self.tasks.len(), "connections cut after {grace:?}");
        }
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            place = Arc::clone(&self.places).acquire_owned() => place.ok(),
            () = self.stop.cancelled() => None,
        }
    }

    fn spawn_tcp(&self, tcp: TcpStream, address: SocketAddr, place: OwnedSemaphorePermit) {
        if let Err(error) = tcp.set_nodelay(true) {
            warn!(%error, "TCP_NODELAY not set");
        }
        self.spawn(tcp, Some(address), place);
    }

    fn spawn(&self, stream: impl Stream, address: Option<SocketAddr>, place: OwnedSemaphorePermit) {
        let (handler, tls) = (Arc::clone(&self.handler), self.tls.load_full());
        let (patience, stop) = (self.patience, self.stop.clone());
        self.tasks.spawn(async move {
            serve(handler, stream, address, tls, patience, stop).await;
            drop(place);
        });
    }
}

impl<H> std::fmt::Debug for Acceptor<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("connections", &self.tasks.len()).finish_non_exhaustive()
    }
}
