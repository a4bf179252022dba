//! A PersistentVolume as placing sees it. Main type: [`Volume`].
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity>.

use api::{
    kinds::{persistent_volume::fit, read::text},
    meta,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{node::Node, raw, terms::NodeTerm};

/// See the file's head.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    object: Value,
    /// Terms of which a node must meet one; `None`: every node reaches it. One that cannot be read is met by none.
    terms: Option<Vec<NodeTerm>>,
}

impl AsRef<Value> for Volume {
    fn as_ref(&self) -> &Value {
        &self.object
    }
}

impl Volume {
    pub(super) fn new(object: Value) -> Self {
        let required = object.pointer("/spec/nodeAffinity/required").filter(|required| required.is_object());
        let terms = required.map(|required| {
            let selector = raw::NodeSelector::deserialize(required).unwrap_or_default();
            selector.node_selector_terms.iter().map(NodeTerm::of).collect()
        });
        Self { object, terms }
    }

    pub(super) fn name(&self) -> &str {
        meta::name(&self.object)
    }

    pub(super) fn class(&self) -> &str {
        fit::class(&self.object).unwrap_or_default()
    }

    /// Whether a claim may still get it.
    pub(super) fn is_free(&self) -> bool {
        !matches!(text(&self.object, "/status/phase"), "Bound" | "Released" | "Failed")
    }

    /// Whether a node can mount it.
    pub(super) fn is_reached_by(&self, node: &Node) -> bool {
        self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }
}
