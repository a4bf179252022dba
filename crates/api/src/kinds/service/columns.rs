//! Columns of a Service's Table. Spec: what `kubectl get services` prints.

use serde_json::Value;

use crate::kinds::{
    Column,
    columns::{AGE, NAME, NONE, UNKNOWN, addresses, pairs},
    read::{items, text},
};

/// What is shown where a load balancer has not been given an address yet.
const PENDING: &str = "<pending>";

/// All of them.
pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Type", "How it is exposed.", 0, |service, _| text(service, "/spec/type").into()),
    Column::text("Cluster-IP", "First address within the cluster.", 0, |service, _| cluster_ip(service).into()),
    Column::text("External-IP", "Addresses outside of the cluster.", 0, |service, _| external_ip(service).into()),
    Column::text("Port(s)", "Ports, with node ports after a colon.", 0, |service, _| ports(service).into()),
    AGE,
    Column::text("Selector", "Labels of its pods.", 1, |service, _| pairs(service, "/spec/selector").into()),
];

fn cluster_ip(service: &Value) -> &str {
    items(service, "/spec/clusterIPs").first().and_then(Value::as_str).unwrap_or(NONE)
}

fn external_ip(service: &Value) -> String {
    let given: Vec<&str> = items(service, "/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" if given.is_empty() => NONE.to_owned(),
        "ClusterIP" | "NodePort" => given.join(","),
        "LoadBalancer" => {
            let all: Vec<&str> = addresses(service).into_iter().chain(given).collect();
            if all.is_empty() { PENDING.to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| {
        let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or_default();
        match number("nodePort") {
            1.. => format!("{}:{}/{}", number("port"), number("nodePort"), text(port, "/protocol")),
            _ => format!("{}/{}", number("port"), text(port, "/protocol")),
        }
    };
    let all: Vec<String> = items(service, "/spec/ports").iter().map(port).collect();
    if all.is_empty() { NONE.to_owned() } else { all.join(",") }
}
