//! What the server counts. Main type: [`Metrics`].

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Counters of one server; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Questions taken in.
    pub requests: Counter,
    /// Questions answered from the zone.
    pub local: Counter,
    /// Questions answered from the cache.
    pub cached: Counter,
    /// Questions sent to an upstream server.
    pub forwarded: Counter,
    /// Questions that no upstream server answered.
    pub failed: Counter,
    /// Packets that were no questions, and questions for which there was no room.
    pub dropped: Counter,
    /// Connections over TCP taken in.
    pub connections: Counter,
}

impl Metrics {
    /// Puts them onto a registry; names begin with `mesh_dns_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("mesh_dns");
        registry.register("requests", "Questions taken in", self.requests.clone());
        registry.register("local", "Questions answered from the zone", self.local.clone());
        registry.register("cached", "Questions answered from the cache", self.cached.clone());
        registry.register("forwarded", "Questions sent upstream", self.forwarded.clone());
        registry.register("failed", "Questions that nobody upstream answered", self.failed.clone());
        registry.register("dropped", "Packets and questions dropped", self.dropped.clone());
        registry.register("connections", "Connections taken in", self.connections.clone());
    }
}
