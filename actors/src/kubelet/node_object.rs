//! Keeps this node's Node object and Lease: made once, its status written when it changes and every five minutes.
//! Main type: [`NodeKeeper`], a singleton [`Work`]. What users set on the object (labels, taints, annotations) stays.
//!
//! Heartbeats are no writes: who is alive is told by gossip, and the Lease is stored once
//! (its `renewTime` is not kept up yet). Spec: <https://kubernetes.io/docs/concepts/architecture/nodes/>.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::kubelet::node;
use api::kinds::{lease::LEASE, node::NODE, read::items, read::text};
use api::meta;
use apiserver::ApiError;
use apiserver::client::PatchType;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::host_facts;
use super::machine::Machine;
use crate::host::{Error, Next, Rules, Work};
use crate::node_api::Mirror;
use registration::{addresses, difference, lease, object, pod_cidrs, ranges};

mod registration;

pub use registration::{NODE_ID, Registration};

/// How often the machine is looked at; upstream's `nodeStatusUpdateFrequency`.
const PERIOD: Duration = Duration::from_secs(10);

/// The status is written so often although it says nothing new, spread by up to a fifth: upstream's `nodeStatusReportFrequency`.
const HEARTBEAT: Duration = Duration::from_secs(300);

/// Images told of; upstream's `nodeStatusMaxImages`.
const IMAGES_MAX: usize = 50;

/// How the host treats [`NodeKeeper`].
pub fn rules() -> Rules<()> {
    Rules { name: "node", deadline: Duration::from_secs(60), resync: Some((PERIOD, vec![()])) }
}

/// See the file's head.
pub struct NodeKeeper {
    machine: Arc<Machine>,
    registration: watch::Receiver<Option<Registration>>,
    /// This node's object.
    mirror: Mirror,
    written: Mutex<Option<Instant>>,
    leased: Mutex<bool>,
}

impl NodeKeeper {
    /// Keeps the object of this machine's node.
    pub fn new(machine: Arc<Machine>, registration: watch::Receiver<Option<Registration>>, mirror: Mirror) -> Self {
        Self { machine, registration, mirror, written: Mutex::default(), leased: Mutex::default() }
    }

    async fn refresh(&self) -> Result<Next, Error> {
        let Some(registration) = self.registration.borrow().clone() else { return Ok(Next::Done) };
        if !self.mirror.synced() {
            return Ok(Next::Done);
        }
        let node = match self.mirror.get("", &self.machine.name) {
            Some(node) => self.labelled(&registration, &node).await?,
            None => self.create(&registration).await?,
        };
        self.machine.node.send_replace(Some(node.clone()));
        let wake_at = self.tell_status(&registration, &node).await?;
        self.lease(&node).await?;
        Ok(wake_at.map_or(Next::Done, |at| Next::After(super::until(at).max(super::SOONEST))))
    }

    async fn create(&self, registration: &Registration) -> Result<Arc<Value>, Error> {
        let api = &self.machine.api;
        let made = match api.create(&NODE, "", &object(&self.machine.name, registration)).await {
            // A label that no kubelet may set must not keep a machine out.
            Err(error) if error.code() == 403 && !registration.labels.is_empty() => {
                warn!(%error, "the node is registered without its own labels: set these as an administrator");
                let bare = Registration { labels: BTreeMap::new(), ..registration.clone() };
                api.create(&NODE, "", &object(&self.machine.name, &bare)).await
            }
            // It is there, the mirror is late.
            Err(error) if error.code() == 409 => api.get(&NODE, "", &self.machine.name).await,
            told => told,
        };
        let made = made.map_err(|error| failed("the Node object is not made", &error))?;
        info!(node = self.machine.name, "registered the node");
        self.machine.recorder.node(&self.machine.name, "Normal", "Starting", "Starting kubelet.");
        Ok(Arc::new(made))
    }

    /// Brings our own labels and facts to what they should be, and leaves all others.
    async fn labelled(&self, registration: &Registration, node: &Arc<Value>) -> Result<Arc<Value>, Error> {
        let of = meta::annotation(node, NODE_ID);
        if of.is_some_and(|id| id != registration.id) && pod_cidrs(node) != ranges(registration) {
            // Ranges of a Node never change: the old one has to go first.
            let why =
                "the Node object of this name is of a member that is gone; it is taken over once that was removed";
            return Err(why.into());
        }
        let patch = difference(&self.machine.name, registration, node);
        if patch.is_null() {
            return Ok(node.clone());
        }
        let patched = self.machine.api.patch(&NODE, "", &self.machine.name, "", &patch, PatchType::MergePatch).await;
        Ok(Arc::new(patched.map_err(|error| failed("the Node's labels are not kept", &error))?))
    }

    async fn tell_status(&self, registration: &Registration, node: &Value) -> Result<Option<Timestamp>, Error> {
        let (status, wake_at) = self.status(registration, node).await;
        let old = node.get("status").cloned().unwrap_or_default();
        let due =
            self.written.lock().is_none_or(|at| at.elapsed() > HEARTBEAT.mul_f64(0.8 + rand::random::<f64>() / 5.0));
        if !due && without_heartbeats(&status) == without_heartbeats(&old) {
            return Ok(wake_at);
        }
        let patch = json!([
            { "op": "test", "path": "/metadata/uid", "value": meta::uid(node) },
            { "op": "test", "path": "/metadata/resourceVersion", "value": meta::resource_version(node) },
            { "op": "add", "path": "/status", "value": status },
        ]);
        let name = &self.machine.name;
        let patched = self.machine.api.patch(&NODE, "", name, "status", &patch, PatchType::JsonPatch).await;
        let patched = patched.map_err(|error| failed("the Node's status is not written", &error))?;
        *self.written.lock() = Some(Instant::now());
        self.tell_changes(&old, &patched);
        self.machine.node.send_replace(Some(Arc::new(patched)));
        Ok(wake_at)
    }

