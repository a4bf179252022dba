//! The control endpoint: one UDP socket, over which this node dials members and serves them. Main type: [`Endpoint`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use quinn::VarInt;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    Channel, Dial, DialError, Identity, Method, NodeId, PeerTable, Protocol, Serve,
    accept::Acceptor,
    admit::Admission,
    pool::Pool,
    socket::{Adapter, Datagrams},
    tls::{self, Credentials},
    transport::{self, CONNECTION_WINDOW_UNJUDGED, STREAMS_UNJUDGED},
};
pub use crate::{
    tls::TlsError,
    transport::{BindError, bind},
};

/// Peers hear of a close within so long, or find out by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What an endpoint needs to know.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Its certificate in DER, for its identity's key.
    pub certificate: Vec<u8>,
    /// The certificate in DER of the node authority that signed it; joiners check it against their token.
    pub authority: Vec<u8>,
    /// Who the members are.
    pub peers: Arc<PeerTable>,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Certificate and key do not fit.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The socket cannot be used.
    #[error("the control socket cannot be used")]
    Socket(#[source] io::Error),
}

/// A handle; clones share the endpoint, which closes with the last of them.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Arc<Identity>,
    credentials: Arc<Credentials>,
    endpoint: quinn::Endpoint,
    pool: Arc<Pool>,
    acceptor: Arc<Acceptor>,
    tasks: [JoinHandle<()>; 2],
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.shared.identity.id())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn stop(&self) {
        self.endpoint.close(VarInt::from_u32(0), b"closing");
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Endpoint {
    /// Starts on a bound socket; see [`bind`]. Must run within a tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn start(config: EndpointConfig, socket: std::net::UdpSocket) -> Result<Self, EndpointError> {
        use quinn::Runtime;
        let socket = quinn::TokioRuntime.wrap_udp_socket(socket).map_err(EndpointError::Socket)?;
        Self::start_on(config, socket)
    }

    /// Starts on anything that carries datagrams, as a simulated network does.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn start_over(config: EndpointConfig, datagrams: Arc<dyn Datagrams>) -> Result<Self, EndpointError> {
        Self::start_on(config, Arc::new(Adapter(datagrams)))
    }

    fn start_on(config: EndpointConfig, socket: Arc<dyn quinn::AsyncUdpSocket>) -> Result<Self, EndpointError> {
        let credentials = Credentials::new(vec![config.certificate, config.authority], config.identity.key())?;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls::server(credentials.clone(), tls::CONTROL)?));
        server.transport_config(transport::config(STREAMS_UNJUDGED, CONNECTION_WINDOW_UNJUDGED));
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            transport::endpoint_config(&config.identity),
            Some(server),
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .map_err(EndpointError::Socket)?;
        let pool = Arc::new(Pool::new(endpoint.clone(), config.peers.clone(), credentials.clone()));
        let acceptor = Arc::new(Acceptor::new(config.peers.clone()));
        let tasks = [
            tokio::spawn(acceptor.clone().run(endpoint.clone())),
            tokio::spawn(sweep_on_change(config.peers, pool.clone())),
        ];
        let shared = Shared { identity: config.identity, credentials, endpoint, pool, acceptor, tasks };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.shared.identity.id()
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the socket does not know.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.shared.endpoint.local_addr()
    }

    /// Serves a protocol from now on; a second handler replaces the first for new streams.
    /// [`Protocol::Join`] is served by [`Endpoint::admit`] alone.
    pub fn serve(&self, protocol: Protocol, handler: Arc<dyn Serve>) {
        self.shared.acceptor.serve(protocol, handler);
    }

    /// Answers joiners from now on.
    pub fn admit(&self, admission: Arc<dyn Admission>) {
        self.shared.acceptor.admit(admission);
    }

    /// Shows a renewed certificate from the next handshake on; connections stand.
    ///
    /// # Errors
    /// [`TlsError`] where it is not for this node's key; the old one stays.
    pub fn set_certificate(&self, certificate: Vec<u8>, authority: Vec<u8>) -> Result<(), TlsError> {
        self.shared.credentials.replace(vec![certificate, authority], self.shared.identity.key())
    }

    /// The member that told this node that it was removed from the cluster, once one did. Removal is for ever.
    pub fn dismissed(&self) -> watch::Receiver<Option<NodeId>> {
        self.shared.pool.dismissed()
    }

    /// Tells all peers goodbye and ends all exchanges. The endpoint is then of no more use.
    pub async fn close(&self) {
        self.shared.stop();
        let _ = timeout(CLOSE_TIMEOUT, self.shared.endpoint.wait_idle()).await;
    }
}

impl Dial for Endpoint {
    fn open(&self, to: NodeId, protocol: Protocol, method: Method) -> BoxFuture<'_, Result<Channel, DialError>> {
        self.shared.pool.open(to, protocol, method).boxed()
    }
}

async fn sweep_on_change(peers: Arc<PeerTable>, pool: Arc<Pool>) {
    let mut changes = peers.changes();
    while changes.changed().await.is_ok() {
        pool.sweep();
    }
}

#[cfg(test)]
mod tests;
