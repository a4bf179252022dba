//! Managed fields: who set which field last. Recorded by every writer, from the first write on.
//!
//! Main functions: [`update`] for everything but apply, [`decode`] and [`encode`] for what is stored; the sets are
//! [`Set`]. Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managed-fields>.
//! Leaves out: apply itself ([`crate::apply`]); conversion of sets between versions of a kind.

use std::{cmp::Ordering, sync::LazyLock};

use serde_json::{Map, Value, json};

use crate::{facts::Type, meta, schema::Node};

mod set;
pub(crate) mod walk;

pub use set::Set;
pub use walk::{Changes, compare, fields_of};

/// Entries of operation Update that an object keeps; older ones are merged. Upstream's bound.
pub const UPDATE_MANAGERS_MAX: usize = 10;

/// Manager of the merged older entries.
const ANCIENT: &str = "ancient-changes";

/// Longest manager name taken from a User-Agent, in bytes.
const MANAGER_MAX: usize = 128;

/// Fields that nobody owns.
const UNOWNED: &[&str] = &["apiVersion", "kind"];

/// Fields of `metadata` that nobody owns.
const UNOWNED_METADATA: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// How a manager came by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub manager: String,
    /// How.
    pub operation: Operation,
    /// The version of the kind in which the fields are named.
    pub api_version: String,
    /// When the set last changed.
    pub time: String,
    /// Through which subresource; empty for the object itself.
    pub subresource: String,
    /// What.
    pub fields: Set,
}

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Manager name: `fieldManager`, or [`manager_of_user_agent`].
    pub manager: &'a str,
    /// `apiVersion` of the object written.
    pub api_version: &'a str,
    /// Subresource written to, or empty.
    pub subresource: &'a str,
    /// Time of the write, as [`meta::time`] prints it.
    pub time: &'a str,
    /// Top-level fields that this write cannot change (`status`, or all but it), hence cannot own.
    pub ignored: &'a [&'a str],
}

/// The manager name of a client that gives none: its User-Agent up to the first `/`.
#[must_use]
pub fn manager_of_user_agent(user_agent: &str) -> String {
    let name = user_agent.split('/').next().unwrap_or_default();
    let mut manager = String::new();
    for c in name.chars().filter(|c| crate::gotext::is_print(*c)) {
        if manager.len() + c.len_utf8() > MANAGER_MAX {
            break;
        }
        manager.push(c);
    }
    if manager.is_empty() { "unknown".to_owned() } else { manager }
}

/// Reads `metadata.managedFields`; `None` where an entry is malformed.
#[must_use]
pub fn decode(object: &Value) -> Option<Vec<Entry>> {
    meta::managed_fields(object).iter().map(decode_entry).collect()
}

fn decode_entry(entry: &Value) -> Option<Entry> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let fields = match entry.get("fieldsV1") {
        None | Some(Value::Null) => Set::new(),
        Some(fields) => Set::from_json(fields)?,
    };
    let (manager, api_version) = (text("manager"), text("apiVersion"));
    Some(Entry { manager, operation, api_version, time: text("time"), subresource: text("subresource"), fields })
}

/// `metadata.managedFields` of these entries, in upstream's order; `None` where there are none.
#[must_use]
pub fn encode(mut entries: Vec<Entry>) -> Option<Value> {
    entries.sort_by(order);
    let encoded: Vec<Value> = entries.iter().map(encode_entry).collect();
    (!encoded.is_empty()).then_some(Value::Array(encoded))
}

fn order(a: &Entry, b: &Entry) -> Ordering {
    fn texts(entry: &Entry) -> [&str; 4] {
        [&entry.time, &entry.manager, &entry.api_version, &entry.subresource]
    }
    a.operation.cmp(&b.operation).then_with(|| texts(a).cmp(&texts(b)))
}

fn encode_entry(entry: &Entry) -> Value {
    let operation = match entry.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    let mut map = Map::new();
    map.insert("fieldsType".to_owned(), json!("FieldsV1"));
    map.insert("fieldsV1".to_owned(), entry.fields.to_json());
    map.insert("operation".to_owned(), json!(operation));
    let texts = [
        ("manager", &entry.manager),
        ("apiVersion", &entry.api_version),
        ("time", &entry.time),
        ("subresource", &entry.subresource),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        map.insert(name.to_owned(), json!(text));
    }
    Value::Object(map)
}