    async fn status(&self, registration: &Registration, node: &Value) -> (Value, Option<Timestamp>) {
        let machine = &self.machine;
        let facts = host_facts::facts(&machine.places.pods, machine.listing.silence(), self.network_error());
        let plan = node::plan(&facts, items(node, "/status/conditions"), clock::now());
        let runtime = match machine.runtime.version().await {
            Ok(version) => format!("{}://{}", version.name, version.version),
            Err(_) => text(node, "/status/nodeInfo/containerRuntimeVersion").to_owned(),
        };
        // What others keep in the status stays.
        let mut status = node.get("status").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut set = |name: &str, value: Value| _ = status.insert(name.to_owned(), value);
        set("capacity", json!(plan.capacity));
        set("allocatable", json!(plan.allocatable));
        set("conditions", json!(plan.conditions));
        set("addresses", addresses(&machine.name, registration));
        set("nodeInfo", host_facts::node_info(&runtime));
        if let Some(images) = self.images().await {
            set("images", images);
        }
        self.note_allocatable(&plan.allocatable, facts.memory_bytes);
        (Value::Object(status), plan.wake_at)
    }

    fn network_error(&self) -> Option<String> {
        self.machine.network_error.read().clone()
    }

    /// Plans for pods need what can be allocated.
    fn note_allocatable(&self, allocatable: &node::ResourceList, memory_bytes: i64) {
        let mut facts = self.machine.facts.write();
        if facts.allocatable != *allocatable || facts.memory_bytes != memory_bytes {
            let mut changed = (**facts).clone();
            (changed.allocatable, changed.memory_bytes) = (allocatable.clone(), memory_bytes);
            *facts = Arc::new(changed);
        }
    }

    /// The largest images first, as upstream has them.
    async fn images(&self) -> Option<Value> {
        let mut images = self.machine.runtime.images().await.ok()?;
        images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.reference.cmp(&b.reference)));
        let told = images.iter().take(IMAGES_MAX).map(|image| {
            let repository = image.reference.rsplit_once(':').map_or(image.reference.as_str(), |(name, _)| name);
            json!({ "names": [format!("{repository}@{}", image.digest), image.reference], "sizeBytes": image.size })
        });
        Some(told.collect())
    }

    /// Events of conditions that changed.
    fn tell_changes(&self, old: &Value, new: &Value) {
        let recorder = &self.machine.recorder;
        let name = &self.machine.name;
        for condition in items(new, "/status/conditions") {
            let (sort, status) = (text(condition, "/type"), text(condition, "/status"));
            let before = items(old, "/conditions").iter().find(|known| text(known, "/type") == sort);
            if before.is_some_and(|before| text(before, "/status") == status) {
                continue;
            }
            if let Some((_, _, reason)) = REASONS.iter().find(|(of, is, _)| *of == sort && *is == status) {
                recorder.node(name, "Normal", reason, &format!("Node {name} status is now: {reason}"));
            }
        }
    }

    /// The Lease is there, so that clients find it; who is alive is told by gossip.
    async fn lease(&self, node: &Value) -> Result<(), Error> {
        const NAMESPACE: &str = "kube-node-lease";
        if *self.leased.lock() {
            return Ok(());
        }
        let (api, name) = (&self.machine.api, &self.machine.name);
        match api.get(&LEASE, NAMESPACE, name).await {
            Ok(_) => {}
            Err(error) if error.code() == 404 => {
                let made = api.create(&LEASE, NAMESPACE, &lease(name, meta::uid(node), clock::now())).await;
                made.map_err(|error| failed("the Node's Lease is not made", &error))?;
            }
            Err(error) => return Err(failed("the Node's Lease is not known", &error)),
        }
        *self.leased.lock() = true;
        Ok(())
    }
}

/// Events by condition and status.
const REASONS: &[(&str, &str, &str)] = &[
    ("Ready", "True", "NodeReady"),
    ("Ready", "False", "NodeNotReady"),
    ("MemoryPressure", "False", "NodeHasSufficientMemory"),
    ("MemoryPressure", "True", "NodeHasInsufficientMemory"),
    ("DiskPressure", "False", "NodeHasNoDiskPressure"),
    ("DiskPressure", "True", "NodeHasDiskPressure"),
    ("PIDPressure", "False", "NodeHasSufficientPID"),
    ("PIDPressure", "True", "NodeHasInsufficientPID"),
];

fn failed(what: &str, error: &ApiError) -> Error {
    format!("{what}: {error}").into()
}

/// A status without the times that say nothing new.
fn without_heartbeats(status: &Value) -> Value {
    let mut status = status.clone();
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastHeartbeatTime");
        }
    }
    status
}

impl Work for NodeKeeper {
    type Key = ();

    fn run(&self, (): ()) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.refresh())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_no_change() {
        let status = |beat: &str, ready: &str| json!({ "conditions": [{ "type": "Ready", "status": ready, "lastHeartbeatTime": beat }] });
        assert_eq!(without_heartbeats(&status("1", "True")), without_heartbeats(&status("2", "True")));
        assert_ne!(without_heartbeats(&status("1", "True")), without_heartbeats(&status("1", "False")));
    }
}
