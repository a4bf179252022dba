//! The roles and bindings a cluster starts with, and how they are kept up to date.
//! Main types: [`RoleRow`], [`BindingRow`], [`Change`]. Spec:
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings>.

pub mod controllers;
pub mod render;
pub mod roles;
pub mod users;

pub use render::{Change, desired, missing};

/// Label of everything here.
pub const LABEL: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");

/// Annotation that, set to `false`, keeps an object as it is.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// A role in one line per rule.
#[derive(Clone, Copy, Debug)]
pub struct RoleRow {
    /// Namespace of a Role; empty for a ClusterRole.
    pub namespace: &'static str,
    /// Name.
    pub name: &'static str,
    /// `admin`, `edit` or `view`: the role this one is part of; empty for none.
    pub part_of: &'static str,
    /// `admin`, `edit` or `view`: this role is made of all that are part of it; empty for an ordinary role.
    pub made_of: &'static str,
    /// What it grants.
    pub rules: &'static [RuleRow],
}

/// A rule; lists are separated by commas, and the core group is the empty word.
#[derive(Clone, Copy, Debug)]
pub struct RuleRow {
    /// Verbs.
    pub verbs: &'static str,
    /// API groups.
    pub groups: &'static str,
    /// Resources.
    pub resources: &'static str,
    /// Names; empty for all.
    pub names: &'static str,
    /// Paths instead of groups and resources; empty for none.
    pub urls: &'static str,
}

/// A binding of a role of the same name, unless it says another.
#[derive(Clone, Copy, Debug)]
pub struct BindingRow {
    /// Namespace of a RoleBinding; empty for a ClusterRoleBinding.
    pub namespace: &'static str,
    /// Name.
    pub name: &'static str,
    /// Role (in a namespace) or ClusterRole (cluster-wide) it grants.
    pub role: &'static str,
    /// Kind (`User`, `Group`, `ServiceAccount` of kube-system) and name.
    pub subjects: &'static [(&'static str, &'static str)],
}

const fn on(verbs: &'static str, groups: &'static str, resources: &'static str) -> RuleRow {
    RuleRow { verbs, groups, resources, names: "", urls: "" }
}

const fn named(verbs: &'static str, groups: &'static str, resources: &'static str, names: &'static str) -> RuleRow {
    RuleRow { verbs, groups, resources, names, urls: "" }
}

const fn urls(verbs: &'static str, urls: &'static str) -> RuleRow {
    RuleRow { verbs, groups: "", resources: "", names: "", urls }
}

const fn role(name: &'static str, rules: &'static [RuleRow]) -> RoleRow {
    RoleRow { namespace: "", name, part_of: "", made_of: "", rules }
}

const READ: &str = "get,list,watch";
const WRITE: &str = "create,delete,deletecollection,patch,update";
const READ_WRITE: &str = "create,delete,deletecollection,get,list,patch,update,watch";

/// Writing events of either group.
const EVENTS: RuleRow = on("create,patch,update", ",events.k8s.io", "events");

#[cfg(test)]
mod tests;
