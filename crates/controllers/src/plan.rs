//! What deciders want done. Main type: [`Plan`].

use api::{kinds::Kind, meta};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What to do for a key now, and when to look at it again.
///
/// The actions of one plan may be carried out at the same time and in any order: what has to come later is decided by
/// a later run, which the changes themselves cause.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What to do.
    pub actions: Vec<Action>,
    /// Look again at this time although nothing changed.
    pub wake_at: Option<Timestamp>,
}

/// One change. None of them overwrites what the decider has not seen.
#[derive(Clone, Debug)]
pub enum Action {
    /// Creates an object; that one is there already counts as done.
    Create {
        /// Of this kind.
        kind: &'static Kind,
        /// In this namespace.
        namespace: String,
        /// The object; its type may be left out.
        object: Value,
    },
    /// Writes back a whole object as it was in the View, with a change. Only where a patch is not possible (`finalize`,
    /// roles that let nothing else). Never made from a typed object, which would drop the fields its type lacks; its
    /// `resourceVersion` is there and must still hold.
    Update {
        /// Of this kind.
        kind: &'static Kind,
        /// The part to write (`status`, `finalize`), or nothing.
        part: &'static str,
        /// The object.
        object: Value,
    },
    /// Changes parts of an object.
    Patch {
        /// Which.
        target: Target,
        /// The part to write, or nothing.
        part: &'static str,
        /// The change.
        patch: Patch,
        /// Only while this holds.
        only: Only,
    },
    /// Deletes an object; that it is gone already counts as done.
    Delete {
        /// Which.
        target: Target,
        /// Only while this holds.
        only: Only,
        /// What becomes of its dependents; `None` leaves that to its finalizers.
        propagation: Option<Propagation>,
    },
    /// Removes an object at once, whatever grace it has: there is nobody left to end it. That it is gone already counts as
    /// done.
    Remove {
        /// Which.
        target: Target,
        /// Only while this holds.
        only: Only,
    },
    /// Has a node remove the data of one of our volumes. That it is gone already, or the node no member any more, counts as
    /// done.
    RemoveData {
        /// Name of the node.
        node: String,
        /// The volume's handle.
        handle: String,
    },
    /// Tells people.
    Event(Event),
    /// The second once the first is done, and only then: news of it. Neither is a pair itself.
    Then(Box<Self>, Box<Self>),
}

/// Names an object.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its namespace, or nothing.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What must still hold of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// It is this one, not another of the same name.
    pub uid: String,
    /// It is as it was at this `resourceVersion`, where given.
    pub version: Option<String>,
}

/// How a change is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 7396.
    Merge(Value),
    /// RFC 6902.
    Json(Value),
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

/// News for people about an object; told again, it replaces the one before of the same object and reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it is about.
    pub about: Value,
    /// `Normal` or `Warning`.
    pub severity: &'static str,
    /// One word in camel case.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// Most bytes of an object's name in its event's name, which has room for 253.
const EVENT_NAME_BYTES: usize = 160;

impl Action {
    /// This, and then that.
    #[must_use]
    pub fn then(self, that: Self) -> Self {
        Self::Then(Box::new(self), Box::new(that))
    }

    /// It and what comes after it.
    #[must_use]
    pub fn parted(self) -> (Self, Option<Self>) {
        match self {
            Self::Then(first, second) => (*first, Some(*second)),
            only => (only, None),
        }
    }
}

impl Target {
    /// The name of an object of this kind.
    #[must_use]
    pub fn of(kind: &'static Kind, object: &Value) -> Self {
        Self { kind, namespace: meta::namespace(object).into(), name: meta::name(object).into() }
    }
}

impl Only {
    /// This very object, at whatever version.
    #[must_use]
    pub fn uid(object: &Value) -> Self {
        Self { uid: meta::uid(object).into(), version: None }
    }

