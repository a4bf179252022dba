//! The templates that a DaemonSet or StatefulSet had, as ControllerRevisions. Main type: [`History`].
//! Spec: <https://kubernetes.io/docs/tasks/manage-daemon/rollback-daemon-set/#understanding-daemonset-revisions>.
//!
//! A revision holds a patch that brings its template back, which `kubectl rollout undo` sends as it is. Its name is made of
//! the template, so that a template that comes back finds its revision, which is numbered anew.

use api::{
    kinds::{
        controller_revision::CONTROLLER_REVISION,
        workload::{count, selector},
    },
    meta,
};
use serde_json::{Value, json};

use crate::{
    Action, Only, Patch, Target, View,
    view::Object,
    workload::{Hash, adopt, claim::is_new, controlled, labels, owner_reference},
};

/// Bytes of an owner's name in its revisions' names: the rest is for a dash and the hash, as upstream.
const STEM_BYTES: usize = 223;

/// The revisions of one owner, from the oldest to the newest.
pub(crate) struct History<'a> {
    view: &'a dyn View,
    owner: &'a Value,
    /// Label of a revision that has the hash in its name.
    hash_label: &'static str,
    revisions: Vec<Object>,
    /// What is to be done about them.
    pub(crate) actions: Vec<Action>,
}

/// The revision of the present template.
pub(crate) enum Present {
    /// It is there.
    Known(Object),
    /// It is to be made first.
    Missing(Box<Action>),
    /// Its name belongs to something else: a collision is to be counted, which changes the name.
    Taken,
}

impl<'a> History<'a> {
    pub(crate) fn of(view: &'a dyn View, owner: &'a Value, hash_label: &'static str) -> Self {
        let mut revisions = controlled(view, &CONTROLLER_REVISION, owner);
        let mut actions = Vec::new();
        if is_new(owner) && !meta::is_being_deleted(owner) {
            let selector = selector(owner);
            let orphan = |one: &Object| meta::controller_of(one).is_none() && selector.matches(&labels(one));
            let orphans: Vec<Object> = view.list(&CONTROLLER_REVISION, meta::namespace(owner)).filter(orphan).collect();
            actions.extend(orphans.iter().map(|one| adopt(&CONTROLLER_REVISION, one, owner)));
            revisions.extend(orphans);
        }
        let age = |one: &Object| (number(one), meta::creation_timestamp(one).to_owned(), meta::name(one).to_owned());
        revisions.sort_by_cached_key(age);
        Self { view, owner, hash_label, revisions, actions }
    }

    /// Finds the revision of the present template; one that was an earlier one becomes the newest.
    pub(crate) fn present(&mut self) -> Present {
        let data = data_of(self.owner);
        let same = |one: &Object| one.get("data") == Some(&data);
        let newest_other = self.revisions.iter().filter(|one| !same(one)).map(|one| number(one)).max();
        let next = newest_other.unwrap_or_default() + 1;
        let Some(known) = self.revisions.iter().rfind(|one| same(one)).cloned() else { return self.make(&data, next) };
        if number(&known) < next && !meta::is_being_deleted(self.owner) {
            self.actions.push(Action::Patch {
                target: Target::of(&CONTROLLER_REVISION, &known),
                part: "",
                patch: Patch::Merge(json!({ "revision": next })),
                only: Only::unchanged(&known),
            });
        }
        Present::Known(known)
    }

    fn make(&self, data: &Value, number: i64) -> Present {
        let hash = Hash::new().add(data.to_string());
        let hash = match count(self.owner, "/status/collisionCount") {
            0 => hash,
            collisions => hash.add(collisions.to_le_bytes()),
        };
        let hash = hash.name();
        let stem: String = meta::name(self.owner).chars().take(STEM_BYTES).collect();
        let (name, namespace) = (format!("{stem}-{hash}"), meta::namespace(self.owner));
        if self.view.get(&CONTROLLER_REVISION, namespace, &name).is_some() {
            return Present::Taken;
        }
        let mut labels = self.owner.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        labels[self.hash_label] = hash.into();
        let mut metadata = json!({ "name": name, "labels": labels, "ownerReferences": [owner_reference(self.owner)] });
        if let Some(annotations) = self.owner.pointer("/metadata/annotations") {
            metadata["annotations"] = annotations.clone();
        }
        let object = json!({ "metadata": metadata, "data": data, "revision": number });
        let namespace = namespace.to_owned();
        Present::Missing(Box::new(Action::Create { kind: &CONTROLLER_REVISION, namespace, object }))
    }

    /// The revision of a name.
    pub(crate) fn named(&self, name: &str) -> Option<Object> {
        self.revisions.iter().find(|one| meta::name(one) == name).cloned()
    }

    /// All of them but one, from the oldest on.
    pub(crate) fn but<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Object> {
        self.revisions.iter().filter(move |one| meta::name(one) != name)
    }

    /// How many the owner wants to keep beside those in use.
    pub(crate) fn limit(&self) -> usize {
        usize::try_from(count(self.owner, "/spec/revisionHistoryLimit")).unwrap_or(usize::MAX)
    }
}

/// The status that counts one more name that was taken.
pub(crate) fn collided(owner: &Value) -> Value {
    let mut status = owner.get("status").cloned().unwrap_or_else(|| json!({}));
    status["collisionCount"] = (count(owner, "/status/collisionCount") + 1).into();
    status
}

/// Drops a revision.
pub(crate) fn drop_revision(revision: &Object) -> Action {
    let (target, only) = (Target::of(&CONTROLLER_REVISION, revision), Only::uid(revision));
    Action::Delete { target, only, propagation: None }
}

/// The template that a revision holds.
pub(crate) fn template_of(revision: &Value) -> Value {
    let mut template = revision.pointer("/data/spec/template").cloned().unwrap_or_default();
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    template
}

/// A strategic merge patch that brings an owner's present template back.
fn data_of(owner: &Value) -> Value {
    let mut template = owner.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    template["$patch"] = "replace".into();
    json!({ "spec": { "template": template } })
}

fn number(revision: &Value) -> i64 {
    count(revision, "/revision")
}
