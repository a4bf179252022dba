//! EndpointSlice. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Index, Kind, NameRule, OWNER_INDEX, Storage,
    columns::{AGE, NAME},
    read::{items, owner_uids, text},
};

mod validate;

/// Label that names the Service which a slice belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Label that names who keeps a slice.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Name of the index by Service: `<namespace>/<name>`.
pub const SERVICE_INDEX: &str = "service";

/// EndpointSlice of discovery.k8s.io/v1.
pub static ENDPOINT_SLICE: Kind = Kind {
    group: "discovery.k8s.io",
    version: "v1",
    kind: "EndpointSlice",
    list_kind: "EndpointSliceList",
    plural: "endpointslices",
    singular: "endpointslice",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.discovery.v1.EndpointSlice",
    storage: Some(Storage { prefix: "discovery.k8s.io/endpointslices", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: &[Index { name: OWNER_INDEX, values: owner_uids }, Index { name: SERVICE_INDEX, values: service }],
    columns: &[
        NAME,
        Column::text("AddressType", "Family of its addresses.", 0, |slice, _| text(slice, "/addressType").into()),
        Column::text("Ports", "Ports of every endpoint.", 0, |slice, _| ports(slice).into()),
        Column::text("Endpoints", "Addresses.", 0, |slice, _| endpoints(slice).into()),
        AGE,
    ],
    hooks: Hooks { default, validate: validate::validate, validate_update: validate::validate_update, ..Hooks::NONE },
};

fn service(slice: &Value) -> Vec<String> {
    let label = slice.pointer("/metadata/labels").and_then(|labels| labels.get(SERVICE_NAME)).and_then(Value::as_str);
    let namespace = text(slice, "/metadata/namespace");
    label.filter(|name| !name.is_empty()).map(|name| format!("{namespace}/{name}")).into_iter().collect()
}

/// Items that a column shows; the rest are counted.
const SHOWN: usize = 3;

/// Cell of an empty list.
const UNSET: &str = "<unset>";

fn ports(slice: &Value) -> String {
    let port = |port: &Value| match (port.get("port").and_then(Value::as_i64), text(port, "/name")) {
        (Some(number), _) => number.to_string(),
        (None, "") => "*".to_owned(),
        (None, name) => name.to_owned(),
    };
    some(items(slice, "/ports").iter().map(port))
}

fn endpoints(slice: &Value) -> String {
    let addresses = items(slice, "/endpoints").iter().flat_map(|endpoint| items(endpoint, "/addresses"));
    some(addresses.filter_map(Value::as_str).map(str::to_owned))
}

fn some(mut all: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = all.by_ref().take(SHOWN).collect();
    match (shown.is_empty(), all.count()) {
        (true, _) => UNSET.to_owned(),
        (false, 0) => shown.join(","),
        (false, more) => format!("{} + {more} more...", shown.join(",")),
    }
}

/// Ports without a name or protocol are unnamed TCP ports.
fn default(slice: &mut Value) {
    let ports = slice.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut) {
        for (field, value) in [("name", ""), ("protocol", "TCP")] {
            if port.get(field).is_none_or(Value::is_null) {
                port.insert(field.into(), value.into());
            }
        }
    }
}
