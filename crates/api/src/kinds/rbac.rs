//! Role, ClusterRole and their bindings.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>. Leaves out privilege escalation, which
//! needs to know the writer: that is decided by the `auth` crate.

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, CREATED_AT, NAME},
    read::{items, text},
};
use serde_json::Value;

mod check;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Role of rbac.authorization.k8s.io/v1.
pub static ROLE: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "Role",
    list_kind: "RoleList",
    plural: "roles",
    singular: "role",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.rbac.v1.Role",
    storage: Some(Storage { prefix: "rbac.authorization.k8s.io/roles", other: None }),
    name_rule: NameRule::PathSegment,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, CREATED_AT],
    hooks: Hooks { validate: check::role, ..Hooks::NONE },
};

/// ClusterRole of rbac.authorization.k8s.io/v1.
pub static CLUSTER_ROLE: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "ClusterRole",
    list_kind: "ClusterRoleList",
    plural: "clusterroles",
    singular: "clusterrole",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.rbac.v1.ClusterRole",
    storage: Some(Storage { prefix: "rbac.authorization.k8s.io/clusterroles", other: None }),
    name_rule: NameRule::PathSegment,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, CREATED_AT],
    hooks: Hooks { validate: check::cluster_role, ..Hooks::NONE },
};

/// RoleBinding of rbac.authorization.k8s.io/v1.
pub static ROLE_BINDING: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "RoleBinding",
    list_kind: "RoleBindingList",
    plural: "rolebindings",
    singular: "rolebinding",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.rbac.v1.RoleBinding",
    storage: Some(Storage { prefix: "rbac.authorization.k8s.io/rolebindings", other: None }),
    name_rule: NameRule::PathSegment,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: BINDING_COLUMNS,
    hooks: Hooks {
        default: check::default_binding,
        validate: check::role_binding,
        validate_update: check::binding_update,
        ..Hooks::NONE
    },
};

/// ClusterRoleBinding of rbac.authorization.k8s.io/v1.
pub static CLUSTER_ROLE_BINDING: Kind = Kind {
    group: GROUP,
    version: "v1",
    kind: "ClusterRoleBinding",
    list_kind: "ClusterRoleBindingList",
    plural: "clusterrolebindings",
    singular: "clusterrolebinding",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.rbac.v1.ClusterRoleBinding",
    storage: Some(Storage { prefix: "rbac.authorization.k8s.io/clusterrolebindings", other: None }),
    name_rule: NameRule::PathSegment,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: BINDING_COLUMNS,
    hooks: Hooks {
        default: check::default_binding,
        validate: check::cluster_role_binding,
        validate_update: check::binding_update,
        ..Hooks::NONE
    },
};

const BINDING_COLUMNS: &[Column] = &[
    NAME,
    Column::text("Role", "The role granted.", 0, |object, _| {
        format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")).into()
    }),
    AGE,
    Column::text("Users", "Users in the binding.", 1, |object, _| subjects(object, "User").into()),
    Column::text("Groups", "Groups in the binding.", 1, |object, _| subjects(object, "Group").into()),
    Column::text("ServiceAccounts", "Service accounts in the binding.", 1, |object, _| {
        subjects(object, "ServiceAccount").into()
    }),
];

fn subjects(binding: &Value, kind: &str) -> String {
    let of_kind = items(binding, "/subjects").iter().filter(|subject| text(subject, "/kind") == kind);
    of_kind.map(|subject| subject_name(kind, subject)).collect::<Vec<_>>().join(", ")
}

fn subject_name(kind: &str, subject: &Value) -> String {
    match kind {
        "ServiceAccount" => format!("{}/{}", text(subject, "/namespace"), text(subject, "/name")),
        _ => text(subject, "/name").to_owned(),
    }
}
