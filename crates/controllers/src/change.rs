//! What wakes deciders: a changed object, and the keys it concerns. Main types: [`Change`] and [`Watch`].

use api::kinds::{KINDS, Kind};

use crate::{Cluster, Key, view::Object};

/// One object that changed. It is decoded only when asked for, once for all who ask.
pub trait Change {
    /// Its kind, in the stored version.
    fn kind(&self) -> &'static Kind;

    /// Its namespace; empty if cluster-wide.
    fn namespace(&self) -> &str;

    /// Its name.
    fn name(&self) -> &str;

    /// What it was; `None` if it was created, and in a resync.
    fn before(&self) -> Option<Object>;

    /// What it is; `None` if it was removed.
    fn after(&self) -> Option<Object>;

    /// Whether it is there no longer.
    fn removed(&self) -> bool;

    /// Objects of a kind in its namespace, at this change or later.
    fn neighbours(&self, kind: &'static Kind) -> Vec<Object>;
}

/// Which kinds are watched.
#[derive(Clone, Copy, Debug)]
pub enum Kinds {
    /// One.
    One(&'static Kind),
    /// Every stored kind whose objects live in namespaces.
    Namespaced,
    /// Every stored kind that can have owners.
    Owned,
}

/// A source of keys.
#[derive(Debug)]
pub struct Watch {
    /// Changes of these.
    pub kinds: Kinds,
    /// The keys that a change concerns. May name too many, never too few.
    pub keys: fn(&dyn Change, &mut Vec<Key>),
}

impl Kinds {
    /// The kinds, each once, in their stored version.
    pub fn each(self) -> impl Iterator<Item = &'static Kind> {
        let wanted = move |kind: &&'static Kind| match self {
            Self::One(one) => std::ptr::eq(one, *kind),
            Self::Namespaced => kind.namespaced,
            Self::Owned => is_owned(kind),
        };
        stored().filter(wanted)
    }
}

/// Every kind of stored objects, once.
pub fn stored() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().filter(|kind| kind.storage.as_ref().is_some_and(|storage| storage.other.is_none()))
}

fn is_owned(kind: &Kind) -> bool {
    kind.indexes.iter().any(|index| index.name == api::kinds::OWNER_INDEX)
}

/// For a controller that facts about the cluster do not concern.
pub fn no_facts(_: &Cluster, _: &mut Vec<Key>) {}

/// The key that is the changed object's own name.
pub(crate) fn itself(change: &dyn Change, keys: &mut Vec<Key>) {
    keys.push(Key::new(change.namespace(), change.name()));
}
