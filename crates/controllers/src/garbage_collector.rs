//! Deletes objects whose owners are all gone; holds back owners that wait for their dependents, or let them stay.
//! Spec: <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>.
//!
//! A View is one revision of everything, so an owner that is not in it does not exist: there is no graph to build and
//! nothing to ask again. An owner of a kind that is not served is never taken for gone.

use api::{kinds::Kind, meta};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Patch, Plan, Propagation, Target, View, Watch, change::stored,
    view::Object,
};

mod owner;

use owner::Owners;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "garbage-collector",
    account: "generic-garbage-collector",
    watches: &[Watch { kinds: Kinds::Owned, keys }],
    facts: crate::change::no_facts,
    reconcile,
};

/// Finalizer of an owner that goes after its dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// Finalizer of an owner whose dependents stay.
const ORPHAN: &str = "orphan";

/// Start of the name of a key that stands for a UID of an object that is gone.
const GONE: &str = "uid/";

/// Dependents handled in one run; where there are more it runs again.
const DEPENDENTS: usize = 500;

/// An object's key: its namespace, and its storage prefix before its name.
fn key_of(kind: &Kind, namespace: &str, name: &str) -> Option<Key> {
    let prefix = kind.storage.as_ref()?.prefix;
    Some(Key::new(if kind.namespaced { namespace } else { "" }, format!("{prefix}/{name}")))
}

fn keys(change: &dyn Change, keys: &mut Vec<Key>) {
    let (old, new) = (change.before(), change.after());
    let own = || key_of(change.kind(), change.namespace(), change.name());
    let Some(new) = new else {
        let Some(old) = old else { return };
        keys.push(Key::new("", format!("{GONE}{}", meta::uid(&old))));
        keys.extend(owner::keys(&old));
        return;
    };
    let changed = |old: &Object| meta::owner_references(old) != meta::owner_references(&new);
    if let Some(old) = old.filter(changed) {
        keys.extend(owner::keys(&old));
    }
    if !meta::owner_references(&new).is_empty() || waits(&new, FOREGROUND) || waits(&new, ORPHAN) {
        keys.extend(own());
    }
}

/// Whether an object's deletion has begun and this finalizer holds it.
fn waits(object: &Value, finalizer: &str) -> bool {
    meta::is_being_deleted(object) && meta::finalizers(object).any(|one| one == finalizer)
}

fn reconcile(view: &dyn View, key: &Key, now: Timestamp) -> Plan {
    let actions: Vec<Action> = match key.name.strip_prefix(GONE) {
        Some(uid) => collect_all(view, view.by_owner(uid)),
        None => find(view, key).map(|object| attend(view, &object)).unwrap_or_default(),
    };
    let wake_at = (actions.len() >= DEPENDENTS).then_some(now);
    Plan { actions, wake_at }
}

fn find(view: &dyn View, key: &Key) -> Option<Object> {
    let (prefix, name) = key.name.rsplit_once('/')?;
    let kind = stored().find(|kind| kind.storage.as_ref().is_some_and(|storage| storage.prefix == prefix))?;
    view.get(kind, &key.namespace, name)
}

fn attend(view: &dyn View, object: &Value) -> Vec<Action> {
    if waits(object, ORPHAN) {
        return orphan(view, object);
    }
    if waits(object, FOREGROUND) {
        return after_dependents(view, object);
    }
    collect(view, object)
}

/// Frees the dependents of an owner, then the owner.
fn orphan(view: &dyn View, owner: &Value) -> Vec<Action> {
    let uid = meta::uid(owner);
    let dependents = view.by_owner(uid).take(DEPENDENTS);
    let freed: Vec<Action> = dependents.filter_map(|one| keep_owners(&one, |r| r["uid"] != uid)).collect();
    if freed.is_empty() { without_finalizer(owner, ORPHAN).into_iter().collect() } else { freed }
}

/// Deletes the dependents that hold an owner back; without such, the owner goes.
fn after_dependents(view: &dyn View, owner: &Value) -> Vec<Action> {
    let uid = meta::uid(owner);
    let mut holding = view.by_owner(uid).filter(|one| owner::blocks(one, uid)).peekable();
    if holding.peek().is_none() {
        return without_finalizer(owner, FOREGROUND).into_iter().collect();
    }
    collect_all(view, holding)
}

/// What becomes of the first of these that are not going already.
fn collect_all(view: &dyn View, objects: impl Iterator<Item = Object>) -> Vec<Action> {
    let staying = objects.filter(|object| !meta::is_being_deleted(object)).take(DEPENDENTS);
    staying.flat_map(|object| collect(view, &object)).collect()
}

/// What becomes of an object, given its owners.
fn collect(view: &dyn View, object: &Value) -> Vec<Action> {
    if meta::is_being_deleted(object) || meta::owner_references(object).is_empty() {
        return Vec::new();
    }
    let owners = Owners::of(view, object);
    if let Some(event) = owners.misplaced(object) {
        return vec![Action::Event(event)];
    }
    if owners.unknown() {
        return Vec::new();
    }
    if owners.any_solid() {
        return keep_owners(object, |reference| owners.is_solid(reference)).into_iter().collect();
    }
    let has_dependents = || view.by_owner(meta::uid(object)).next().is_some();
    let propagation = match owners.any_waiting() && has_dependents() {
        true => Propagation::Foreground,
        false => by_finalizers(object),
    };
    let Some(target) = target(object) else { return Vec::new() };
    vec![Action::Delete { target, only: Only::unchanged(object), propagation: Some(propagation) }]
}

/// As the object's finalizers ask.
fn by_finalizers(object: &Value) -> Propagation {
    let has = |name: &str| meta::finalizers(object).any(|one| one == name);
    match (has(ORPHAN), has(FOREGROUND)) {
        (true, _) => Propagation::Orphan,
        (_, true) => Propagation::Foreground,
        _ => Propagation::Background,
    }
}

fn target(object: &Value) -> Option<Target> {
    Some(Target::of(owner::kind(meta::api_version(object), meta::kind(object))?, object))
}

/// Takes off the owner references that are not kept; nothing if all are.
fn keep_owners(object: &Value, keep: impl Fn(&Value) -> bool) -> Option<Action> {
    let all = meta::owner_references(object);
    let kept: Vec<Value> = all.iter().filter(|reference| keep(reference)).cloned().collect();
    if kept.len() == all.len() {
        return None;
    }
    metadata(object, "ownerReferences", kept)
}

fn without_finalizer(object: &Value, finalizer: &str) -> Option<Action> {
    metadata(object, "finalizers", meta::finalizers(object).filter(|one| *one != finalizer).map(Value::from).collect())
}

fn metadata(object: &Value, field: &str, list: Vec<Value>) -> Option<Action> {
    let list = if list.is_empty() { Value::Null } else { list.into() };
    let patch = Patch::Merge(json!({ "metadata": { field: list } }));
    Some(Action::Patch { target: target(object)?, part: "", patch, only: Only::unchanged(object) })
}

#[cfg(test)]
mod tests;
