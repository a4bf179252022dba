//! What a Service says, read the same way by checks, allocation and controllers.

use serde_json::Value;

use crate::kinds::read::{items, text};

/// Value of `clusterIP` of a headless Service.
pub const HEADLESS: &str = "None";

/// Its type.
#[must_use]
pub fn service_type(service: &Value) -> &str {
    text(service, "/spec/type")
}

/// Its addresses within the cluster; `None` alone for a headless one.
#[must_use]
pub fn cluster_ips(service: &Value) -> Vec<&str> {
    strings(service, "/spec/clusterIPs")
}

/// Its address families, the first being the primary one.
#[must_use]
pub fn families(service: &Value) -> Vec<&str> {
    strings(service, "/spec/ipFamilies")
}

/// The strings of the list at a JSON pointer.
#[must_use]
pub fn strings<'a>(object: &'a Value, pointer: &str) -> Vec<&'a str> {
    items(object, pointer).iter().filter_map(Value::as_str).collect()
}

/// Whether clients get the endpoints' addresses instead of one of its own.
#[must_use]
pub fn is_headless(service: &Value) -> bool {
    cluster_ips(service) == [HEADLESS]
}

/// Whether it has a selector that names something.
#[must_use]
pub fn has_selector(service: &Value) -> bool {
    service.pointer("/spec/selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty())
}

/// Whether its type is given addresses within the cluster (or `None`).
#[must_use]
pub fn needs_cluster_ip(service: &Value) -> bool {
    service_type(service) != "ExternalName"
}

/// Whether its type is reached through ports of the nodes.
#[must_use]
pub fn needs_node_ports(service: &Value) -> bool {
    matches!(service_type(service), "NodePort" | "LoadBalancer")
}

/// Whether each of its ports is given a port of the nodes.
#[must_use]
pub fn allocates_node_ports(service: &Value) -> bool {
    match service_type(service) {
        "NodePort" => true,
        "LoadBalancer" => service.pointer("/spec/allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)),
        _ => false,
    }
}

/// Whether load balancers ask each node whether it has endpoints.
#[must_use]
pub fn needs_health_check(service: &Value) -> bool {
    service_type(service) == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

/// Whether clients outside of the cluster reach it.
#[must_use]
pub fn is_external(service: &Value) -> bool {
    needs_node_ports(service)
        || (service_type(service) == "ClusterIP" && !items(service, "/spec/externalIPs").is_empty())
}

/// Its ports.
#[must_use]
pub fn ports(service: &Value) -> &[Value] {
    items(service, "/spec/ports")
}

/// A number of a port or of the spec; 0 where it is absent.
#[must_use]
pub fn number(object: &Value, field: &str) -> i64 {
    object.get(field).and_then(Value::as_i64).unwrap_or_default()
}

/// The port that load balancers ask for its health; 0 where there is none.
#[must_use]
pub fn health_check_port(service: &Value) -> i64 {
    service.get("spec").map_or(0, |spec| number(spec, "healthCheckNodePort"))
}
