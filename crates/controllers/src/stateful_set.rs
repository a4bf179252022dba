//! StatefulSet: pods with names that last, made and ended in order.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/>.
//!
//! A pod is made only where its name is free, and its name is free only once the pod before it is gone: of a pod whose node
//! is not heard of there are never two. A run finds the revisions (`history`), then decides (`steps`) on the pods
//! (`identity`) and their claims (`claims`), and says how things are (`status`).

use api::kinds::{
    controller_revision::CONTROLLER_REVISION, persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, pod::POD, read::text,
    stateful_set::STATEFUL_SET, workload::count,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Change, Controller, Key, Kinds, Plan, View, Watch, change,
    history::{History, Present, collided, drop_revision},
    view::Object,
    workload::{
        claim::{Claim, Claimed},
        write_status,
    },
};

mod claims;
mod identity;
mod status;
mod steps;
#[cfg(test)]
mod tests;

use identity::revision_of;
use steps::Set;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: NAME,
    account: NAME,
    watches: &[
        Watch { kinds: Kinds::One(&STATEFUL_SET), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: |change, keys| CLAIM.of_pods(change, keys) },
        Watch { kinds: Kinds::One(&CONTROLLER_REVISION), keys: |change, keys| CLAIM.of_owned(change, keys) },
        Watch { kinds: Kinds::One(&PERSISTENT_VOLUME_CLAIM), keys: of_claims },
    ],
    facts: change::no_facts,
    reconcile: |view, key, now| CLAIM.reconcile(view, key, |set| attend(view, set, now)),
};

const NAME: &str = "statefulset-controller";

/// Its pods are those that have its name and a number.
const CLAIM: Claim = Claim::only(&STATEFUL_SET, |set, pod| identity::ordinal_of(set, pod).is_some());

/// Label of a revision that has the hash in its name.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// The sets that may wait for a claim to be gone.
fn of_claims(change: &dyn Change, keys: &mut Vec<Key>) {
    if change.removed() {
        let sets = change.neighbours(&STATEFUL_SET).into_iter().filter(|set| claims::is_of(set, change.name()));
        keys.extend(sets.map(|set| Key::new(change.namespace(), api::meta::name(&set))));
    }
}

fn attend(view: &dyn View, set: &Object, now: Timestamp) -> Plan {
    let Claimed { pods, mut actions } = CLAIM.pods(view, set);
    let mut history = History::of(view, set, HASH_LABEL);
    let update = history.present();
    actions.append(&mut history.actions);
    let update = match update {
        Present::Known(update) => update,
        _ if api::meta::is_being_deleted(set) => return Plan { actions, wake_at: None },
        Present::Missing(make) => {
            actions.push(*make);
            return Plan { actions, wake_at: None };
        }
        Present::Taken => {
            actions.extend(write_status(&STATEFUL_SET, set, collided(set)));
            return Plan { actions, wake_at: None };
        }
    };
    let current = history.named(text(set, "/status/currentRevision")).unwrap_or_else(|| update.clone());
    actions.extend(outdated(&history, &current, &update, &pods));
    let run = Set { view, set, now, current: &current, update: &update, pods: &pods };
    let plan = run.plan();
    actions.extend(plan.actions);
    actions.extend(write_status(&STATEFUL_SET, set, run.status()));
    Plan { actions, wake_at: plan.wake_at }
}

/// Revisions beyond the limit that no pod has and none will have, the oldest first.
fn outdated(history: &History<'_>, current: &Value, update: &Value, pods: &[Object]) -> Vec<crate::Action> {
    let name = api::meta::name;
    let live = |one: &&Object| name(one) == name(current) || pods.iter().any(|pod| revision_of(pod) == name(one));
    let idle: Vec<&Object> = history.but(name(update)).filter(|one| !live(one)).collect();
    let surplus = idle.len().saturating_sub(history.limit());
    idle.into_iter().take(surplus).map(drop_revision).collect()
}

/// The first of its numbers.
fn start(set: &Value) -> i64 {
    count(set, "/spec/ordinals/start")
}
