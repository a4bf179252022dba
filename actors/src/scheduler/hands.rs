//! Writes what the scheduler decided: bindings, conditions, events. Main type: [`Hands`].

use std::sync::Arc;

use api::kinds::{
    event::CORE_EVENT,
    persistent_volume::{BOUND_BY_CONTROLLER, PERSISTENT_VOLUME},
    persistent_volume_claim::{PERSISTENT_VOLUME_CLAIM, SELECTED_NODE},
    pod::POD,
    read,
};
use api::meta;
use apiserver::client::PatchType;
use apiserver::{ApiError, Client};
use auth::User;
use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::debug;

use crate::context::Context;
use crate::host::Error;

/// As whom the scheduler acts; `auth::bootstrap` has its role.
const USER: &str = "system:kube-scheduler";

/// Field manager of what it writes, and the start of its name in events.
const MANAGER: &str = "kube-scheduler";

/// The pods that are meant for this scheduler say so; also its name in events.
pub(super) const NAME: &str = "default-scheduler";

/// Bytes of an event's message; the API allows no more.
const NOTE_MAX: usize = 1024;

/// Bytes of a pod's name in its events' names, which have room for 253.
const EVENT_NAME_BYTES: usize = 220;

/// See the file's head. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) context: Arc<Context>,
    term: u64,
}

/// News for people about a pod.
struct Note<'a> {
    severity: &'static str,
    reason: &'static str,
    action: &'static str,
    message: &'a str,
}

impl Hands {
    /// Writes while this node leads in this term.
    pub(super) fn new(context: Arc<Context>, term: u64) -> Self {
        Self { context, term }
    }

    /// Waits for an API server to write through.
    ///
    /// # Errors
    /// Where the node ends meanwhile.
    pub(super) async fn ready(&self) -> Result<(), Error> {
        self.context.api.subscribe().wait_for(Option::is_some).await?;
        Ok(())
    }

    fn client(&self) -> Result<Client, Error> {
        let serving = self.context.api.borrow().clone().ok_or("the API server does not run yet")?;
        Ok(serving.server.client().of(User::new(USER, &["system:authenticated"]), MANAGER).fenced(self.term))
    }

    /// Binds a pod to a node.
    ///
    /// # Errors
    /// As the API tells its clients; after 5xx it may be bound all the same.
    pub(super) async fn bind(&self, pod: &Value, node: &str) -> Result<(), Error> {
        let (namespace, name) = (meta::namespace(pod), meta::name(pod));
        let metadata = json!({ "name": name, "namespace": namespace, "uid": meta::uid(pod) });
        let target = json!({ "kind": "Node", "name": node });
        let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target });
        self.client()?.create_part(&POD, namespace, name, "binding", &binding).await?;
        Ok(())
    }

    /// Writes what was chosen for a claim, unless it says so already; `volume` is the one that it gets, if there is one.
    ///
    /// # Errors
    /// As the API tells its clients; where the claim or volume is another by now, too.
    pub(super) async fn choose(&self, claim: &Value, volume: Option<&Value>, node: &str) -> Result<(), Error> {
        let client = self.client()?;
        let (namespace, name) = (meta::namespace(claim), meta::name(claim));
        match volume {
            Some(volume) => {
                let change = promise(volume, claim);
                client.patch(&PERSISTENT_VOLUME, "", meta::name(volume), "", &change, PatchType::MergePatch).await?;
            }
            None if meta::annotation(claim, SELECTED_NODE) == Some(node) => {}
            None => {
                let metadata = json!({ "uid": meta::uid(claim), "resourceVersion": meta::resource_version(claim), "annotations": { (SELECTED_NODE): node } });
                let change = json!({ "metadata": metadata });
                client.patch(&PERSISTENT_VOLUME_CLAIM, namespace, name, "", &change, PatchType::MergePatch).await?;
            }
        }
        Ok(())
    }

    /// Tells that a pod has its node.
    pub(super) async fn tell_bound(&self, pod: &Value, node: &str) {
        let message = format!("Successfully assigned {}/{} to {node}", meta::namespace(pod), meta::name(pod));
        self.tell(pod, &Note { severity: "Normal", reason: "Scheduled", action: "Binding", message: &message }).await;
    }

    /// Tells why a pod has no node, in its status and as an event.
    pub(super) async fn tell_failed(&self, pod: &Value, reason: &'static str, message: &str) {
        let known = condition(pod);
        let field = |name: &str| known.map_or("", |known| read::text(known, name));
        if (field("/status"), field("/reason"), field("/message")) != ("False", reason, message) {
            let change = change(pod, field("/status") == "False", reason, message);
            if let Err(error) = self.patch_status(pod, &change).await {
                debug!(%error, pod = meta::name(pod), "condition not written");
            }
        }
        self.tell(pod, &Note { severity: "Warning", reason: "FailedScheduling", action: "Scheduling", message }).await;
    }

    async fn patch_status(&self, pod: &Value, change: &Value) -> Result<(), Error> {
        let (namespace, name) = (meta::namespace(pod), meta::name(pod));
        self.client()?.patch(&POD, namespace, name, "status", change, PatchType::StrategicPatch).await?;
        Ok(())
    }

    /// Best effort, as events are.
    async fn tell(&self, pod: &Value, note: &Note<'_>) {
        let event = event(pod, note, &self.context.name, clock::now());
        let Ok(client) = self.client() else { return };
        let told: Result<Value, ApiError> = client.create(&CORE_EVENT, meta::namespace(pod), &event).await;
        if let Err(error) = told {
            debug!(%error, pod = meta::name(pod), reason = note.reason, "event not written");
        }
    }
}

