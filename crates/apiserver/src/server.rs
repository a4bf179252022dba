//! The API server as the node sees it. Main type: [`ApiServer`].

use std::{sync::Arc, time::Duration};

use rustls::pki_types::CertificateDer;
use store::Storage;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    allocate::{PoolError, Pools},
    authz,
    client::Client,
    config::{Config, ConfigError},
    health::{Health, Probe},
    http::{
        connection::Patience,
        listener::{Acceptor, BoxStream, Stream},
        tls::{TlsError, server_config},
    },
    metrics::Metrics,
    secrets::Secrets,
    serve::Front,
    shared::Shared,
    streams::Kubelets,
    tokens::{Tokens, TokensError},
};

/// Streams from other parts of the node that may wait for a place.
pub const STREAM_QUEUE: usize = 64;

/// One API server. Clones share everything.
#[derive(Clone, Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    acceptor: Arc<Acceptor<Front>>,
}

/// Why an API server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate or key cannot work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ranges of Services cannot work.
    #[error(transparent)]
    Pools(#[from] PoolError),
    /// The key that signs ServiceAccount tokens cannot work.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

impl ApiServer {
    /// Checks and puts together; binds nothing, spawns nothing.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(storage: Arc<dyn Storage>, config: Config, secrets: &Secrets) -> Result<Self, StartError> {
        config.check()?;
        let tls = server_config(secrets)?;
        let tokens = Tokens::new(&config, &secrets.token_key_pem)?;
        let patience = Patience {
            handshake: Duration::from_secs(config.handshake_timeout_seconds),
            header: Duration::from_secs(config.header_timeout_seconds),
        };
        let max_connections = config.max_connections;
        let pools = Pools::new(&config.service_ranges, &config.service_node_ports)?;
        let shared = Arc::new(Shared::new(storage, config, pools, tokens, secrets.serving_ca_pem.clone()));
        add_checks(&shared);
        let front = Arc::new(Front(Arc::clone(&shared)));
        Ok(Self { acceptor: Arc::new(Acceptor::new(front, tls, patience, max_connections)), shared })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Serves until `stop`, then drains. `streams` carries connections that other parts of the node hand over.
    pub async fn run(&self, listener: TcpListener, streams: mpsc::Receiver<BoxStream>, stop: CancellationToken) {
        tokio::join!(self.acceptor.accept(listener), self.acceptor.accept_streams(streams), self.attend(stop));
    }

    /// Everything beside accepting connections, until `stop`; then drains those of [`Self::serve_stream`]. For a node
    /// that accepts connections itself.
    pub async fn attend(&self, stop: CancellationToken) {
        let follower = tokio::spawn(authz::follow(Arc::clone(&self.shared)));
        stop.cancelled().await;
        self.shared.closing.cancel();
        self.acceptor.stop(Duration::from_secs(self.shared.config.drain_timeout_seconds)).await;
        follower.abort();
    }

    /// Serves one stream of TLS bytes to its end.
    pub async fn serve_stream(&self, stream: impl Stream) {
        self.acceptor.serve_stream(stream).await;
    }

    /// Keeps what requests are decided by (the RBAC index) equal to the store; part of [`Self::run`], for those who
    /// use only the [`Client`].
    pub async fn follow(&self) {
        authz::follow(Arc::clone(&self.shared)).await;
    }

    /// New connections are met with these from now on.
    ///
    /// # Errors
    /// Where they cannot work; nothing changes then.
    pub fn set_serving(&self, secrets: &Secrets) -> Result<(), TlsError> {
        self.acceptor.set_tls(server_config(secrets)?);
        Ok(())
    }

    /// The same pipeline, without HTTP.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.shared))
    }

    /// From now on streams of pods come from there; the first call counts.
    pub fn reach(&self, kubelets: Arc<dyn Kubelets>) {
        self.shared.streams.reach(kubelets);
    }

    /// Where others of the node add their checks.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.shared.health
    }

    /// Where others of the node register their metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

/// Certificates in DER from PEM text; what is no certificate is skipped.
#[must_use]
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

fn add_checks(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    let storage = move || {
        let shared = weak.upgrade();
        let check: futures::future::BoxFuture<'static, Result<(), String>> = Box::pin(async move {
            let Some(shared) = shared else { return Err("stopped".to_owned()) };
            let read = shared.storage.read(store::Freshness::Linearizable).await;
            read.map(|_| ()).map_err(|e| e.to_string())
        });
        check
    };
    shared.health.add("storage", Probe::Ready, Arc::new(storage));
    let weak = Arc::downgrade(shared);
    let rbac = move || {
        let built = weak.upgrade().is_some_and(|shared| shared.rules.is_built());
        let check: futures::future::BoxFuture<'static, Result<(), String>> =
            Box::pin(async move { if built { Ok(()) } else { Err("not built yet".to_owned()) } });
        check
    };
    shared.health.add("poststarthook/rbac/bootstrap-roles", Probe::Ready, Arc::new(rbac));
    let weak = Arc::downgrade(shared);
    let shutdown = move || {
        let closing = weak.upgrade().is_none_or(|shared| shared.closing.is_cancelled());
        let check: futures::future::BoxFuture<'static, Result<(), String>> =
            Box::pin(async move { if closing { Err("process is shutting down".to_owned()) } else { Ok(()) } });
        check
    };
    shared.health.add("shutdown", Probe::Ready, Arc::new(shutdown));
}
