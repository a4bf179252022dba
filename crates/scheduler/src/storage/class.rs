//! A StorageClass as placing sees it. Main type: [`Class`].
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/storage-class-v1/>.

use api::{
    kinds::{
        read::{items, text},
        storage_class::NO_PROVISIONER,
    },
    selector::{Operator, Requirement},
};
use serde_json::Value;

use crate::node::Node;

/// See the file's head.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// Its claims wait for their first pod.
    pub(super) waits: bool,
    /// Volumes are made for its claims.
    provisions: bool,
    /// Where: terms of which a node must meet one, if there are any; a broken one is `None`.
    topologies: Vec<Option<Vec<Requirement>>>,
}

impl Class {
    pub(super) fn read(class: &Value) -> Self {
        let provisioner = text(class, "/provisioner");
        let requirement = |one: &Value| {
            let values = items(one, "/values").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            Requirement::new(text(one, "/key"), Operator::In, values).ok()
        };
        let term = |term: &Value| items(term, "/matchLabelExpressions").iter().map(requirement).collect();
        Self {
            waits: text(class, "/volumeBindingMode") == "WaitForFirstConsumer",
            provisions: !provisioner.is_empty() && provisioner != NO_PROVISIONER,
            topologies: items(class, "/allowedTopologies").iter().map(term).collect(),
        }
    }

    /// Whether a volume can be made that a node reaches.
    pub(super) fn provisions_for(&self, node: &Node) -> bool {
        let meets = |term: &Option<Vec<Requirement>>| {
            term.as_ref().is_some_and(|all| all.iter().all(|one| one.matches(&node.labels)))
        };
        self.provisions && (self.topologies.is_empty() || self.topologies.iter().any(meets))
    }
}
