//! Service. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/>.
//!
//! Main items: [`SERVICE`], [`default`](mod@default), [`validate`](mod@validate). Leaves out: which addresses and ports it is
//! given, which needs the whole cluster (the API server's allocation).

use serde_json::Value;

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, OWNER_INDEXES, STATUS_VERBS, SelectableField, Storage, Subresource,
    read::carry_over,
};

mod columns;
pub mod default;
pub mod fields;
pub mod validate;

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
    subresources: &[STATUS],
    type_name: "io.k8s.api.core.v1.Service",
    storage: Some(Storage { prefix: "core/services", other: None }),
    name_rule: NameRule::DnsLabel1035,
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
        prepare_create: |service, _| _ = service.as_object_mut().map(|fields| fields.insert("status".into(), empty())),
        prepare_update: |new, old| carry_over(new, old, "status"),
        validate: validate::validate,
        validate_update: validate::validate_update,
        ..Hooks::NONE
    },
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

/// The status of a Service that no load balancer stands before.
fn empty() -> Value {
    serde_json::json!({ "loadBalancer": {} })
}
