//! A node as placing sees it. Main type: [`Node`].

use serde::Deserialize;
use serde_json::Value;

use crate::{
    amounts::Amounts,
    raw,
    terms::{Labels, Taint, sorted},
};

/// What placing needs to know of a Node object.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// It takes no new pods.
    pub unschedulable: bool,
    /// What pods can have of it.
    pub allocatable: Amounts,
    /// Images it has: name and bytes.
    pub images: Vec<(String, i64)>,
}

/// A Node object that cannot be read.
#[derive(Debug)]
pub struct NodeError(serde_json::Error);

impl std::fmt::Display for NodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the node cannot be read: {}", self.0)
    }
}

impl std::error::Error for NodeError {}

impl Node {
    /// Reads a Node object.
    ///
    /// # Errors
    /// Where a field has the wrong type.
    pub fn read(object: &Value) -> Result<Self, NodeError> {
        let raw = raw::Node::deserialize(object).map_err(NodeError)?;
        let taint = |raw: raw::Taint| Taint { key: raw.key, value: raw.value, effect: raw.effect };
        let names = |image: raw::Image| image.names.into_iter().map(move |name| (name, image.size_bytes));
        let mut images: Vec<(String, i64)> = raw.status.images.into_iter().flat_map(names).collect();
        images.sort();
        images.dedup_by(|one, other| one.0 == other.0);
        Ok(Self {
            name: raw.metadata.name,
            labels: sorted(raw.metadata.labels),
            taints: raw.spec.taints.into_iter().map(taint).collect(),
            unschedulable: raw.spec.unschedulable,
            allocatable: Amounts::of(&raw.status.allocatable),
            images,
        })
    }

    /// Whether a filter may say something else about it than about another.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.unschedulable != other.unschedulable
            || self.allocatable != other.allocatable
            || self.labels != other.labels
            || self.taints != other.taints
    }

    /// Bytes of an image that it has.
    pub(crate) fn image(&self, name: &str) -> Option<i64> {
        let found = self.images.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok()?;
        Some(self.images[found].1)
    }
}
