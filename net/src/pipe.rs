//! TCP pass-through: a node that is no voter pipes its API clients' bytes to one.
//!
//! TLS ends at the voter, so the node in between sees no token and can assert no user. A voter is changed only before
//! the client's first byte is sent: it answers a new stream with one byte, and only then do bytes flow.

use std::{
    collections::BTreeSet,
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Join, ReadBuf, copy_bidirectional_with_sizes, join},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use crate::{Caller, Channel, Dial, Method, NodeId, PeerTable, Protocol, Role, Serve};

/// The one method of [`Protocol::Pipe`].
const PIPE: Method = Method(0);

/// What a voter answers a new stream with: it is served, bytes may flow.
const READY: u8 = 1;

/// A voter that does not answer within so long is passed over.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// TCP connections piped at once by one node: clients on a node's pods and its neighbours. More wait in the backlog.
const PIPES: usize = 1024;

/// Connections of all other nodes that one voter serves at once.
const SERVED: usize = 8192;

/// Bytes held per direction of a pipe.
const BUFFER: usize = 16 << 10;

/// Pause after the system could not accept (out of descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The accepting node's side.
pub struct PipeListener {
    dial: Arc<dyn Dial>,
    peers: Arc<PeerTable>,
    live: watch::Receiver<BTreeSet<NodeId>>,
    next: AtomicUsize,
}

impl fmt::Debug for PipeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PipeListener")
    }
}

impl PipeListener {
    /// Pipes to the voters of `peers`, those that are `live` first.
    pub fn new(dial: Arc<dyn Dial>, peers: Arc<PeerTable>, live: watch::Receiver<BTreeSet<NodeId>>) -> Arc<Self> {
        Arc::new(Self { dial, peers, live, next: AtomicUsize::new(0) })
    }

    /// Accepts and pipes until dropped, which ends the pipes too.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(PIPES));
        let mut pipes = JoinSet::new();
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            while pipes.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let pipe = self.clone().pipe(stream);
                    pipes.spawn(async move {
                        pipe.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    warn!(%error, "connection not accepted, next try in {ACCEPT_PAUSE:?}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Pipes one connection to its end.
    pub async fn pipe(self: Arc<Self>, mut client: TcpStream) {
        let _ = client.set_nodelay(true);
        let Some(mut voter) = self.connect().await else {
            return warn!("no voter takes this node's API connections");
        };
        if let Err(error) = copy_bidirectional_with_sizes(&mut client, &mut voter, BUFFER, BUFFER).await {
            debug!(%error, "pipe broke");
        }
    }

    /// The first voter that is ready.
    async fn connect(&self) -> Option<PipeStream> {
        for voter in self.voters() {
            match timeout(READY_TIMEOUT, self.connect_to(voter)).await {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => debug!(%voter, %error, "voter passed over"),
                Err(_) => debug!(%voter, "voter passed over: no answer within {READY_TIMEOUT:?}"),
            }
        }
        None
    }

    async fn connect_to(&self, voter: NodeId) -> io::Result<PipeStream> {
        let channel = self.dial.open(voter, Protocol::Pipe, PIPE).await.map_err(io::Error::other)?;
        let mut stream = PipeStream::new(channel);
        match stream.read_u8().await? {
            READY => Ok(stream),
            other => Err(io::Error::other(format!("answered {other} instead of {READY}"))),
        }
    }

    /// Live voters before the others, each of both groups first in its turn.
    fn voters(&self) -> Vec<NodeId> {
        let live = self.live.borrow().clone();
        let peers = self.peers.load();
        let voters = peers.iter().filter(|peer| peer.role == Role::Voter).map(|peer| peer.id);
        let (mut first, mut last): (Vec<_>, Vec<_>) = voters.partition(|voter| live.contains(voter));
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        for group in [&mut first, &mut last] {
            let middle = turn % group.len().max(1);
            group.rotate_left(middle);
        }
        first.append(&mut last);
        first
    }
}

/// The bytes of one piped connection, as the voter's TLS acceptor reads and writes them.
pub struct PipeStream(Join<Box<dyn AsyncRead + Send + Sync + Unpin>, Box<dyn AsyncWrite + Send + Sync + Unpin>>);

impl fmt::Debug for PipeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PipeStream")
    }
}

impl PipeStream {
    fn new(channel: Channel) -> Self {
        let (reader, writer) = channel.into_raw();
        Self(join(reader, writer))
    }
}

impl AsyncRead for PipeStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for PipeStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

/// Takes the raw connections that other nodes pipe to this voter: its API server's TLS acceptor.
pub trait AcceptStream: Send + Sync + 'static {
    /// Serves one connection to its end. `from` piped it and says nothing about its user.
    fn accept(&self, from: NodeId, stream: PipeStream) -> BoxFuture<'static, ()>;
}

/// The voter's side: serves [`Protocol::Pipe`].
pub struct PipeServer {
    acceptor: Arc<dyn AcceptStream>,
    slots: Semaphore,
}

impl fmt::Debug for PipeServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PipeServer")
    }
}

impl PipeServer {
    /// Hands every piped connection to `acceptor`.
    pub fn new(acceptor: Arc<dyn AcceptStream>) -> Arc<Self> {
        Arc::new(Self { acceptor, slots: Semaphore::new(SERVED) })
    }
}

impl Serve for PipeServer {
    fn serve(self: Arc<Self>, caller: Caller, _: Method, channel: Channel) -> BoxFuture<'static, ()> {
        async move {
            let Caller::Member(from, _) = caller else { return };
            // Full: the stream ends without the answer, and the other side tries the next voter.
            let Ok(_slot) = self.slots.try_acquire() else { return };
            let mut stream = PipeStream::new(channel);
            if stream.write_u8(READY).await.is_ok() && stream.flush().await.is_ok() {
                self.acceptor.accept(from, stream).await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