impl Entry {
    /// Whether a write by this writer and operation belongs to this entry.
    #[must_use]
    pub fn is_of(&self, writer: &Writer<'_>, operation: Operation) -> bool {
        let same = self.manager == writer.manager && self.subresource == writer.subresource;
        let version = operation == Operation::Apply || self.api_version == writer.api_version;
        same && self.operation == operation && version
    }
}

/// Sets `metadata.managedFields` of an object about to be written by create, update or patch.
/// `live` is what is stored; `None` on create. Writing nothing new changes no entry, times included.
pub fn update(live: Option<&Value>, new: &mut Value, ty: &'static Type, writer: &Writer<'_>) {
    let mut entries = known_entries(live, new);
    meta::set(new, "managedFields", None);
    // That `live` still has its entries makes no difference: nobody owns them.
    let nothing = Value::Object(Map::new());
    let changes =
        walk::compare(Some(live.unwrap_or(&nothing)), Some(new), Node::root(ty)).without_fields(writer.ignored);
    let touched = changes.added.union(&changes.modified);
    let (mut mine, others): (Vec<Entry>, Vec<Entry>) =
        entries.drain(..).partition(|entry| entry.is_of(writer, Operation::Update));
    let mut kept: Vec<Entry> = others.into_iter().map(|entry| disown(entry, &touched, &changes.removed)).collect();
    kept.extend(own(mine.pop(), &touched, &changes.removed, writer));
    kept.retain(|entry| !entry.fields.is_empty());
    meta::set(new, "managedFields", encode(cap(kept)));
}

/// Entries to start from: the client's own edit of them if it made a sound one, else those stored.
fn known_entries(live: Option<&Value>, new: &Value) -> Vec<Entry> {
    let sent = meta::managed_fields(new);
    if matches!(sent, [one] if one.as_object().is_some_and(Map::is_empty)) {
        return Vec::new();
    }
    let decoded = decode(new).filter(|entries| !entries.is_empty());
    decoded.or_else(|| decode(live?)).unwrap_or_default()
}

pub(crate) fn without_entries(object: &Value) -> Value {
    let mut object = object.clone();
    if meta::get(&object).is_some() {
        meta::set(&mut object, "managedFields", None);
    }
    object
}

fn disown(mut entry: Entry, touched: &Set, removed: &Set) -> Entry {
    entry.fields = entry.fields.difference(touched).difference(removed);
    entry
}

fn own(mine: Option<Entry>, touched: &Set, removed: &Set, writer: &Writer<'_>) -> Option<Entry> {
    let before = mine.as_ref().map(|entry| entry.fields.clone()).unwrap_or_default();
    let fields = owned(&before.difference(removed).union(touched).without_fields(writer.ignored));
    if fields == before {
        return mine;
    }
    Some(Entry {
        manager: writer.manager.to_owned(),
        operation: Operation::Update,
        api_version: writer.api_version.to_owned(),
        time: writer.time.to_owned(),
        subresource: writer.subresource.to_owned(),
        fields,
    })
}

/// Without the fields that nobody owns.
pub(crate) fn owned(fields: &Set) -> Set {
    static NOBODYS: LazyLock<Set> = LazyLock::new(|| {
        let mut unowned = Set::new();
        unowned.insert(&["f:metadata"]);
        UNOWNED.iter().for_each(|name| unowned.insert(&[format!("f:{name}")]));
        UNOWNED_METADATA.iter().for_each(|name| unowned.insert(&["f:metadata".to_owned(), format!("f:{name}")]));
        unowned
    });
    fields.difference(&NOBODYS)
}

/// Merges the oldest Update entries, by version, until no more than [`UPDATE_MANAGERS_MAX`] are left.
pub(crate) fn cap(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut updates, mut kept): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.operation == Operation::Update);
    updates.sort_by(|a, b| (&a.time, &a.manager).cmp(&(&b.time, &b.manager)));
    let mut surplus = updates.len().saturating_sub(UPDATE_MANAGERS_MAX);
    let mut buckets: Vec<Entry> = Vec::new();
    for entry in updates {
        let bucket = buckets.iter_mut().find(|bucket| bucket.api_version == entry.api_version);
        match bucket {
            Some(bucket) if surplus > 0 => {
                bucket.fields = bucket.fields.union(&entry.fields);
                ANCIENT.clone_into(&mut bucket.manager);
                bucket.subresource.clear();
                bucket.time = entry.time;
                surplus -= 1;
            }
            None if surplus > 0 => buckets.push(entry),
            _ => kept.push(entry),
        }
    }
    kept.extend(buckets);
    kept
}

#[cfg(test)]
mod tests;
