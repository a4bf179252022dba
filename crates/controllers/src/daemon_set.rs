//! DaemonSet: a pod on each node that is meant.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/>.
//!
//! A run finds the revision (`history`) and which nodes are meant (`nodes`), then what each node lacks or has too much of
//! (`manage`); only where that is nothing, old pods are replaced (`rollout`). Pods (`pods`) are bound by the scheduler, to the
//! one node that their affinity names.

use api::{
    kinds::{controller_revision::CONTROLLER_REVISION, daemon_set::DAEMON_SET, node::NODE, pod::POD},
    meta,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Action, Change, Controller, Key, Kinds, Plan, View, Watch, change,
    history::{History, Present, collided, drop_revision},
    view::Object,
    workload::{
        claim::{Claim, Claimed},
        write_status,
    },
};

mod manage;
mod nodes;
mod pods;
mod rollout;
mod status;
#[cfg(test)]
mod tests;

use nodes::Daemons;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: NAME,
    account: "daemon-set-controller",
    watches: &[
        Watch { kinds: Kinds::One(&DAEMON_SET), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: |change, keys| CLAIM.of_pods(change, keys) },
        Watch { kinds: Kinds::One(&CONTROLLER_REVISION), keys: |change, keys| CLAIM.of_owned(change, keys) },
        Watch { kinds: Kinds::One(&NODE), keys: of_nodes },
    ],
    facts: change::no_facts,
    reconcile: |view, key, now| CLAIM.reconcile(view, key, |set| attend(view, set, now)),
};

/// Its name in events, which is not that of its account.
const NAME: &str = "daemonset-controller";

const CLAIM: Claim = Claim::any(&DAEMON_SET);

/// Label of revisions and pods: the hash of the template.
const HASH_LABEL: &str = "controller-revision-hash";

/// A node concerns every set, where what sets look at has changed.
fn of_nodes(change: &dyn Change, keys: &mut Vec<Key>) {
    let seen = |node: &Object| (node.pointer("/metadata/labels").cloned(), node.pointer("/spec/taints").cloned());
    let (old, new) = (change.before(), change.after());
    if old.is_some() && old.as_ref().map(seen) == new.as_ref().map(seen) {
        return;
    }
    let sets = change.neighbours(&DAEMON_SET);
    keys.extend(sets.iter().map(|set| Key::new(meta::namespace(set), meta::name(set))));
}

/// A set that is being deleted is left to the garbage collector: what its revisions were may be gone.
fn attend(view: &dyn View, set: &Object, now: Timestamp) -> Plan {
    if meta::is_being_deleted(set) {
        return Plan::default();
    }
    let Claimed { pods, mut actions } = CLAIM.pods(view, set);
    let mut history = History::of(view, set, HASH_LABEL);
    let present = history.present();
    actions.append(&mut history.actions);
    match present {
        Present::Known(revision) => {
            actions.extend(outdated(&history, &revision, &pods));
            let run = Daemons::new(view, set, now, meta::label(&revision, HASH_LABEL).unwrap_or_default(), pods);
            let plan = run.plan();
            actions.extend(plan.actions);
            actions.extend(write_status(&DAEMON_SET, set, run.status()));
            Plan { actions, wake_at: plan.wake_at }
        }
        Present::Missing(make) => {
            actions.push(*make);
            Plan { actions, wake_at: None }
        }
        Present::Taken => {
            actions.extend(write_status(&DAEMON_SET, set, collided(set)));
            Plan { actions, wake_at: None }
        }
    }
}

/// Revisions beyond the limit that no pod has, the oldest first.
fn outdated(history: &History<'_>, present: &Value, pods: &[Object]) -> Vec<Action> {
    let old: Vec<&Object> = history.but(meta::name(present)).collect();
    let surplus = old.len().saturating_sub(history.limit());
    let hash = |one: &Object| meta::label(one, HASH_LABEL).map(str::to_owned);
    let idle = old.into_iter().filter(|one| !pods.iter().any(|pod| hash(pod) == hash(one)));
    idle.take(surplus).map(drop_revision).collect()
}