    /// This very object, as it is.
    #[must_use]
    pub fn unchanged(object: &Value) -> Self {
        Self { version: Some(meta::resource_version(object).into()), ..Self::uid(object) }
    }
}

impl Patch {
    /// The document to send: the patch and its preconditions.
    #[must_use]
    pub fn guarded(&self, only: &Only) -> Value {
        match self {
            Self::Merge(patch) => guarded_merge(patch.clone(), only),
            Self::Json(patch) => guarded_json(patch, only),
        }
    }
}

/// The API refuses to change these two, so naming them is a precondition.
fn guarded_merge(mut patch: Value, only: &Only) -> Value {
    meta::set_uid(&mut patch, only.uid.as_str());
    if let Some(version) = &only.version {
        meta::set_resource_version(&mut patch, version.as_str());
    }
    patch
}

fn guarded_json(patch: &Value, only: &Only) -> Value {
    let test = |field: &str, value: &str| json!({ "op": "test", "path": format!("/metadata/{field}"), "value": value });
    let mut steps = vec![test("uid", &only.uid)];
    steps.extend(only.version.as_deref().map(|version| test("resourceVersion", version)));
    steps.extend(patch.as_array().into_iter().flatten().cloned());
    steps.into()
}

impl Propagation {
    /// As `DeleteOptions` spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orphan => "Orphan",
            Self::Background => "Background",
            Self::Foreground => "Foreground",
        }
    }
}

impl Event {
    /// The Event object, of core v1, as told by a component at a time. Its name is one for each object and reason, so
    /// that a run that is repeated tells the same news, not more of it.
    #[must_use]
    pub fn to_object(&self, component: &str, now: Timestamp) -> Value {
        let name: String = meta::name(&self.about).chars().take(EVENT_NAME_BYTES).collect();
        let name = format!("{name}.{}.{}", meta::uid(&self.about), self.reason.to_lowercase());
        let namespace = Some(meta::namespace(&self.about)).filter(|namespace| !namespace.is_empty());
        let involved = json!({
            "apiVersion": meta::api_version(&self.about), "kind": meta::kind(&self.about),
            "name": meta::name(&self.about), "namespace": namespace.unwrap_or_default(),
            "resourceVersion": meta::resource_version(&self.about), "uid": meta::uid(&self.about),
        });
        json!({
            "metadata": { "name": name, "namespace": namespace.unwrap_or("default") },
            "involvedObject": involved, "type": self.severity, "reason": self.reason, "message": self.message,
            "count": 1, "firstTimestamp": meta::time(now), "lastTimestamp": meta::time(now),
            "source": { "component": component }, "reportingComponent": component, "reportingInstance": "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_carry_their_preconditions() {
        let only = Only { uid: "u".into(), version: Some("7".into()) };
        let check = |patch: Patch, only: &Only, expect: Value| assert_eq!(patch.guarded(only), expect);
        let merge = || Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        check(merge(), &only, json!({ "metadata": { "finalizers": null, "uid": "u", "resourceVersion": "7" } }));
        check(
            merge(),
            &Only { version: None, ..only.clone() },
            json!({ "metadata": { "finalizers": null, "uid": "u" } }),
        );
        check(
            Patch::Json(json!([{ "op": "remove", "path": "/data" }])),
            &only,
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u" },
                { "op": "test", "path": "/metadata/resourceVersion", "value": "7" },
                { "op": "remove", "path": "/data" },
            ]),
        );
    }

    #[test]
    fn an_event_told_again_has_the_same_name() {
        let about = json!({ "metadata": { "name": "a", "namespace": "n", "uid": "u" } });
        let event = Event { about, severity: "Warning", reason: "BadThing", message: "Bad.".into() };
        let [one, two] = [0, 60].map(|s| event.to_object("x", Timestamp::from_second(s).unwrap()));
        assert_eq!((meta::name(&one), meta::namespace(&one)), ("a.u.badthing", "n"));
        assert_eq!(meta::name(&one), meta::name(&two));
    }
}
