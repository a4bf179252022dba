//! What controllers of workloads share: when a pod counts as what, whose it is, names, and news for people.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>.

use api::{
    kinds::{
        Kind,
        event::CORE_EVENT,
        pod::{self, POD},
        read::{is_true, items, text},
    },
    meta,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{Action, Only, Patch, Target, View, view::Object};

pub(crate) mod claim;

/// Letters of names that are made: no vowels, so that they spell nothing.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Letters at the end of the name of a pod.
const SUFFIX: usize = 5;

/// Bytes of a name before letters are added to it, the dash included: made names stay labels, which hostnames must be.
const STEM_BYTES: usize = 63 - SUFFIX;

/// Bytes of an object's name in its events' names, which have room for 253.
const EVENT_NAME_BYTES: usize = 220;

/// Bytes of an event's message; the API allows no more.
const NOTE_BYTES: usize = 1024;

/// FNV-1a, 32 bits: names are made of it, so it never changes.
#[derive(Clone, Copy)]
pub(crate) struct Hash(u32);

impl Hash {
    pub(crate) const fn new() -> Self {
        Self(0x811c_9dc5)
    }

    pub(crate) fn add(self, bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().iter().fold(self.0, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)))
    }

    /// Its decimal digits in letters that are safe in names.
    pub(crate) fn name(self) -> String {
        self.0.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
    }

    /// One of so many; `None` of none.
    pub(crate) fn below(self, count: usize) -> Option<usize> {
        (self.0 as usize).checked_rem(count)
    }

    fn suffix(self) -> String {
        let letter = |at: u32| char::from(LETTERS[(self.0 / 27u32.pow(at)) as usize % LETTERS.len()]);
        (0..SUFFIX as u32).map(letter).collect()
    }
}

/// A name that no object of this kind has: the owner's, a dash and letters that depend on the revision seen, so that a plan
/// that is carried out twice makes the same object.
pub(crate) fn fresh_name(view: &dyn View, kind: &Kind, owner: &Value, at: usize) -> String {
    let stem: String = format!("{}-", meta::name(owner)).chars().take(STEM_BYTES).collect();
    fresh_name_from(view, kind, owner, &stem, at)
}

/// The same with a start of its own, which leaves room for the letters.
pub(crate) fn fresh_name_from(view: &dyn View, kind: &Kind, owner: &Value, stem: &str, at: usize) -> String {
    let start = Hash::new().add(meta::uid(owner)).add(view.revision().to_string()).add(at.to_string());
    let names = (0u8..=u8::MAX).map(|salt| format!("{stem}{}", start.add([0, salt]).suffix()));
    let free = |name: &String| view.get(kind, meta::namespace(owner), name).is_none();
    let mut names = names.filter(free);
    names.next().unwrap_or_else(|| format!("{stem}{}", start.name()))
}

/// A refusal that names what was to be made only by the start of its name, so that it is the same each time.
pub(crate) fn without_made_name(why: &str, owner: &Value) -> String {
    let start: String = format!("\"{}-", meta::name(owner)).chars().take(STEM_BYTES + 1).collect();
    let Some(at) = why.find(&start).map(|at| at + start.len()) else { return why.to_owned() };
    let made = why[at..].bytes().take_while(|byte| LETTERS.contains(byte)).count();
    if made != SUFFIX || !why[at + made..].starts_with('"') {
        return why.to_owned();
    }
    format!("{}{}", &why[..at], &why[at + made..])
}

/// Whether a pod is there to stay: neither ended nor being deleted.
pub(crate) fn is_active(pod: &Value) -> bool {
    !pod::is_terminal(pod) && !meta::is_being_deleted(pod)
}

/// Whether a pod is on its way out but not gone.
pub(crate) fn is_terminating(pod: &Value) -> bool {
    !pod::is_terminal(pod) && meta::is_being_deleted(pod)
}

/// Since when a pod is ready: `None` where it is not, the past where it does not say.
pub(crate) fn ready_since(pod: &Value) -> Option<Timestamp> {
    let ready = items(pod, "/status/conditions").iter().find(|condition| text(condition, "/type") == "Ready")?;
    let since = || meta::parse_time(text(ready, "/lastTransitionTime")).unwrap_or(Timestamp::MIN);
    (text(ready, "/status") == "True").then(since)
}

/// When a ready pod has been so for long enough.
pub(crate) fn available_at(pod: &Value, min_ready_seconds: i64) -> Option<Timestamp> {
    let since = ready_since(pod)?;
    if min_ready_seconds == 0 {
        return Some(Timestamp::MIN);
    }
    Some(since.saturating_add(SignedDuration::from_secs(min_ready_seconds)).unwrap_or(Timestamp::MAX))
}

/// Whether the owner with `controller: true` is this object.
pub(crate) fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    meta::controller_of(object).is_some_and(|reference| text(reference, "/uid") == meta::uid(owner))
}

/// Objects of a kind that this object controls.
pub(crate) fn controlled(view: &dyn View, kind: &Kind, owner: &Value) -> Vec<Object> {
    let of_kind = |object: &Object| meta::kind(object) == kind.kind && meta::api_version(object) == kind.api_version();
    view.by_owner(meta::uid(owner)).filter(|one| of_kind(one) && is_controlled_by(one, owner)).collect()
}

