//! Metrics of the API server, under upstream's names.
//! Spec: <https://kubernetes.io/docs/reference/instrumentation/metrics/>.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::route::{Target, Verb};

/// Upper bounds of the duration buckets, in seconds; a subset of upstream's.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.025, 0.05, 0.1, 0.2, 0.6, 1.0, 5.0, 30.0];

/// Labels of a request. All values come from tables, so their number is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
}

/// The same with the answer's code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Coded {
    code: u16,
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
}

/// Counters of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Coded, Counter>,
    durations: Family<Labels, Histogram>,
    watches: Gauge,
    in_flight: Family<Lane, Gauge>,
}

/// Requests are bounded in two lanes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lane {
    request_kind: &'static str,
}

/// Counts a running watch until it is dropped.
#[derive(Debug)]
pub struct Watching(Arc<Gauge>);

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<Coded, Counter>::default();
        let durations = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let watches = Gauge::default();
        // The text format appends `_total` to a counter's name.
        registry.register("apiserver_request", "Requests by verb, resource and code", requests.clone());
        registry.register("apiserver_request_duration_seconds", "Time to answer", durations.clone());
        registry.register("apiserver_longrunning_requests", "Watches that are open", watches.clone());
        let in_flight = Family::<Lane, Gauge>::default();
        registry.register("apiserver_current_inflight_requests", "Requests being answered", in_flight.clone());
        Self { registry: Mutex::new(registry), requests, durations, watches, in_flight }
    }
}

impl Metrics {
    /// Lets others of the node register theirs.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock());
    }

    /// Counts one answered request.
    pub(crate) fn observe(&self, target: Option<&Target>, verb: Option<Verb>, code: u16, took: Duration) {
        let verb = verb.map_or("", Verb::as_str);
        let (group, version, resource) = target.map_or(("", "", ""), |t| (t.kind.group, t.kind.version, t.kind.plural));
        let subresource = target.and_then(|t| t.sub).map_or("", |s| s.name);
        self.requests.get_or_create(&Coded { code, verb, group, version, resource, subresource }).inc();
        let labels = Labels { verb, group, version, resource, subresource };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a watch.
    pub(crate) fn watching(&self) -> Watching {
        self.watches.inc();
        Watching(Arc::new(self.watches.clone()))
    }

    /// All metrics as text; `reads` and `writes` are in flight now.
    #[must_use]
    pub fn text(&self, reads: usize, writes: usize) -> String {
        for (request_kind, count) in [("readOnly", reads), ("mutating", writes)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.in_flight.get_or_create(&Lane { request_kind }).set(count);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry.lock()).expect("writing into memory does not fail");
        text
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}
