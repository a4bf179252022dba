//! The owners of an object, as a View knows them. Main type: [`Owners`].
//! Spec: <https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/>.

use api::{
    kinds::{Kind, by_kind, read::text},
    meta,
};
use serde_json::Value;

use super::{FOREGROUND, key_of, waits};
use crate::{Event, Key, View};

/// What is known of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is there.
    Solid,
    /// It is there and waits for its dependents to go.
    Waiting,
    /// It is not there.
    Gone,
    /// Its kind is not served here, so nobody can say.
    Unknown,
    /// It lives in a namespace, what it owns does not: it cannot be named.
    Misplaced,
}

/// An object's owner references, and what is known of each.
pub(super) struct Owners<'a>(Vec<(&'a Value, State)>);

impl<'a> Owners<'a> {
    pub(super) fn of(view: &dyn View, object: &'a Value) -> Self {
        let namespace = meta::namespace(object);
        let references = meta::owner_references(object).iter();
        Self(references.map(|reference| (reference, state(view, namespace, reference))).collect())
    }

    fn any(&self, wanted: State) -> bool {
        self.0.iter().any(|(_, state)| *state == wanted)
    }

    pub(super) fn any_solid(&self) -> bool {
        self.any(State::Solid)
    }

    pub(super) fn any_waiting(&self) -> bool {
        self.any(State::Waiting)
    }

    pub(super) fn unknown(&self) -> bool {
        self.any(State::Unknown)
    }

    pub(super) fn is_solid(&self, reference: &Value) -> bool {
        self.0.iter().any(|(one, state)| *one == reference && *state == State::Solid)
    }

    /// Tells of an owner that can never be found.
    pub(super) fn misplaced(&self, object: &Value) -> Option<Event> {
        let (reference, _) = self.0.iter().find(|(_, state)| *state == State::Misplaced)?;
        let part = |field: &str| text(reference, field);
        let named = format!(
            "[{}/{}, namespace: , name: {}, uid: {}]",
            part("/apiVersion"),
            part("/kind"),
            part("/name"),
            part("/uid")
        );
        let message = format!("ownerRef {named} does not exist in namespace \"\"");
        Some(Event { about: object.clone(), severity: "Warning", reason: "OwnerRefInvalidNamespace", message })
    }
}

fn state(view: &dyn View, namespace: &str, reference: &Value) -> State {
    let kind = kind(text(reference, "/apiVersion"), text(reference, "/kind"));
    let Some(kind) = kind.filter(|kind| kind.storage.is_some()) else { return State::Unknown };
    if kind.namespaced && namespace.is_empty() {
        return State::Misplaced;
    }
    let namespace = if kind.namespaced { namespace } else { "" };
    let owner = view.get(kind, namespace, text(reference, "/name"));
    match owner.filter(|owner| meta::uid(owner) == text(reference, "/uid")) {
        None => State::Gone,
        Some(owner) if waits(&owner, FOREGROUND) => State::Waiting,
        Some(_) => State::Solid,
    }
}

/// The kind of this type, where it is served.
pub(super) fn kind(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    by_kind(group, version, kind)
}

/// The keys of an object's owners.
pub(super) fn keys(object: &Value) -> impl Iterator<Item = Key> {
    let namespace = meta::namespace(object);
    meta::owner_references(object).iter().filter_map(move |reference| {
        let kind = kind(text(reference, "/apiVersion"), text(reference, "/kind"))?;
        key_of(kind, namespace, text(reference, "/name"))
    })
}

/// Whether an object keeps this owner from going first.
pub(super) fn blocks(object: &Value, uid: &str) -> bool {
    let references = meta::owner_references(object).iter();
    references.filter(|reference| reference["uid"] == uid).any(|reference| reference["blockOwnerDeletion"] == true)
}