/// The reference by which a controller owns what it makes.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": meta::api_version(owner), "kind": meta::kind(owner), "name": meta::name(owner),
        "uid": meta::uid(owner), "controller": true, "blockOwnerDeletion": true,
    })
}

/// Labels, sorted by key, as selectors want them.
pub(crate) fn labels(object: &Value) -> Vec<(&str, &str)> {
    meta::labels(object).collect()
}

/// Takes an orphan.
pub(crate) fn adopt(kind: &'static Kind, orphan: &Value, owner: &Value) -> Action {
    let mut owners = meta::owner_references(orphan).to_vec();
    owners.push(owner_reference(owner));
    owned_by(kind, orphan, owners)
}

/// Lets go what is selected no longer.
pub(crate) fn release(kind: &'static Kind, object: &Value, owner: &Value) -> Action {
    let others = meta::owner_references(object).iter().filter(|one| text(one, "/uid") != meta::uid(owner));
    owned_by(kind, object, others.cloned().collect())
}

fn owned_by(kind: &'static Kind, object: &Value, owners: Vec<Value>) -> Action {
    let owners = if owners.is_empty() { Value::Null } else { owners.into() };
    Action::Patch {
        target: Target::of(kind, object),
        part: "",
        patch: Patch::Merge(json!({ "metadata": { "ownerReferences": owners } })),
        only: Only::unchanged(object),
    }
}

/// How many pods to make now of those that are missing: twice as many as the time before, and one where that failed.
pub(crate) fn batch(there: usize, missing: usize, failed: bool) -> usize {
    missing.min(if failed { 1 } else { there + 1 })
}

/// A pod from an owner's template.
pub(crate) fn pod_of(owner: &Value, template: &Value, name: String) -> Action {
    let mut metadata = json!({ "name": name, "ownerReferences": [owner_reference(owner)] });
    metadata["generateName"] = format!("{}-", meta::name(owner)).into();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.pointer(&format!("/metadata/{field}")) {
            metadata[field] = value.clone();
        }
    }
    let spec = template.get("spec").cloned().unwrap_or_default();
    let namespace = meta::namespace(owner).to_owned();
    Action::Create { kind: &POD, namespace, object: json!({ "metadata": metadata, "spec": spec }) }
}

/// News about an object, one Event for each, unlike [`crate::Event`], of which there is one for each reason.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) severity: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl News {
    pub(crate) fn normal(reason: &'static str, message: String) -> Self {
        Self { severity: "Normal", reason, message }
    }

    pub(crate) fn warning(reason: &'static str, message: String) -> Self {
        Self { severity: "Warning", reason, message }
    }

    /// Tells it in the name of a controller. The event's name depends on the object's version, so that the same news of
    /// the same run is told once.
    pub(crate) fn tell(self, about: &Value, component: &str, now: Timestamp) -> Action {
        let hash = Hash::new().add(meta::uid(about)).add(meta::resource_version(about)).add(self.reason);
        let name: String = meta::name(about).chars().take(EVENT_NAME_BYTES).collect();
        let name = format!("{name}.{:08x}{:08x}", hash.0, hash.add(&self.message).0);
        let message = &self.message[..self.message.floor_char_boundary(NOTE_BYTES)];
        let involved = json!({
            "apiVersion": meta::api_version(about), "kind": meta::kind(about), "name": meta::name(about),
            "namespace": meta::namespace(about), "resourceVersion": meta::resource_version(about),
            "uid": meta::uid(about),
        });
        let object = json!({
            "metadata": { "name": name }, "involvedObject": involved, "type": self.severity, "reason": self.reason,
            "message": message, "count": 1, "firstTimestamp": meta::time(now), "lastTimestamp": meta::time(now),
            "source": { "component": component }, "reportingComponent": component, "reportingInstance": "",
        });
        Action::Create { kind: &CORE_EVENT, namespace: meta::namespace(about).to_owned(), object }
    }
}

/// Writes a status that differs from the present one. Zeros are left out but where they are asked for.
pub(crate) fn write_status(kind: &'static Kind, object: &Value, status: Value) -> Option<Action> {
    if object.get("status") == Some(&status) {
        return None;
    }
    let mut new = object.clone();
    new["status"] = status;
    Some(Action::Update { kind, part: "status", object: new })
}

/// Sets a number of a status; 0 is left out, as in stored objects.
pub(crate) fn set_count(status: &mut Value, field: &str, count: i64) {
    let Some(status) = status.as_object_mut() else { return };
    if count == 0 {
        status.remove(field);
    } else {
        status.insert(field.to_owned(), count.into());
    }
}

/// Ends a pod, and tells of it.
pub(crate) fn end_pod(pod: &Value, news: Action) -> Action {
    Action::Delete { target: Target::of(&POD, pod), only: Only::uid(pod), propagation: None }.then(news)
}

/// Whether a pod's spec was bound to a node.
pub(crate) fn is_bound(pod: &Value) -> bool {
    !text(pod, "/spec/nodeName").is_empty()
}

/// The earlier of two times to be woken.
pub(crate) fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Whether an object is held back by its owner (`spec.paused`).
pub(crate) fn is_paused(object: &Value) -> bool {
    is_true(object, "/spec/paused")
}
