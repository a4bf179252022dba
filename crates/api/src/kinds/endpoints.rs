//! Endpoints, the older form of [`EndpointSlice`](super::endpoint_slice). Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoints-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, NONE},
    read::{items, text},
};

mod validate;

/// Core v1 Endpoints.
pub static ENDPOINTS: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Endpoints",
    list_kind: "EndpointsList",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.Endpoints",
    storage: Some(Storage { prefix: "core/endpoints", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[NAME, ADDRESSES, AGE],
    hooks: Hooks { default, validate: validate::validate, ..Hooks::NONE },
};

const ADDRESSES: Column =
    Column::text("Endpoints", "Addresses that are ready.", 0, |object, _| addresses(object).into());

/// Addresses that the column shows; the rest are counted.
const SHOWN: usize = 3;

fn addresses(endpoints: &Value) -> String {
    let subsets = items(endpoints, "/subsets");
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let all: Vec<String> = subsets.iter().flat_map(subset).collect();
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(",");
    if all.len() > SHOWN { format!("{shown} + {} more...", all.len() - SHOWN) } else { shown }
}

fn subset(subset: &Value) -> Vec<String> {
    let addresses: Vec<&str> = items(subset, "/addresses").iter().map(|address| text(address, "/ip")).collect();
    let ports = items(subset, "/ports");
    if ports.is_empty() {
        return addresses.into_iter().map(str::to_owned).collect();
    }
    let with_port = |port: &Value| {
        let port = port.get("port").and_then(Value::as_i64).unwrap_or_default();
        let join = move |address: &&str| match address.contains(':') {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        };
        addresses.iter().map(join).collect::<Vec<_>>()
    };
    ports.iter().flat_map(with_port).collect()
}

/// A port without a protocol is a TCP port.
fn default(endpoints: &mut Value) {
    let subsets = endpoints.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten();
    let ports = subsets.filter_map(|subset| subset.get_mut("ports").and_then(Value::as_array_mut)).flatten();
    for port in ports.filter(|port| text(port, "/protocol").is_empty()) {
        if let Some(port) = port.as_object_mut() {
            port.insert("protocol".into(), "TCP".into());
        }
    }
}
