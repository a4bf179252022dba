//! Tells of events through the API, as the kubelet of this node: equal ones are counted, not repeated. Main type: [`Recorder`].
//!
//! Events are hints: where no voter takes them, or too many wait, they are lost, as upstream's are.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>; upstream's correlator in `client-go`.

use ::kubelet::event::PodEvent;
use ::kubelet::model::Pod;
use api::kinds::event::CORE_EVENT;
use api::meta;
use apiserver::client::PatchType;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::debug;

use crate::node_api::Api;
use correlator::{Correlator, Fact, Verdict};

pub mod correlator;

/// Events that wait to be written; upstream's number. More are lost.
const WAITING_MAX: usize = 1000;

/// An event, before it is counted.
#[derive(Clone, Debug)]
pub struct Event {
    /// `involvedObject`.
    pub involved: Value,
    /// Where it is stored.
    pub namespace: String,
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// As `Started`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Takes events. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub struct Recorder {
    waiting: mpsc::Sender<Event>,
}

impl Recorder {
    /// Starts what writes them, until the last clone is dropped.
    pub fn start(api: Api, node: &str) -> Self {
        let (waiting, events) = mpsc::channel(WAITING_MAX);
        let writer = Writer { api, node: node.to_owned(), correlator: Correlator::default() };
        tokio::spawn(writer.run(events));
        Self { waiting }
    }

    /// Records an event of a pod.
    pub fn pod(&self, object: &Value, event: PodEvent) {
        let Ok(pod) = Pod::read(object) else { return };
        let involved = event.involved_object(&pod, meta::resource_version(object));
        let kind = event.kind();
        self.record(Event {
            involved,
            namespace: pod.metadata.namespace,
            kind,
            reason: event.reason.to_owned(),
            message: event.message,
            at: clock::now(),
        });
    }

    /// Records an event of this node.
    pub fn node(&self, node: &str, kind: &'static str, reason: &str, message: &str) {
        // Upstream's kubelet gives the node's name for its uid.
        let involved = json!({ "kind": "Node", "name": node, "uid": node });
        let (reason, message) = (reason.to_owned(), message.to_owned());
        self.record(Event { involved, namespace: "default".to_owned(), kind, reason, message, at: clock::now() });
    }

    fn record(&self, event: Event) {
        // Full: it is lost.
        let _ = self.waiting.try_send(event);
    }
}

struct Writer {
    api: Api,
    node: String,
    correlator: Correlator,
}

impl Writer {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let fact = Fact {
                object: key_of(&event.involved),
                kind: event.kind,
                reason: event.reason.clone(),
                message: event.message.clone(),
            };
            match self.correlator.judge(fact, event.at) {
                Verdict::Drop => {}
                Verdict::New { message, slot } => self.create(&event, &message, &slot).await,
                Verdict::Again { name, count, first, message, slot } => {
                    self.count(&event, (&name, count, first), &message, &slot).await;
                }
            }
        }
    }

    async fn create(&mut self, event: &Event, message: &str, slot: &correlator::Slot) {
        let object = event_object(event, message, &self.node, (1, event.at));
        match self.api.create(&CORE_EVENT, &event.namespace, &object).await {
            Ok(made) => self.correlator.written(slot, meta::name(&made)),
            Err(error) => {
                debug!(reason = event.reason, %error, "event not written");
                self.correlator.forget(slot);
            }
        }
    }

    async fn count(
        &mut self,
        event: &Event,
        (name, count, first): (&str, u32, Timestamp),
        message: &str,
        slot: &correlator::Slot,
    ) {
        let patch = json!({ "count": count, "lastTimestamp": meta::time(event.at), "message": message });
        let told = self.api.patch(&CORE_EVENT, &event.namespace, name, "", &patch, PatchType::StrategicPatch).await;
        if told.is_err_and(|error| error.code() == 404) {
            // It has expired meanwhile.
            let object = event_object(event, message, &self.node, (count, first));
            match self.api.create(&CORE_EVENT, &event.namespace, &object).await {
                Ok(made) => self.correlator.written(slot, meta::name(&made)),
                Err(_) => self.correlator.forget(slot),
            }
        }
    }
}

fn event_object(event: &Event, message: &str, node: &str, (count, first): (u32, Timestamp)) -> Value {
    let name = format!("{}.{:x}", event.involved["name"].as_str().unwrap_or_default(), event.at.as_nanosecond());
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": name, "namespace": event.namespace },
        "involvedObject": event.involved,
        "type": event.kind,
        "reason": event.reason,
        "message": message,
        "source": { "component": "kubelet", "host": node },
        "firstTimestamp": meta::time(first),
        "lastTimestamp": meta::time(event.at),
        "count": count,
        "reportingComponent": "kubelet",
        "reportingInstance": node,
    })
}

/// What tells involved objects apart.
fn key_of(involved: &Value) -> String {
    let part = |name: &str| involved.get(name).and_then(Value::as_str).unwrap_or_default();
    ["kind", "namespace", "name", "uid", "fieldPath"].map(part).join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::node_api::testing::Cluster;

    #[tokio::test]
    async fn the_same_event_is_counted_and_another_is_written() {
        let cluster = Cluster::start().await;
        let recorder = Recorder::start(cluster.here(), "n1");
        for message in ["one", "one", "two", "one"] {
            recorder.node("n1", "Normal", "Starting", message);
        }
        let written = async || {
            let listed = cluster.admin.list(&CORE_EVENT, "default", &[]).await.unwrap();
            let items: Vec<Value> =
                listed.records.iter().map(|record| apiserver::object::served(&CORE_EVENT, record)).collect();
            let mut seen: Vec<(String, u64)> = items
                .iter()
                .map(|item| (item["message"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap()))
                .collect();
            seen.sort();
            (seen, items)
        };
        let seen = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let (seen, items) = written().await;
                if seen == [("one".to_owned(), 3), ("two".to_owned(), 1)] {
                    return items;
                }
                tokio::task::yield_now().await;
            }
        });
        let items = seen.await.unwrap();
        assert_eq!(items[0]["source"], json!({ "component": "kubelet", "host": "n1" }));
        assert_eq!(items[0]["reportingComponent"], "kubelet");
    }
}