/// Makes a volume say that it is for a claim. One that its author chose stays his.
fn promise(volume: &Value, claim: &Value) -> Value {
    let mut metadata = json!({ "uid": meta::uid(volume), "resourceVersion": meta::resource_version(volume) });
    if !volume.pointer("/spec/claimRef").is_some_and(Value::is_object) {
        metadata["annotations"] = json!({ (BOUND_BY_CONTROLLER): "yes" });
    }
    let reference = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta::namespace(claim),
        "name": meta::name(claim), "uid": meta::uid(claim), "resourceVersion": meta::resource_version(claim),
    });
    json!({ "metadata": metadata, "spec": { "claimRef": reference } })
}

/// What a pod says of its own placement.
fn condition(pod: &Value) -> Option<&Value> {
    read::items(pod, "/status/conditions").iter().find(|condition| read::text(condition, "/type") == "PodScheduled")
}

/// Makes the pod say that it has no node; `still` keeps the time since when it says so.
fn change(pod: &Value, still: bool, reason: &str, message: &str) -> Value {
    let mut condition = json!({ "type": "PodScheduled", "status": "False", "reason": reason, "message": message });
    if !still {
        condition["lastTransitionTime"] = meta::time(clock::now()).into();
    }
    if meta::generation(pod) > 0 {
        condition["observedGeneration"] = meta::generation(pod).into();
    }
    json!({ "metadata": { "uid": meta::uid(pod) }, "status": { "conditions": [condition] } })
}

fn event(pod: &Value, note: &Note<'_>, node: &str, now: Timestamp) -> Value {
    let name: String = meta::name(pod).chars().take(EVENT_NAME_BYTES).collect();
    let involved = json!({
        "apiVersion": "v1", "kind": "Pod", "name": meta::name(pod), "namespace": meta::namespace(pod),
        "resourceVersion": meta::resource_version(pod), "uid": meta::uid(pod),
    });
    json!({
        "metadata": { "name": format!("{name}.{:x}", now.as_nanosecond()), "namespace": meta::namespace(pod) },
        "involvedObject": involved, "type": note.severity, "reason": note.reason, "action": note.action,
        "message": shortened(note.message), "eventTime": meta::micro_time(now),
        "reportingComponent": NAME, "reportingInstance": format!("{NAME}-{node}"),
    })
}

/// As much of a message as an event holds.
fn shortened(message: &str) -> String {
    const MORE: &str = " ...";
    if message.len() <= NOTE_MAX {
        return message.to_owned();
    }
    format!("{}{MORE}", &message[..message.floor_char_boundary(NOTE_MAX - MORE.len())])
}
