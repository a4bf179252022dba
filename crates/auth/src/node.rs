//! What a kubelet may do: see and change what belongs to the pods bound to its node, and nothing else.
//! Main types: [`NodeAuthorizer`], [`NodeIndex`] (which node uses what) and [`restriction`] (what it may write).
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/node/>.
//! Leaves out secrets that PersistentVolumes refer to: no node mounts such volumes.

pub mod index;
pub mod restriction;

pub use index::NodeIndex;
pub use restriction::{Operation, RestrictionError, Write, restrict};

use crate::{
    Answer, Attributes, Authorizer,
    bootstrap::{render::words, roles::NODE_RULES},
    rbac::Rule,
};

/// Namespace of the nodes' leases.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";

/// Answers for kubelets; has no opinion on others.
#[derive(Debug)]
pub struct NodeAuthorizer<'a> {
    /// Which node uses what.
    pub index: &'a NodeIndex,
    /// What any kubelet may do: [`static_rules`], made once.
    pub rules: &'a [Rule],
}

/// Rules that do not depend on the node.
#[must_use]
pub fn static_rules() -> Vec<Rule> {
    let rule = |row: &crate::bootstrap::RuleRow| Rule {
        verbs: words(row.verbs),
        api_groups: words(row.groups),
        resources: words(row.resources),
        ..Rule::default()
    };
    NODE_RULES.iter().map(rule).collect()
}

impl Authorizer for NodeAuthorizer<'_> {
    fn authorize(&self, request: &Attributes<'_>) -> Answer {
        let Some(node) = request.user.node_name() else { return Answer::no_opinion("") };
        if !request.is_resource {
            return self.by_rules(request);
        }
        match (request.group, request.resource) {
            ("", "secrets" | "configmaps" | "persistentvolumeclaims") => self.referenced(node, request),
            ("", "persistentvolumes") => self.volume(node, request),
            ("", "serviceaccounts") => self.token(node, request),
            ("", "nodes") => own_node(node, request),
            ("", "pods") => self.pods(node, request),
            ("coordination.k8s.io", "leases") => lease(node, request),
            _ => self.by_rules(request),
        }
    }
}

impl NodeAuthorizer<'_> {
    fn by_rules(&self, request: &Attributes<'_>) -> Answer {
        if self.rules.iter().any(|rule| rule.allows(request)) { Answer::allow("") } else { Answer::no_opinion("") }
    }

    fn referenced(&self, node: &str, request: &Attributes<'_>) -> Answer {
        if !matches!(request.verb, "get" | "list" | "watch") {
            return Answer::no_opinion("can only read resources of this type");
        }
        if !request.subresource.is_empty() {
            return Answer::no_opinion("cannot read subresource");
        }
        if request.namespace.is_empty() || request.name.is_empty() {
            return Answer::no_opinion("can only read namespaced object of this type");
        }
        self.related(node, request)
    }

    /// The volume of a claim that a pod of the node refers to.
    fn volume(&self, node: &str, request: &Attributes<'_>) -> Answer {
        let reads = matches!(request.verb, "get" | "list" | "watch") && request.subresource.is_empty();
        match reads && !request.name.is_empty() && self.index.uses_volume(node, request.name) {
            true => Answer::allow(""),
            false => Answer::no_opinion(format!("no relationship found between node '{node}' and this object")),
        }
    }

    fn related(&self, node: &str, request: &Attributes<'_>) -> Answer {
        match self.index.uses(node, request.resource, request.namespace, request.name) {
            true => Answer::allow(""),
            false => Answer::no_opinion(format!("no relationship found between node '{node}' and this object")),
        }
    }

    fn token(&self, node: &str, request: &Attributes<'_>) -> Answer {
        match (request.verb, request.subresource, request.name) {
            ("create", "token", name) if !name.is_empty() => self.related(node, request),
            _ => Answer::no_opinion("can only create tokens for individual service accounts"),
        }
    }

    fn pods(&self, node: &str, request: &Attributes<'_>) -> Answer {
        match (request.subresource, request.verb) {
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Answer::allow(""),
            ("", "get") => self.related(node, request),
            ("", "list" | "watch") if request.selected("spec.nodeName") == Some(node) => Answer::allow(""),
            ("", "list" | "watch") => Answer::no_opinion("can only list/watch pods with spec.nodeName field selector"),
            _ => Answer::no_opinion(""),
        }
    }
}

fn own_node(node: &str, request: &Attributes<'_>) -> Answer {
    match (request.subresource, request.verb, request.name) {
        // Which node it writes is for NodeRestriction to see.
        ("", "create" | "update" | "patch", _) | ("status", "update" | "patch", _) => Answer::allow(""),
        ("", "get" | "list" | "watch", name) if name == node => Answer::allow(""),
        ("", "get" | "list" | "watch", "") => {
            Answer::no_opinion(format!("node '{node}' cannot read all nodes, only its own Node object"))
        }
        ("", "get" | "list" | "watch", other) => {
            Answer::no_opinion(format!("node '{node}' cannot read '{other}', only its own Node object"))
        }
        _ => Answer::no_opinion(""),
    }
}

fn lease(node: &str, request: &Attributes<'_>) -> Answer {
    if !matches!(request.verb, "get" | "create" | "update" | "patch" | "delete") {
        return Answer::no_opinion("can only get, create, update, patch, or delete a node lease");
    }
    if request.namespace != LEASE_NAMESPACE {
        return Answer::no_opinion(format!("can only access leases in the {LEASE_NAMESPACE:?} system namespace"));
    }
    if request.verb != "create" && request.name != node {
        return Answer::no_opinion("can only access node lease with the same name as the requesting node");
    }
    Answer::allow("")
}

#[cfg(test)]
mod tests;
