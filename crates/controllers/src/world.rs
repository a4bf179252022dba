//! A View for tests: objects in a map, and plans told in one line per action. Main type: [`World`].

use std::{collections::BTreeMap, sync::Arc};

use api::{
    kinds::{Kind, OWNER_INDEX},
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Action, Change, Cluster, Controller, Key, Object, Patch, Plan, Target, View, change};

mod carry;

/// Objects by storage prefix, namespace and name.
#[derive(Debug)]
pub(crate) struct World {
    objects: BTreeMap<(&'static str, String, String), Object>,
    cluster: Cluster,
    failure: Option<String>,
    now: Timestamp,
}

impl Default for World {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            cluster: Cluster { root_ca_pem: "PEM".into(), members: Vec::new() },
            failure: None,
            now: Timestamp::UNIX_EPOCH,
        }
    }
}

/// An object whose deletion has begun.
pub(crate) fn dying(finalizers: &[&str]) -> Value {
    json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers } })
}

/// The object with what every stored one has; its UID is `u-<name>`.
fn complete(kind: &Kind, namespace: &str, name: &str, mut object: Value) -> Value {
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.into();
    meta::set_name(&mut object, name);
    meta::set_namespace(&mut object, namespace);
    meta::set_uid(&mut object, format!("u-{name}"));
    meta::set_resource_version(&mut object, "1");
    object
}

fn prefix(kind: &Kind) -> &'static str {
    kind.storage.as_ref().expect("a stored kind").prefix
}

impl World {
    pub(crate) fn with(mut self, kind: &'static Kind, namespace: &str, name: &str, object: Value) -> Self {
        let object = Arc::new(complete(kind, namespace, name, object));
        self.objects.insert((prefix(kind), namespace.into(), name.into()), object);
        self
    }

    pub(crate) fn member(mut self, member: crate::view::Member) -> Self {
        self.cluster.members.push(member);
        self
    }

    pub(crate) fn without(mut self, kind: &'static Kind, namespace: &str, name: &str) -> Self {
        self.objects.remove(&(prefix(kind), namespace.into(), name.into()));
        self
    }

    pub(crate) fn object(&self, kind: &'static Kind, namespace: &str, name: &str) -> Object {
        self.get(kind, namespace, name).unwrap_or_else(|| panic!("{} {namespace}/{name} is there", kind.plural))
    }

    /// The last plan failed, with these words.
    pub(crate) fn failed(mut self, why: &str) -> Self {
        self.failure = Some(why.into());
        self
    }

    /// At this time, in seconds since 1970.
    pub(crate) fn at(mut self, second: i64) -> Self {
        self.now = Timestamp::from_second(second).expect("a second in this age");
        self
    }

    pub(crate) fn plan(&self, controller: &Controller, key: &Key) -> Plan {
        (controller.reconcile)(self, key, self.now)
    }

    /// What a controller wants done for a key.
    pub(crate) fn told(&self, controller: &Controller, key: &Key) -> Vec<String> {
        each(self.plan(controller, key).actions).iter().map(tell).collect()
    }

    /// The keys that a change wakes where nothing else is.
    pub(crate) fn keys(
        controller: &Controller,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        old: Option<Value>,
        new: Option<Value>,
    ) -> Vec<Key> {
        Self::default().woken(controller, kind, namespace, name, old, new)
    }

    /// The keys that a change wakes.
    pub(crate) fn woken(
        &self,
        controller: &Controller,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        old: Option<Value>,
        new: Option<Value>,
    ) -> Vec<Key> {
        let whole = |object: Option<Value>| object.map(|object| Arc::new(complete(kind, namespace, name, object)));
        let change = Changed { kind, namespace, name, old: whole(old), new: whole(new), world: self };
        let watches = controller.watches.iter();
        let concerned = watches.filter(|watch| watch.kinds.each().any(|watched| std::ptr::eq(watched, kind)));
        let mut keys = Vec::new();
        concerned.for_each(|watch| (watch.keys)(&change, &mut keys));
        keys
    }
}

