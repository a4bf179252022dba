//! ServiceAccount and its `token` subresource. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/service-account-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, CREATE, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage, Subresource,
    columns::{AGE, NAME},
    read::items,
};

/// Core v1 ServiceAccount.
pub static SERVICE_ACCOUNT: Kind = Kind {
    group: "",
    version: "v1",
    kind: "ServiceAccount",
    list_kind: "ServiceAccountList",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[TOKEN],
    type_name: "io.k8s.api.core.v1.ServiceAccount",
    storage: Some(Storage { prefix: "core/serviceaccounts", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, SECRETS, AGE],
    hooks: Hooks::NONE,
};

const TOKEN: Subresource = Subresource {
    name: "token",
    group: "authentication.k8s.io",
    version: "v1",
    kind: "TokenRequest",
    type_name: "io.k8s.api.authentication.v1.TokenRequest",
    verbs: CREATE,
    prepare_update: |_, _| {},
};

const SECRETS: Column =
    Column::text("Secrets", "Number of secrets it lists.", 0, |object, _| Value::from(items(object, "/secrets").len()));
