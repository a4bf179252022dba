//! Runs the pods that are bound to this node. Main type: [`Kubelet`], a [`Work`] whose key is a pod's uid.
//!
//! What comes next for a pod is decided by [`kubelet::pod::plan`]; here it is looked at, carried out and told. A run only
//! looks, plans and starts: nothing that takes time happens in it, so that no pod waits for another. Lanes of steps are
//! tasks ([`lanes`]), statuses and events are written beside them, and each end refreshes its pod.
//! Spec: the kubelet of Kubernetes 1.36, <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::kubelet::model::Pod;
use ::kubelet::observed::References;
use ::kubelet::{Input, Observed, Plan, node, pod};
use api::kinds::read::text;
use api::meta;
use futures::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tracing::{debug, warn};

use crate::host::{Error, Next, Rules, Work};
use keeper::Keeper;

pub mod boot;
pub mod checks;
pub mod cleanup;
pub mod convert;
pub mod end;
pub mod events;
pub mod feed;
pub mod history;
pub mod host_facts;
pub mod keeper;
pub mod lanes;
pub mod listing;
pub mod machine;
pub mod network;
pub mod node_object;
pub mod profiles;
pub mod pulled;
pub mod references;
pub mod steps;
pub mod store;
pub mod volumes;

pub use boot::start;
pub use machine::Machine;

/// A pod's `metadata.uid`.
pub type Uid = String;

/// A run only looks, plans and starts.
const DEADLINE: Duration = Duration::from_secs(60);

/// Soonest a pod is planned again by the clock: a plan that wants to be made again at once must not spin.
const SOONEST: Duration = Duration::from_millis(10);

/// How the host treats [`Kubelet`]. The resync is the feed's.
pub const RULES: Rules<Uid> = Rules { name: "kubelet", deadline: DEADLINE, resync: None };

/// See the file's head. Dropping it ends the lanes under way; what runs in containers goes on.
#[derive(Debug)]
pub struct Kubelet {
    machine: Arc<Machine>,
    keepers: Mutex<BTreeMap<Uid, Arc<Keeper>>>,
}

impl Kubelet {
    /// Runs the pods of this machine.
    pub fn new(machine: Arc<Machine>) -> Self {
        Self { machine, keepers: Mutex::default() }
    }

    async fn refresh(&self, uid: Uid) -> Result<Next, Error> {
        // Without a listing or a network nothing can be compared; both refresh all pods once they are there.
        if !self.machine.is_ready() {
            return Ok(Next::Done);
        }
        let keeper = self.keeper(&uid);
        let object = keeper.newest(self.machine.pod(&uid));
        let plan = match &object {
            Some(object) => self.plan(&keeper, object).await?,
            // Before all pods are known, one that is not there says nothing.
            None if !self.machine.knows_pods() => return Ok(Next::Done),
            None => self.plan_orphan(&keeper),
        };
        Ok(self.carry_out(&keeper, object.as_deref(), plan))
    }

    fn keeper(&self, uid: &Uid) -> Arc<Keeper> {
        let mut keepers = self.keepers.lock();
        keepers.entry(uid.clone()).or_insert_with(|| Arc::new(Keeper::load(uid, &self.machine))).clone()
    }

    async fn plan(&self, keeper: &Arc<Keeper>, object: &Arc<Value>) -> Result<Plan, Error> {
        let pod = keeper.read(object)?;
        let references = self.machine.references.of(&pod);
        let observed = self.observe(keeper, Some((&pod, &references))).await;
        let facts = self.machine.facts();
        let now = clock::now();
        let (history, results, in_flight) = keeper.memory();
        let refused = match history.first_seen {
            None => self.admit(&pod),
            Some(_) => None,
        };
        let input = Input {
            pod: &pod,
            observed: &observed,
            history: &history,
            results: &results,
            in_flight: &in_flight,
            references: &references,
            node: &facts,
            refused: refused.as_ref(),
            now,
        };
        Ok(pod::plan(&input))
    }

    fn plan_orphan(&self, keeper: &Arc<Keeper>) -> Plan {
        let observed = self.observe_now(keeper);
        let (history, _, in_flight) = keeper.memory();
        pod::plan_orphan(&observed, &history, &in_flight, clock::now())
    }

    /// Why a pod may not run here, if so: asked when it is first seen.
    fn admit(&self, pod: &Pod) -> Option<::kubelet::history::Verdict> {
        let others = self.machine.pods.list();
        let others = others.iter().filter(|other| {
            meta::uid(other) != pod.metadata.uid && !["Succeeded", "Failed"].contains(&text(other, "/status/phase"))
        });
        let others: Vec<Pod> = others
            .filter(|other| self.keepers.lock().get(meta::uid(other)).is_some_and(|keeper| keeper.is_seen()))
            .filter_map(|other| Pod::read(other).ok())
            .collect();
        let node = self.machine.node.borrow().clone()?;
        node::admit(pod, &others, &node).and_then(|()| node::confine(pod, host_facts::app_armor)).err()
    }

    async fn observe(&self, keeper: &Arc<Keeper>, pod: Option<(&Pod, &References)>) -> Observed {
        let mut observed = self.observe_now(keeper);
        if let Some((pod, known)) = pod {
            let references = pod.all_containers().map(|(_, container)| container.image.clone());
            observed.images = self.machine.listing.images(references.collect()).await;
            self.machine.pulled.withhold(pod, known, &mut observed.images);
        }
        observed
    }

    fn observe_now(&self, keeper: &Arc<Keeper>) -> Observed {
        let mut observed = Observed::default();
        self.machine.listing.of(&keeper.uid, &mut observed);
        keeper.observe(&mut observed);
        if observed.network.is_none() {
            observed.network = self.machine.attachment(&keeper.uid);
        }
        observed
    }

    fn carry_out(&self, keeper: &Arc<Keeper>, object: Option<&Value>, plan: Plan) -> Next {
        let finished = plan.finished;
        if let Err(error) = keeper.remember(&self.machine, plan.history, plan.persist) {
            warn!(pod = %keeper.uid, %error, "history not written, next try with the next change");
        }
        if let Some(object) = object {
            let pod = keeper.pod_ref();
            for event in plan.events {
                debug!(
                    namespace = pod.namespace,
                    name = pod.name,
                    reason = event.reason,
                    message = event.message,
                    "event"
                );
                self.machine.recorder.pod(object, event);
            }
            if let Some(status) = plan.status {
                keeper.clone().write_status(self.machine.clone(), object, status);
            }
        }
        for lane in plan.lanes {
            keeper.clone().start(self.machine.clone(), lane);
        }
        if finished && keeper.is_idle() {
            self.forget(keeper, object.is_none());
            return Next::Done;
        }
        match plan.wake_at {
            Some(at) => Next::After(until(at).max(SOONEST)),
            None => Next::Done,
        }
    }

    /// Nothing is left of it here. Its history goes once the API has it no longer: until then it tells that all is done.
    fn forget(&self, keeper: &Arc<Keeper>, gone: bool) {
        if gone {
            self.machine.references.release(&keeper.uid);
            if let Err(error) = history::remove(&self.machine.pod_dir(&keeper.uid)) {
                warn!(pod = %keeper.uid, %error, "a pod's folder not removed");
            }
            self.keepers.lock().remove(&keeper.uid);
        }
    }
}

/// From now to a time; zero if it is past.
fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or(Duration::ZERO)
}

impl Work for Kubelet {
    type Key = Uid;

    fn run(&self, uid: Uid) -> BoxFuture<'_, Result<Next, Error>> {
        Box::pin(self.refresh(uid))
    }
}

#[cfg(test)]
mod tests;
