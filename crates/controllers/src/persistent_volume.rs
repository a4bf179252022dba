//! PersistentVolume and PersistentVolumeClaim: brings the two together, has volumes made that are missing, and removes those
//! that nobody claims any more. Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#lifecycle-of-a-volume-and-claim>.
//!
//! A binding is written on both sides, the volume's first (`bind`); one that is half done is completed by whoever looks
//! next, whether its volume was chosen here, by the scheduler or by a person. Of a claim decide `claims`, of a volume
//! `volumes`; `provision` finds who makes what is missing, and `local` does where it is ours to. Volumes for a claim, free
//! ones of a class and claims that wait for either are found by indexes. Leaves out: volumes that grow, migration of
//! drivers that were part of Kubernetes.

use std::collections::BTreeSet;

use api::{
    kinds::{
        persistent_volume::{
            PERSISTENT_VOLUME,
            index::{self, free_of},
        },
        persistent_volume_claim::{PERSISTENT_VOLUME_CLAIM, index::WANTS},
        read::text,
        storage_class::{STORAGE_CLASS, is_default},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{Action, Change, Controller, Event, Key, Kinds, Plan, View, Watch, change, view::Object, workload::sooner};

mod bind;
mod claims;
mod local;
mod provision;
mod reclaim;
#[cfg(test)]
mod tests;
mod volumes;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "persistentvolume-controller",
    account: "persistent-volume-binder",
    watches: &[
        Watch { kinds: Kinds::One(&PERSISTENT_VOLUME), keys: of_volume },
        Watch { kinds: Kinds::One(&PERSISTENT_VOLUME_CLAIM), keys: of_claim },
        Watch { kinds: Kinds::One(&STORAGE_CLASS), keys: of_class },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Actions of one run over claims that wait for the same; where there are more it runs again.
const BURST: usize = 500;

/// Time after which a volume that could not be made is tried again: nothing tells of what stood in its way.
const PAUSE: SignedDuration = SignedDuration::from_secs(15);

/// The key of the claims that wait for a volume of a class.
fn class_key(class: &str) -> Key {
    Key::new("", format!("class/{class}"))
}

/// A volume concerns itself, the claims it is or was for, those that name it, and while it is free those of its class.
fn of_volume(change: &dyn Change, keys: &mut Vec<Key>) {
    let (old, new) = (change.before(), change.after());
    keys.push(Key::new("", change.name()));
    keys.push(Key::new("", format!("volume/{}", change.name())));
    let claims = [&old, &new].into_iter().flatten().filter_map(|volume| index::claim(volume));
    keys.extend(claims.map(|(namespace, name)| Key::new(namespace, name)));
    keys.extend(new.iter().filter_map(|volume| free_of(volume)).map(class_key));
}

/// A claim concerns itself and the volumes that it has or had.
fn of_claim(change: &dyn Change, keys: &mut Vec<Key>) {
    let (old, new) = (change.before(), change.after());
    change::itself(change, keys);
    let volumes = [&old, &new].into_iter().flatten().map(|claim| text(claim, "/spec/volumeName"));
    keys.extend(volumes.filter(|name| !name.is_empty()).map(|name| Key::new("", name)));
}

/// A class concerns the claims that wait for one of its volumes, and as the default one those of none.
fn of_class(change: &dyn Change, keys: &mut Vec<Key>) {
    keys.push(class_key(change.name()));
    if change.after().is_some_and(|class| is_default(&class)) {
        keys.push(class_key(""));
    }
}

/// One look at the cluster.
struct Run<'a> {
    view: &'a dyn View,
    now: Timestamp,
    /// Names of the free volumes that went to a claim in this run.
    taken: BTreeSet<String>,
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let mut run = Run { view, now, taken: BTreeSet::new() };
    match (key.namespace.as_str(), key.name.as_str()) {
        ("", wanted) if wanted.contains('/') => run.waiting(wanted),
        ("", name) => view.get(&PERSISTENT_VOLUME, "", name).map(|one| plan(run.volume(&one))).unwrap_or_default(),
        (namespace, name) => run.claim(namespace, name),
    }
}

impl Run<'_> {
    /// Looks after the claims that wait for this, those first that wait for longest. They have their news already.
    fn waiting(&mut self, wanted: &str) -> Plan {
        let mut claims: Vec<Object> = self.view.by_index(&PERSISTENT_VOLUME_CLAIM, WANTS, wanted).collect();
        claims.sort_by_cached_key(|claim| meta::creation_timestamp(claim).to_owned());
        let mut all = Plan::default();
        for claim in claims {
            let Plan { actions, wake_at } = self.attend(&claim);
            all.actions.extend(actions.into_iter().filter(|action| !matches!(action, Action::Event(_))));
            all.wake_at = sooner(all.wake_at, wake_at);
            if all.actions.len() >= BURST {
                return Plan { wake_at: Some(self.now), ..all };
            }
        }
        all
    }
}

fn plan(actions: Vec<Action>) -> Plan {
    Plan { actions, wake_at: None }
}

fn normal(about: &Value, reason: &'static str, message: impl Into<String>) -> Action {
    Action::Event(Event { about: about.clone(), severity: "Normal", reason, message: message.into() })
}

fn warning(about: &Value, reason: &'static str, message: impl Into<String>) -> Action {
    Action::Event(Event { about: about.clone(), severity: "Warning", reason, message: message.into() })
}
