//! ReplicaSet and ReplicationController: as many pods of a template as are wanted.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/>.
//!
//! Pods are made in batches that double as they succeed, and deleted in an order of their own (`rank`). Orphans that the
//! selector takes are adopted when the set is new, and when an orphan changes; what is selected no longer is let go.

use api::{
    kinds::{
        Kind,
        pod::POD,
        read::text,
        replica_set::REPLICA_SET,
        replication_controller::REPLICATION_CONTROLLER,
        workload::{count, selector},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Plan, Target, View, Watch, change,
    view::Object,
    workload::{
        News, adopt, controlled, fresh_name, is_active, is_terminating, labels, pod_of, release, sooner,
        without_made_name, write_status,
    },
};

mod rank;
mod status;
#[cfg(test)]
mod tests;

/// ReplicaSets' row.
pub const CONTROLLER: Controller = Controller {
    name: SETS.name,
    account: SETS.name,
    watches: &[
        Watch { kinds: Kinds::One(&REPLICA_SET), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: |change, keys| SETS.of_pods(change, keys) },
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
        Watch { kinds: Kinds::One(&POD), keys: |change, keys| OLDER.of_pods(change, keys) },
    ],
    facts: change::no_facts,
    reconcile: |view, key, now| OLDER.reconcile(view, key, now),
};

const SETS: Keeper = Keeper { kind: &REPLICA_SET, name: "replicaset-controller", counts_terminating: true };

const OLDER: Keeper =
    Keeper { kind: &REPLICATION_CONTROLLER, name: "replication-controller", counts_terminating: false };

/// Which of the kinds that keep a number of pods.
struct Keeper {
    kind: &'static Kind,
    name: &'static str,
    /// Whether its status counts pods that are on their way out.
    counts_terminating: bool,
}

/// Pods made or deleted in one run at most.
const BURST: usize = 500;

/// Start of the name of a key that stands for a pod without a controller; no object's name has it.
const ORPHAN: &str = "orphan/";

/// The pods of a set, and what is to be done about whose they are.
struct Claimed {
    pods: Vec<Object>,
    actions: Vec<Action>,
}

fn claim(view: &dyn View, set: &Value) -> Claimed {
    let (selector, going) = (selector(set), meta::is_being_deleted(set));
    let selected = |pod: &Object| going || selector.matches(&labels(pod));
    let (mut pods, others): (Vec<Object>, Vec<Object>) = controlled(view, &POD, set).into_iter().partition(selected);
    let mut actions: Vec<Action> = others.iter().map(|pod| release(&POD, pod, set)).collect();
    let new = count(set, "/status/observedGeneration") == 0;
    if new && !going {
        let orphan = |pod: &Object| is_active(pod) && meta::controller_of(pod).is_none() && selected(pod);
        let orphans: Vec<Object> = view.list(&POD, meta::namespace(set)).filter(orphan).collect();
        actions.extend(orphans.iter().map(|pod| adopt(&POD, pod, set)));
        pods.extend(orphans);
    }
    Claimed { pods, actions }
}

impl Keeper {
    /// Whether an owner is of its kind.
    fn owns(&self, owner: &Value) -> bool {
        text(owner, "/kind") == self.kind.kind && text(owner, "/apiVersion") == self.kind.api_version()
    }

    /// The set that controls a pod; and a pod that nobody controls, if somebody may want it now.
    fn of_pods(&self, change: &dyn Change, keys: &mut Vec<Key>) {
        let (old, new) = (change.before(), change.after());
        for pod in [&old, &new].into_iter().flatten() {
            let owner = meta::controller_of(pod).filter(|owner| self.owns(owner));
            keys.extend(owner.map(|owner| Key::new(change.namespace(), text(owner, "/name"))));
        }
        let Some(pod) = new.filter(|pod| meta::controller_of(pod).is_none()) else { return };
        let same = |old: &Object| labels(old) == labels(&pod) && meta::controller_of(old).is_none();
        if !old.is_some_and(|old| same(&old)) && !labels(&pod).is_empty() {
            keys.push(Key::new(change.namespace(), format!("{ORPHAN}{}", change.name())));
        }
    }

    fn reconcile(&self, view: &dyn View, key: &Key, now: Timestamp) -> Plan {
        if let Some(pod) = key.name.strip_prefix(ORPHAN) {
            return Plan { actions: self.take_in(view, &key.namespace, pod), wake_at: None };
        }
        match view.get(self.kind, &key.namespace, &key.name) {
            Some(set) => self.attend(view, &set, now),
            None => Plan::default(),
        }
    }

    /// A set adopts an orphan that it selects.
    fn take_in(&self, view: &dyn View, namespace: &str, pod: &str) -> Vec<Action> {
        let orphan = view.get(&POD, namespace, pod).filter(|pod| is_active(pod) && meta::controller_of(pod).is_none());
        let Some(pod) = orphan else { return Vec::new() };
        let wants = |set: &Object| !meta::is_being_deleted(set) && selector(set).matches(&labels(&pod));
        view.list(self.kind, namespace).find(wants).map(|set| adopt(&POD, &pod, &set)).into_iter().collect()
    }

    fn attend(&self, view: &dyn View, set: &Value, now: Timestamp) -> Plan {
        let Claimed { pods, mut actions } = claim(view, set);
        let active: Vec<&Object> = pods.iter().filter(|pod| is_active(pod)).collect();
        let terminating = pods.iter().filter(|pod| is_terminating(pod)).count();
        let wanted = usize::try_from(count(set, "/spec/replicas")).unwrap_or_default();
        let mut wake_at = None;
        let mut failure = None;
        let refused = view.failure().map(|why| without_made_name(why, set));
        if !meta::is_being_deleted(set) {
            if active.len() < wanted {
                failure = refused.as_deref().map(|why| ("FailedCreate", why));
                let batch = batch(active.len(), wanted, failure.is_some());
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
        actions.extend(write_status(self.kind, set, seen.status()));
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
            let delete = Action::Delete { target: Target::of(&POD, pod), only: Only::uid(pod), propagation: None };
            let news = News::normal("SuccessfulDelete", format!("Deleted pod: {}", meta::name(pod)));
            delete.then(news.tell(set, self.name, now))
        };
        ranked.into_iter().map(one).collect()
    }
}

/// How many pods to make now: twice as many as the time before, and one where that failed.
fn batch(there: usize, wanted: usize, failed: bool) -> usize {
    let next = if failed { 1 } else { there + 1 };
    (wanted - there).min(next).min(BURST)
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
