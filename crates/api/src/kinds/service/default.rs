//! Defaults of a Service that depend on its other fields. Main function: [`default`].

use serde_json::{Map, Value, json};

use super::fields::{is_external, service_type};
use crate::kinds::read::{items, text};

/// Seconds for which a client stays with its endpoint.
const AFFINITY_SECONDS: i64 = 10_800;

/// Fills them in.
pub(super) fn default(service: &mut Value) {
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else { return };
    absent(spec, "sessionAffinity", "None");
    affinity(spec);
    absent(spec, "type", "ClusterIP");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        port_defaults(port);
    }
    let external = is_external(service);
    let of = service_type(service).to_owned();
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if external {
        absent(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(of.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        absent(spec, "internalTrafficPolicy", "Cluster");
    }
    if of == "LoadBalancer" {
        absent(spec, "allocateLoadBalancerNodePorts", true);
        ingress_modes(service);
    }
}

fn absent(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    if fields.get(name).is_none_or(|there| there.is_null() || there == "") {
        fields.insert(name.into(), value.into());
    }
}

fn affinity(spec: &mut Map<String, Value>) {
    match spec.get("sessionAffinity").and_then(Value::as_str) {
        Some("None") => _ = spec.remove("sessionAffinityConfig"),
        Some("ClientIP") => {
            let timeout =
                spec.get("sessionAffinityConfig").and_then(|config| config.pointer("/clientIP/timeoutSeconds"));
            if timeout.is_none_or(Value::is_null) {
                spec.insert(
                    "sessionAffinityConfig".into(),
                    json!({ "clientIP": { "timeoutSeconds": AFFINITY_SECONDS } }),
                );
            }
        }
        _ => {}
    }
}

/// The target of a port is the same port, if it says nothing else.
fn port_defaults(port: &mut Value) {
    let number = port.get("port").cloned();
    let Some(port) = port.as_object_mut() else { return };
    absent(port, "protocol", "TCP");
    let target = port.get("targetPort");
    let unset = target.is_none_or(|target| target.is_null() || *target == 0 || target == "");
    if let Some(number) = number.filter(|_| unset) {
        port.insert("targetPort".into(), number);
    }
}

/// An address of a load balancer is delivered to as such, unless it says that it is a proxy's.
fn ingress_modes(service: &mut Value) {
    if items(service, "/status/loadBalancer/ingress").is_empty() {
        return;
    }
    let ingress = service.pointer_mut("/status/loadBalancer/ingress").and_then(Value::as_array_mut);
    for point in ingress.into_iter().flatten().filter(|point| !text(point, "/ip").is_empty()) {
        if let Some(point) = point.as_object_mut() {
            absent(point, "ipMode", "VIP");
        }
    }
}
