//! What all requests of one server share. Main type: [`Shared`].

use std::sync::Arc;

use store::Storage;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    allocate::Pools, authz::Rules, cache::Cache, config::Config, health::Health, metrics::Metrics, streams::Streams,
    tokens::Tokens,
};

/// State of one server.
#[derive(Debug)]
pub struct Shared {
    /// Where objects are.
    pub storage: Store,
    /// What the operator set.
    pub config: Config,
    /// Encodings made before.
    pub cache: Arc<Cache>,
    /// Who may do what.
    pub rules: Rules,
    /// ServiceAccount tokens: signing and reading them.
    pub tokens: Tokens,
    /// Counters.
    pub metrics: Metrics,
    /// What streams of pods share.
    pub streams: Streams,
    /// What `/readyz` and its kin look at.
    pub health: Health,
    /// Places of reading requests.
    pub reads: Arc<Semaphore>,
    /// Places of writing requests.
    pub writes: Arc<Semaphore>,
    /// What Services are given.
    pub pools: Pools,
    /// Where writers that a quota counts wait for their turn.
    pub lanes: crate::admit::quota::Lanes,
    /// Ends watches when the server stops.
    pub closing: CancellationToken,
    /// The CA clients pin, in PEM.
    pub serving_ca_pem: String,
}

/// The store, with a `Debug` of its own.
#[derive(Clone)]
pub struct Store(pub Arc<dyn Storage>);

impl std::ops::Deref for Store {
    type Target = dyn Storage;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Storage")
    }
}

impl Shared {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        storage: Arc<dyn Storage>,
        config: Config,
        pools: Pools,
        tokens: Tokens,
        serving_ca_pem: String,
    ) -> Self {
        Self {
            storage: Store(storage),
            cache: Arc::new(Cache::new(config.encoding_cache_bytes)),
            rules: Rules::default(),
            tokens,
            metrics: Metrics::default(),
            streams: Streams::default(),
            health: Health::default(),
            reads: Arc::new(Semaphore::new(config.max_reads_in_flight)),
            writes: Arc::new(Semaphore::new(config.max_writes_in_flight)),
            pools,
            lanes: crate::admit::quota::Lanes::default(),
            closing: CancellationToken::new(),
            config,
            serving_ca_pem,
        }
    }
}
