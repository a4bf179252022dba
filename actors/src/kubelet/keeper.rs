//! What is held of one pod while it is on this node. Main type: [`Keeper`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::kubelet::model::Pod;
use ::kubelet::observed::{Network, Token, Volumes};
use ::kubelet::{History, LaneKey, Observed, StepResult};
use api::kinds::pod::POD;
use api::meta;
use apiserver::client::PatchType;
use parking_lot::Mutex;
use runtime::PodRef;
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use super::machine::Machine;
use super::{Uid, history};

/// Results that wait for the next plan; a pod has far fewer lanes.
const RESULTS_MAX: usize = 1024;

/// Wait before a status that was refused is looked at again: the newer object is on its way.
const STATUS_PAUSE: Duration = Duration::from_millis(250);

/// Wait before a status that no voter took is written again.
const STATUS_OUTAGE_PAUSE: Duration = Duration::from_secs(5);

/// What is held of one pod. Dropping it ends its lanes.
#[derive(Debug)]
pub struct Keeper {
    /// Whose.
    pub uid: Uid,
    pub(super) inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) pod: PodRef,
    pub(super) history: History,
    pub(super) results: Vec<StepResult>,
    pub(super) lanes: BTreeMap<LaneKey, Running>,
    pub(super) lanes_started: u64,
    pub(super) network: Option<Network>,
    pub(super) volumes: Volumes,
    pub(super) tokens: BTreeMap<String, Token>,
    /// What was read last, and of what: plans are made far more often than the object changes.
    read: Option<(Arc<Value>, Arc<Pod>)>,
    /// The pod as the newest status write left it, which the mirror may not have yet.
    written: Option<Arc<Value>>,
    writing: bool,
}

/// A lane under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) number: u64,
    pub(super) deadline: Option<jiff::Timestamp>,
    pub(super) task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keeper {
    /// As it was when this node last ran, or new.
    pub fn load(uid: &str, machine: &Machine) -> Self {
        let history = history::load(&machine.pod_dir(uid));
        let tokens = super::volumes::tokens::load(&machine.pod_dir(uid));
        let pod = machine.listing.pods().into_iter().find(|pod| pod.uid == uid).unwrap_or_default();
        let inner = Inner { history, tokens, pod, ..Inner::default() };
        Self { uid: uid.to_owned(), inner: Mutex::new(inner) }
    }

    /// The pod that an object describes; notes whose it is.
    ///
    /// # Errors
    /// Where it describes none.
    pub fn read(&self, object: &Arc<Value>) -> Result<Arc<Pod>, serde_json::Error> {
        if let Some((of, pod)) = &self.inner.lock().read
            && Arc::ptr_eq(of, object)
        {
            return Ok(pod.clone());
        }
        let pod = Arc::new(Pod::read(object)?);
        self.see(object);
        self.inner.lock().read = Some((object.clone(), pod.clone()));
        Ok(pod)
    }

    /// Notes whose it is.
    fn see(&self, object: &Value) {
        let name = |text: &str| text.to_owned();
        let pod =
            PodRef { uid: self.uid.clone(), namespace: name(meta::namespace(object)), name: name(meta::name(object)) };
        self.inner.lock().pod = pod;
    }

    /// Whose it is; namespace and name are empty where they were never known.
    pub fn pod_ref(&self) -> PodRef {
        self.inner.lock().pod.clone()
    }

    /// Whether it was planned for before.
    pub fn is_seen(&self) -> bool {
        self.inner.lock().history.first_seen.is_some()
    }

    /// Whether no lane is under way.
    pub fn is_idle(&self) -> bool {
        self.inner.lock().lanes.is_empty()
    }

    /// The newer of the mirror's object and what our own last status write answered.
    pub fn newest(&self, mirrored: Option<Arc<Value>>) -> Option<Arc<Value>> {
        let mirrored = mirrored?;
        let mut inner = self.inner.lock();
        if inner.written.as_ref().is_some_and(|written| revision(written) <= revision(&mirrored)) {
            inner.written = None;
        }
        Some(inner.written.clone().unwrap_or(mirrored))
    }

    /// History, results that no plan has seen, lanes under way.
    pub fn memory(&self) -> (History, Vec<StepResult>, BTreeSet<LaneKey>) {
        let mut inner = self.inner.lock();
        let results = std::mem::take(&mut inner.results);
        (inner.history.clone(), results, inner.lanes.keys().cloned().collect())
    }

    /// Adds what only this process knows.
    pub fn observe(&self, observed: &mut Observed) {
        let inner = self.inner.lock();
        observed.network.clone_from(&inner.network);
        observed.volumes = inner.volumes;
        observed.tokens.clone_from(&inner.tokens);
    }

    /// Keeps a plan's history.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remember(&self, machine: &Machine, history: History, persist: bool) -> io::Result<()> {
        let saved = if persist { history::save(&machine.pod_dir(&self.uid), &history) } else { Ok(()) };
        self.inner.lock().history = history;
        saved
    }

    pub(super) fn push(&self, results: Vec<StepResult>) {
        let mut inner = self.inner.lock();
        let room = RESULTS_MAX.saturating_sub(inner.results.len());
        inner.results.extend(results.into_iter().take(room));
    }

    /// Writes a status, unless one is being written: its end refreshes the pod.
    pub fn write_status(self: Arc<Self>, machine: Arc<Machine>, object: &Value, status: Value) {
        if std::mem::replace(&mut self.inner.lock().writing, true) {
            return;
        }
        let patch = json!([
            { "op": "test", "path": "/metadata/uid", "value": meta::uid(object) },
            { "op": "test", "path": "/metadata/resourceVersion", "value": meta::resource_version(object) },
            { "op": "add", "path": "/status", "value": status },
        ]);
        let (namespace, name) = (meta::namespace(object).to_owned(), meta::name(object).to_owned());
        tokio::spawn(async move {
            let told = machine.api.patch(&POD, &namespace, &name, "status", &patch, PatchType::JsonPatch).await;
            let pause = match told {
                Ok(written) => {
                    self.inner.lock().written = Some(Arc::new(written));
                    Duration::ZERO
                }
                Err(error) => {
                    debug!(namespace, name, %error, code = error.code(), "status not written");
                    match error.code() {
                        // It is gone: the mirror tells.
                        404 => STATUS_PAUSE,
                        // It changed meanwhile: planned again on the newer one.
                        409 | 422 => STATUS_PAUSE,
                        code if code < 500 && code != 429 => {
                            warn!(namespace, name, %error, "status refused");
                            STATUS_OUTAGE_PAUSE
                        }
                        _ => STATUS_OUTAGE_PAUSE,
                    }
                }
            };
            tokio::time::sleep(pause).await;
            self.inner.lock().writing = false;
            machine.wake(&self.uid);
        });
    }
}

fn revision(object: &Value) -> u64 {
    meta::resource_version(object).parse().unwrap_or(0)
}
