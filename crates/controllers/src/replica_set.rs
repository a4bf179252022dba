//! ReplicaSet and ReplicationController: as many pods of a template as are wanted.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/>.
//!
//! Pods are made in batches that double as they succeed, and deleted in an order of their own (`rank`). Orphans that the
//! selector takes are adopted when the set is new, and when an orphan changes; what is selected no longer is let go.

use api::{
    kinds::{
        pod::POD, read::text, replica_set::REPLICA_SET, replication_controller::REPLICATION_CONTROLLER, workload::count,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Action, Controller, Key, Kinds, Plan, View, Watch, change,
    view::Object,
    workload::{
        News, batch,
        claim::{Claim, Claimed},
        controlled, end_pod, fresh_name, is_active, is_terminating, pod_of, sooner, without_made_name, write_status,
    },
};

pub(crate) mod rank;
mod status;
#[cfg(test)]
mod tests;

/// ReplicaSets' row.
pub const CONTROLLER: Controller = Controller {
    name: SETS.name,
    account: SETS.name,
    watches: &[
        Watch { kinds: Kinds::One(&REPLICA_SET), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: |change, keys| SETS.claim.of_pods(change, keys) },
    ],
    facts: change::no_facts,
    reconcile: |view, key, now| SETS.reconcile(view, key, now),
};

/// ReplicationControllers' row.
pub const REPLICATION: Controller = Controller {
    name: OLDER.name,
    account: OLDER.name,
    watches: &[
        Watch { kinds: Kinds::One(&REPLICATION_CONTROLLER), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: |change, keys| OLDER.claim.of_pods(change, keys) },
    ],
    facts: change::no_facts,
    reconcile: |view, key, now| OLDER.reconcile(view, key, now),
};

const SETS: Keeper =
    Keeper { claim: Claim::any(&REPLICA_SET), name: "replicaset-controller", counts_terminating: true };

const OLDER: Keeper =
    Keeper { claim: Claim::any(&REPLICATION_CONTROLLER), name: "replication-controller", counts_terminating: false };

/// Which of the kinds that keep a number of pods.
struct Keeper {
    claim: Claim,
    name: &'static str,
    /// Whether its status counts pods that are on their way out.
    counts_terminating: bool,
}

/// Pods made or deleted in one run at most.
const BURST: usize = 500;

impl Keeper {
    fn reconcile(&self, view: &dyn View, key: &Key, now: Timestamp) -> Plan {
        self.claim.reconcile(view, key, |set| self.attend(view, set, now))
    }

    fn attend(&self, view: &dyn View, set: &Value, now: Timestamp) -> Plan {
        let Claimed { pods, mut actions } = self.claim.pods(view, set);
        let active: Vec<&Object> = pods.iter().filter(|pod| is_active(pod)).collect();
        let terminating = pods.iter().filter(|pod| is_terminating(pod)).count();
        let wanted = usize::try_from(count(set, "/spec/replicas")).unwrap_or_default();
        let mut wake_at = None;
        let mut failure = None;
        let refused = view.failure().map(|why| without_made_name(why, set));
        if !meta::is_being_deleted(set) {
            if active.len() < wanted {
                failure = refused.as_deref().map(|why| ("FailedCreate", why));
                let batch = batch(active.len(), wanted - active.len(), failure.is_some()).min(BURST);
                actions.extend(self.create(view, set, batch, now));
                wake_at = (active.len() + batch < wanted).then_some(now);
            } else if active.len() > wanted {
                failure = refused.as_deref().map(|why| ("FailedDelete", why));
                actions.extend(self.delete(view, set, &active, active.len() - wanted, now));
            }
        }
        if let Some((reason @ "FailedCreate", why)) = failure {
            actions.push(News::warning(reason, format!("Error creating: {why}")).tell(set, self.name, now));
        }
        let seen = status::Seen {
            set,
            active: &active,
            terminating: self.counts_terminating.then_some(terminating),
            failure,
            now,
        };
        let later = seen.available_later();
        actions.extend(write_status(self.claim.kind, set, seen.status()));
        Plan { actions, wake_at: sooner(wake_at, later) }
    }

    fn create(&self, view: &dyn View, set: &Value, count: usize, now: Timestamp) -> Vec<Action> {
        let template = set.pointer("/spec/template").cloned().unwrap_or_default();
        let one = |at: usize| {
            let name = fresh_name(view, &POD, set, at);
            let news = News::normal("SuccessfulCreate", format!("Created pod: {name}"));
            pod_of(set, &template, name).then(news.tell(set, self.name, now))
        };
        (0..count).map(one).collect()
    }

    fn delete(&self, view: &dyn View, set: &Value, active: &[&Object], surplus: usize, now: Timestamp) -> Vec<Action> {
        let related = related(view, set);
        let mut ranked = rank::ranked(active, &related, now);
        ranked.truncate(surplus.min(BURST));
        let one = |pod: &Object| {
            let news = News::normal("SuccessfulDelete", format!("Deleted pod: {}", meta::name(pod)));
            end_pod(pod, news.tell(set, self.name, now))
        };
        ranked.into_iter().map(one).collect()
    }
}

/// Active pods of all sets with the same controller: a node that has several is relieved first.
fn related(view: &dyn View, set: &Value) -> Vec<Object> {
    let owner = meta::controller_of(set).map(|owner| text(owner, "/uid").to_owned()).unwrap_or_default();
    let mut sets: Vec<Object> = view.by_owner(&owner).filter(|one| meta::kind(one) == "ReplicaSet").collect();
    if sets.is_empty() {
        sets.push(Object::new(set.clone()));
    }
    let pods = sets.iter().flat_map(|set| controlled(view, &POD, set));
    pods.filter(|pod| is_active(pod)).collect()
}
