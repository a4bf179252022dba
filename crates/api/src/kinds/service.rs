//! Service. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/>.
//!
//! Main item: [`SERVICE`]; [`fields`] reads one, [`families`] has the rules of its addresses. Leaves out: which addresses
//! and ports it is given, which needs the whole cluster (the API server's allocation).

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, OWNER_INDEXES, PROXY_VERBS, STATUS_VERBS, SelectableField, Storage, Subresource,
    read::carry_over,
};

mod columns;
mod default;
pub mod families;
pub mod fields;
mod status;
mod update;
mod validate;
mod warnings;

/// Core v1 Service.
pub static SERVICE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Service",
    list_kind: "ServiceList",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[PROXY, STATUS],
    type_name: "io.k8s.api.core.v1.Service",
    storage: Some(Storage { prefix: "core/services", other: None }),
    // Since 1.36 a name may begin with a digit.
    name_rule: NameRule::DnsLabel,
    fields: &[
        SelectableField {
            label: "spec.clusterIP",
            stored: "spec.clusterIP",
            pointers: &["/spec/clusterIP"],
            default: "",
        },
        SelectableField { label: "spec.type", stored: "spec.type", pointers: &["/spec/type"], default: "" },
    ],
    indexes: OWNER_INDEXES,
    columns: columns::COLUMNS,
    hooks: Hooks {
        default: default::default,
        prepare_create: update::prepare_create,
        prepare_update: update::prepare_update,
        validate: validate::validate,
        validate_update: validate::validate_update,
        validate_part: Some(status::validate),
        warnings: warnings::of,
        ..Hooks::NONE
    },
};

const PROXY: Subresource = Subresource {
    name: "proxy",
    kind: "ServiceProxyOptions",
    type_name: "",
    verbs: PROXY_VERBS,
    prepare_update: |_, _| {},
    ..STATUS
};

const STATUS: Subresource = Subresource {
    name: "status",
    group: "",
    version: "",
    kind: "Service",
    type_name: "io.k8s.api.core.v1.Service",
    verbs: STATUS_VERBS,
    prepare_update: |new, old| carry_over(new, old, "spec"),
};

#[cfg(test)]
mod tests;