/// Actions one by one, those that come after others too.
fn each(actions: Vec<Action>) -> Vec<Action> {
    let both = |action: Action| {
        let (first, second) = action.parted();
        std::iter::once(first).chain(second)
    };
    actions.into_iter().flat_map(both).collect()
}

fn tell(action: &Action) -> String {
    let at = |namespace: &str, name: &str| match namespace {
        "" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    };
    let place = |target: &Target| format!("{} {}", target.kind.plural, at(&target.namespace, &target.name));
    match action {
        Action::Create { kind, object, .. } if kind.kind == "Event" => {
            let word = |field: &str| object[field].as_str().unwrap_or_default();
            format!("event {}: {}", word("reason"), word("message"))
        }
        Action::Create { kind, namespace, object } => {
            format!("create {} {}", kind.plural, at(namespace, meta::name(object)))
        }
        Action::Update { kind, part, object } => {
            let part = if part.is_empty() { String::new() } else { format!("/{part}") };
            format!("update {}{part} {}", kind.plural, at(meta::namespace(object), meta::name(object)))
        }
        Action::Patch { target, patch: Patch::Merge(patch) | Patch::Json(patch), .. } => {
            format!("patch {} {patch}", place(target))
        }
        Action::Remove { target, .. } => format!("remove {}", place(target)),
        Action::Delete { target, propagation, .. } => {
            format!("delete {} {}", place(target), propagation.map_or("", |how| how.as_str()))
        }
        Action::RemoveData { node, handle } => format!("remove data {node} {handle}"),
        Action::Event(event) => format!("event {}: {}", event.reason, event.message),
        Action::Then(first, second) => format!("{}, then {}", tell(first), tell(second)),
    }
}

impl View for World {
    fn revision(&self) -> u64 {
        1
    }

    fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Object> {
        self.objects.get(&(prefix(kind), namespace.to_owned(), name.to_owned())).cloned()
    }

    fn list<'a>(&'a self, kind: &'a Kind, namespace: &'a str) -> Box<dyn Iterator<Item = Object> + 'a> {
        let of = move |(of, within, _): &(&str, String, String)| {
            *of == prefix(kind) && (namespace.is_empty() || within == namespace)
        };
        Box::new(self.objects.iter().filter(move |(key, _)| of(key)).map(|(_, object)| object.clone()))
    }

    fn by_owner<'a>(&'a self, uid: &'a str) -> Box<dyn Iterator<Item = Object> + 'a> {
        Box::new(change::stored().flat_map(move |kind| self.by_index(kind, OWNER_INDEX, uid).collect::<Vec<_>>()))
    }

    fn by_index<'a>(&'a self, kind: &'a Kind, index: &'a str, value: &'a str) -> Box<dyn Iterator<Item = Object> + 'a> {
        let index = kind.indexes.iter().find(|row| row.name == index);
        let found =
            move |object: &Object| index.is_some_and(|index| (index.values)(object).iter().any(|found| found == value));
        Box::new(self.list(kind, "").filter(found))
    }

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

struct Changed<'a> {
    kind: &'static Kind,
    namespace: &'a str,
    name: &'a str,
    old: Option<Object>,
    new: Option<Object>,
    world: &'a World,
}

impl Change for Changed<'_> {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn namespace(&self) -> &str {
        self.namespace
    }

    fn name(&self) -> &str {
        self.name
    }

    fn before(&self) -> Option<Object> {
        self.old.clone()
    }

    fn after(&self) -> Option<Object> {
        self.new.clone()
    }

    fn removed(&self) -> bool {
        self.new.is_none()
    }

    fn neighbours(&self, kind: &'static Kind) -> Vec<Object> {
        self.world.list(kind, self.namespace).collect()
    }
}
