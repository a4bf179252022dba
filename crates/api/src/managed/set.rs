//! Sets of fields: what a manager owns. In JSON as FieldsV1, upstream's format of `metadata.managedFields[].fieldsV1`.
//!
//! Main type: [`Set`], a tree whose keys are path elements in their FieldsV1 spelling: `f:name` a field or map
//! entry, `k:{"name":"a"}` a list item by keys, `v:"a"` one by value, `i:0` one by place.
//! Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#managed-fields>.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Deepest FieldsV1 read; beyond what any type nests.
const DEPTH_MAX: usize = 100;

/// A set of field paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(BTreeMap<String, Entry>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    member: bool,
    below: Set,
}

impl Set {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one path; the empty path is nothing.
    pub fn insert<S: AsRef<str>>(&mut self, path: &[S]) {
        let Some((first, rest)) = path.split_first() else { return };
        let entry = self.0.entry(first.as_ref().to_owned()).or_default();
        if rest.is_empty() {
            entry.member = true;
        } else {
            entry.below.insert(rest);
        }
    }

    /// Whether exactly this path is in it.
    #[must_use]
    pub fn has(&self, element: &str) -> bool {
        self.0.get(element).is_some_and(|entry| entry.member)
    }

    /// What is in it below this element.
    #[must_use]
    pub fn below(&self, element: &str) -> Option<&Self> {
        self.0.get(element).map(|entry| &entry.below).filter(|below| !below.is_empty())
    }

    /// Elements at the top that are in it or have something below.
    pub fn elements(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// In either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    fn extend(&mut self, other: &Self) {
        for (element, theirs) in &other.0 {
            let entry = self.0.entry(element.clone()).or_default();
            entry.member |= theirs.member;
            entry.below.extend(&theirs.below);
        }
    }

    /// In this, not in the other; a path below a removed one stays unless it is removed too.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let left = self.0.iter().filter_map(|(element, entry)| {
            let Some(theirs) = other.0.get(element) else { return Some((element.clone(), entry.clone())) };
            let member = entry.member && !theirs.member;
            Entry::kept(element, member, entry.below.difference(&theirs.below))
        });
        Self(left.collect())
    }

    /// In both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = self.0.iter().filter_map(|(element, entry)| {
            let theirs = other.0.get(element)?;
            Entry::kept(element, entry.member && theirs.member, entry.below.intersection(&theirs.below))
        });
        Self(both.collect())
    }

    /// Without these top-level fields and everything below them.
    #[must_use]
    pub fn without_fields(mut self, fields: &[&str]) -> Self {
        let ignored = |element: &str| element.strip_prefix("f:").is_some_and(|field| fields.contains(&field));
        self.0.retain(|element, _| !ignored(element));
        self
    }

    /// The set with every path on the way to a member made a member where `rule` says so of it.
    #[must_use]
    pub(crate) fn map_members(&self, rule: &dyn Fn(&[&str]) -> bool) -> Self {
        self.map_below(&mut Vec::new(), rule)
    }

    fn map_below<'s>(&'s self, path: &mut Vec<&'s str>, rule: &dyn Fn(&[&str]) -> bool) -> Self {
        let mut mapped = Self::new();
        for (element, entry) in &self.0 {
            path.push(element);
            let member = entry.member || rule(path);
            let below = entry.below.map_below(path, rule);
            path.pop();
            mapped.0.insert(element.clone(), Entry { member, below });
        }
        mapped
    }

    /// All paths in it, in order, as messages spell them: `.spec.containers[name="a"].image`.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        for (element, _) in self.0.iter().filter(|(_, entry)| entry.member) {
            paths.push(format!("{prefix}{}", spell(element)));
        }
        for (element, entry) in &self.0 {
            entry.below.collect_paths(&format!("{prefix}{}", spell(element)), paths);
        }
    }

    /// As FieldsV1.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(element, entry)| {
            let mut below = entry.below.to_json();
            if let Some(map) = below.as_object_mut().filter(|map| entry.member && !map.is_empty()) {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (element.clone(), below)
        });
        Value::Object(entries.collect())
    }

    /// From FieldsV1; `None` where it is malformed.
    #[must_use]
    pub fn from_json(fields: &Value) -> Option<Self> {
        Self::read(fields, DEPTH_MAX)
    }

    fn read(fields: &Value, depth: usize) -> Option<Self> {
        let mut set = Self::new();
        for (element, below) in fields.as_object()?.iter().filter(|(element, _)| *element != ".") {
            let map = below.as_object()?;
            let member = map.is_empty() || map.contains_key(".");
            let below = Self::read(below, depth.checked_sub(1)?)?;
            set.0.insert(normal(element)?, Entry { member, below });
        }
        Some(set)
    }
}

impl Entry {
    fn kept(element: &str, member: bool, below: Set) -> Option<(String, Self)> {
        (member || !below.is_empty()).then(|| (element.to_owned(), Self { member, below }))
    }
}

/// A path element in the one spelling that compares bytewise; `None` if it is none.
fn normal(element: &str) -> Option<String> {
    let (kind, rest) = element.split_once(':')?;
    match kind {
        "f" => Some(element.to_owned()),
        "k" => Some(format!("k:{}", serde_json::from_str::<Map<String, Value>>(rest).ok().map(Value::Object)?)),
        "v" => Some(format!("v:{}", serde_json::from_str::<Value>(rest).ok()?)),
        "i" => rest.parse::<usize>().ok().map(|index| format!("i:{index}")),
        _ => None,
    }
}

/// A path element as messages spell it.
fn spell(element: &str) -> String {
    let (kind, rest) = element.split_once(':').unwrap_or(("f", element));
    let keys = || serde_json::from_str::<Map<String, Value>>(rest).unwrap_or_default();
    match kind {
        "k" => {
            let keys: Vec<String> = keys().iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        "v" => format!("[={rest}]"),
        "i" => format!("[{rest}]"),
        _ => format!(".{rest}"),
    }
}
