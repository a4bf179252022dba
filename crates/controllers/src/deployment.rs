//! Deployment: ReplicaSets, one for each template it had, scaled so that the newest replaces the others step by step.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>.
//!
//! A run works on a model of all its sets (`sets`): it finds or makes the newest (`newest`), decides sizes (`scale`,
//! `rollout`), drops old history (`history`), says how things are (`status`), and the differences are its plan.
//! Leaves out: rolling back by annotation, which no present client uses.

use api::{
    kinds::{deployment::DEPLOYMENT, read::text, replica_set::REPLICA_SET, workload::selector},
    meta,
};
use jiff::Timestamp;

use crate::{
    Action, Change, Controller, Key, Kinds, Plan, View, Watch, change,
    view::Object,
    workload::{adopt, labels},
};

mod conditions;
mod history;
mod newest;
mod rollout;
mod scale;
mod sets;
mod status;
#[cfg(test)]
mod tests;

use sets::Rollout;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: NAME,
    account: "deployment-controller",
    watches: &[
        Watch { kinds: Kinds::One(&DEPLOYMENT), keys: change::itself },
        Watch { kinds: Kinds::One(&REPLICA_SET), keys: of_sets },
    ],
    facts: change::no_facts,
    reconcile,
};

const NAME: &str = "deployment-controller";

/// Start of the name of a key that stands for a ReplicaSet without a controller; no object's name has it.
const ORPHAN: &str = "orphan/";

/// The deployment that controls a set; and a set that nobody controls, if somebody may want it now. A set's status tells
/// when its last pod is gone, so that pods need not be watched.
fn of_sets(change: &dyn Change, keys: &mut Vec<Key>) {
    let (old, new) = (change.before(), change.after());
    for set in [&old, &new].into_iter().flatten() {
        let owner = meta::controller_of(set).filter(|owner| text(owner, "/kind") == "Deployment");
        keys.extend(owner.map(|owner| Key::new(change.namespace(), text(owner, "/name"))));
    }
    let Some(set) = new.filter(|set| meta::controller_of(set).is_none()) else { return };
    let same = |old: &Object| labels(old) == labels(&set) && meta::controller_of(old).is_none();
    if !old.is_some_and(|old| same(&old)) && !labels(&set).is_empty() {
        keys.push(Key::new(change.namespace(), format!("{ORPHAN}{}", change.name())));
    }
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    if let Some(set) = key.name.strip_prefix(ORPHAN) {
        return Plan { actions: take_in(view, &key.namespace, set), wake_at: None };
    }
    match view.get(&DEPLOYMENT, &key.namespace, &key.name) {
        Some(deployment) => attend(view, deployment, now),
        None => Plan::default(),
    }
}

/// A deployment adopts an orphan that it selects.
fn take_in(view: &dyn View, namespace: &str, set: &str) -> Vec<Action> {
    let orphan = |set: &Object| !meta::is_being_deleted(set) && meta::controller_of(set).is_none();
    let Some(set) = view.get(&REPLICA_SET, namespace, set).filter(orphan) else { return Vec::new() };
    let wants = |one: &Object| !meta::is_being_deleted(one) && selector(one).matches(&labels(&set));
    view.list(&DEPLOYMENT, namespace).find(wants).map(|one| adopt(&REPLICA_SET, &set, &one)).into_iter().collect()
}

fn attend(view: &dyn View, deployment: Object, now: Timestamp) -> Plan {
    let mut rollout = Rollout::new(view, &deployment, now);
    if meta::is_being_deleted(&deployment) {
        rollout.find_newest();
        rollout.tell_status();
        return rollout.plan();
    }
    rollout.tell_pause();
    if rollout.is_paused() || rollout.is_scaled_anew() {
        rollout.sync();
    } else if rollout.recreates() {
        rollout.recreate();
    } else {
        rollout.roll();
    }
    rollout.plan()
}
