//! NodeRestriction: what a kubelet may write, once it may write at all. Main function: [`restrict`].
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>.

use std::collections::BTreeSet;

use api::{
    kinds::read::{entries, items, text},
    meta,
};
use serde_json::Value;

use super::{LEASE_NAMESPACE, NodeIndex, index::uses};
use crate::User;

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A change, by update or patch.
    Update,
    /// Its end.
    Delete,
}

/// A write, as admission sees it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What is done.
    pub operation: Operation,
    /// API group of the resource.
    pub group: &'a str,
    /// Resource, plural.
    pub resource: &'a str,
    /// Its part, or empty.
    pub subresource: &'a str,
    /// Namespace, or empty.
    pub namespace: &'a str,
    /// Name; may be empty on create.
    pub name: &'a str,
    /// The object as it shall be, or the body of a subresource; `None` on delete.
    pub new: Option<&'a Value>,
    /// The object as it is; `None` on create. For `token`, nothing.
    pub old: Option<&'a Value>,
}

/// Why a kubelet may not write this; a 403 whose text goes after `<resource> "<name>" is forbidden: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RestrictionError(pub String);

/// Labels in Kubernetes' own domains that a kubelet sets on its node.
const OWN_LABELS: &[&str] = &[
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.kubernetes.io/region",
    "failure-domain.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Domains, with all below them, whose labels a kubelet sets freely.
const OWN_DOMAINS: &[&str] = &["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Domain of labels that administrators keep from kubelets.
const RESTRICTED_DOMAIN: &str = "node-restriction.kubernetes.io";

/// Annotation of mirror pods.
const MIRROR: &str = "kubernetes.io/config.mirror";

type Verdict = Result<(), RestrictionError>;

/// May this user, if it is a kubelet, write this?
///
/// # Errors
/// [`RestrictionError`] with upstream's words.
pub fn restrict(user: &User, write: &Write<'_>, index: &NodeIndex) -> Verdict {
    let Some(node) = user.node_name() else { return Ok(()) };
    match (write.group, write.resource, write.subresource) {
        ("", "nodes", _) => own_node(node, write),
        ("", "pods", "") => pod(node, write),
        ("", "pods", "status") => pod_status(node, write),
        ("", "pods", "eviction") => eviction(node, write),
        ("", "pods", other) => {
            refuse(format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"))
        }
        ("", "serviceaccounts", "token") => token(node, write, index),
        ("coordination.k8s.io", "leases", _) => lease(node, write),
        _ => Ok(()),
    }
}

fn refuse(why: impl Into<String>) -> Verdict {
    Err(RestrictionError(why.into()))
}

fn own_node(node: &str, write: &Write<'_>) -> Verdict {
    let requested = match (write.name, write.new) {
        ("", Some(new)) => meta::name(new),
        (name, _) => name,
    };
    if requested != node {
        return refuse(format!("node {node:?} is not allowed to modify node {requested:?}"));
    }
    match (write.operation, write.new, write.old) {
        (Operation::Create, Some(new), _) => create_node(node, new),
        (Operation::Update, Some(new), Some(old)) => update_node(node, new, old),
        _ => Ok(()),
    }
}

fn create_node(node: &str, new: &Value) -> Verdict {
    if !meta::owner_references(new).is_empty() {
        return refuse(format!("node {node:?} is not allowed to set ownerReferences"));
    }
    let labels: Vec<&str> = meta::labels(new).map(|(key, _)| key).filter(|key| is_forbidden(key)).collect();
    if labels.is_empty() {
        return Ok(());
    }
    refuse(format!("node {node:?} is not allowed to set the following labels: {}", labels.join(", ")))
}

fn update_node(node: &str, new: &Value, old: &Value) -> Verdict {
    if meta::owner_references(new) != meta::owner_references(old) {
        return refuse(format!("node {node:?} is not allowed to modify ownerReferences"));
    }
    if items(new, "/spec/taints") != items(old, "/spec/taints") {
        return refuse(format!("node {node:?} is not allowed to modify taints"));
    }
    let labels: BTreeSet<&str> = changed_labels(new, old).filter(|key| is_forbidden(key)).collect();
    if labels.is_empty() {
        return Ok(());
    }
    let labels: Vec<&str> = labels.into_iter().collect();
    refuse(format!("is not allowed to modify labels: {}", labels.join(", ")))
}

fn changed_labels<'a>(new: &'a Value, old: &'a Value) -> impl Iterator<Item = &'a str> {
    let keys = |of: &'a Value| entries(of, "/metadata/labels").map(|(key, _)| key);
    keys(new).chain(keys(old)).filter(|key| meta::label(new, key) != meta::label(old, key))
}

fn is_forbidden(label: &str) -> bool {
    let Some((domain, _)) = label.split_once('/') else { return false };
    let within = |parent: &str| domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
    if within(RESTRICTED_DOMAIN) {
        return true;
    }
    let reserved = within("kubernetes.io") || within("k8s.io");
    reserved && !OWN_LABELS.contains(&label) && !OWN_DOMAINS.iter().any(|own| within(own))
}

fn pod(node: &str, write: &Write<'_>) -> Verdict {
    match (write.operation, write.new, write.old) {
        (Operation::Create, Some(new), _) => create_pod(node, new),
        (Operation::Delete, _, Some(old)) if text(old, "/spec/nodeName") == node => Ok(()),
        (Operation::Delete, _, Some(_)) => {
            refuse(format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
        }
        (Operation::Delete, ..) => Ok(()),
        _ => refuse(format!("unexpected operation \"UPDATE\", node {node:?} can only create and delete mirror pods")),
    }
}

fn create_pod(node: &str, new: &Value) -> Verdict {
    if meta::annotation(new, MIRROR).is_none() {
        return refuse(format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"));
    }
    if text(new, "/spec/nodeName") != node {
        return refuse(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
    }
    let owners = meta::owner_references(new);
    let [owner] = owners else {
        return refuse(format!("node {node:?} can only create pods with a single owner reference set to itself"));
    };
    if text(owner, "/apiVersion") != "v1" || text(owner, "/kind") != "Node" || text(owner, "/name") != node {
        return refuse(format!("node {node:?} can only create pods with an owner reference set to itself"));
    }
    if owner.get("controller") != Some(&Value::Bool(true)) {
        return refuse(format!("node {node:?} can only create pods with a controller owner reference set to itself"));
    }
    if owner.get("blockOwnerDeletion") == Some(&Value::Bool(true)) {
        return refuse(format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
    }
    if !text(new, "/spec/serviceAccountName").is_empty() {
        return refuse(format!("node {node:?} can not create pods that reference a service account"));
    }
    let uses = uses(new);
    for resource in ["secrets", "configmaps", "persistentvolumeclaims"] {
        if uses.iter().any(|(used, _)| *used == resource) {
            return refuse(format!("node {node:?} can not create pods that reference {resource}"));
        }
    }
    if !items(new, "/spec/resourceClaims").is_empty() {
        return refuse(format!("node {node:?} can not create pods that reference resourceclaims"));
    }
    Ok(())
}

fn pod_status(node: &str, write: &Write<'_>) -> Verdict {
    let (Operation::Update, Some(new), Some(old)) = (write.operation, write.new, write.old) else {
        return refuse(format!("unexpected operation, node {node:?} can only update pod status"));
    };
    if text(old, "/spec/nodeName") != node {
        return refuse(format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself"));
    }
    if old.pointer("/metadata/labels") != new.pointer("/metadata/labels") {
        return refuse(format!("node {node:?} cannot update labels through pod status"));
    }
    Ok(())
}

fn eviction(node: &str, write: &Write<'_>) -> Verdict {
    match write.old {
        Some(old) if text(old, "/spec/nodeName") != node => {
            refuse(format!("node {node:?} can only evict pods with spec.nodeName set to itself"))
        }
        _ => Ok(()),
    }
}

fn token(node: &str, write: &Write<'_>, index: &NodeIndex) -> Verdict {
    let object = write.new.and_then(|request| request.pointer("/spec/boundObjectRef")).unwrap_or(&Value::Null);
    let (version, kind, name) = (text(object, "/apiVersion"), text(object, "/kind"), text(object, "/name"));
    if (version, kind) != ("v1", "Pod") || name.is_empty() {
        return refuse("node requested token not bound to a pod");
    }
    if text(object, "/uid").is_empty() {
        return refuse("node requested token with a pod binding without a uid");
    }
    if !index.uses(node, "pods", write.namespace, name) {
        return refuse("node requested token bound to a pod scheduled on a different node");
    }
    Ok(())
}

fn lease(node: &str, write: &Write<'_>) -> Verdict {
    if write.namespace != LEASE_NAMESPACE {
        return refuse(format!("can only access leases in the {LEASE_NAMESPACE:?} system namespace"));
    }
    let name = match (write.operation, write.new) {
        (Operation::Create, Some(new)) => meta::name(new),
        _ => write.name,
    };
    if name == node { Ok(()) } else { refuse("can only access node lease with the same name as the requesting node") }
}
