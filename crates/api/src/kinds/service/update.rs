//! What an update of a Service takes over from what is there, so that a manifest without the values that were given to
//! it can be applied again, and what it lets go when the type changes. Main function: [`prepare_update`].
//!
//! The singular `clusterIP` and the list `clusterIPs` tell the same; a client may know only one of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fields::{
    cluster_ips, families, health_check_port, is_external, needs_cluster_ip, needs_health_check, needs_node_ports,
    number, ports, service_type,
};
use crate::kinds::{Ctx, read::carry_over, read::text};

/// A new Service has no status, and its list of addresses begins with the single one.
pub(super) fn prepare_create(service: &mut Value, _: &Ctx) {
    if let Some(fields) = service.as_object_mut() {
        fields.insert("status".into(), json!({ "loadBalancer": {} }));
    }
    let single = text(service, "/spec/clusterIP").to_owned();
    if !single.is_empty() && cluster_ips(service).is_empty() {
        set(service, "clusterIPs", Some(json!([single])));
    }
}

/// See the file's head.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    carry_over(new, old, "status");
    keep_given(new, old);
    align_addresses(new, old);
    drop_unfit(new, old);
}

fn set(service: &mut Value, field: &str, value: Option<Value>) {
    let Some(spec) = spec_mut(service) else { return };
    match value {
        Some(value) => _ = spec.insert(field.into(), value),
        None => _ = spec.remove(field),
    }
}

fn spec_mut(service: &mut Value) -> Option<&mut Map<String, Value>> {
    service.get_mut("spec")?.as_object_mut()
}

fn get<'a>(service: &'a Value, field: &str) -> Option<&'a Value> {
    service.get("spec")?.get(field).filter(|value| !value.is_null())
}

fn keep(new: &mut Value, old: &Value, field: &str) {
    set(new, field, get(old, field).cloned());
}

/// Values that were given to the Service, where the update does not name them.
fn keep_given(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        if text(new, "/spec/clusterIP").is_empty() {
            keep(new, old, "clusterIP");
        }
        if cluster_ips(new).is_empty() {
            keep(new, old, "clusterIPs");
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        keep_node_ports(new, old);
    }
    if needs_health_check(old) && needs_health_check(new) && health_check_port(new) == 0 {
        keep(new, old, "healthCheckNodePort");
    }
}

fn node_ports(service: &Value) -> BTreeSet<i64> {
    ports(service).iter().map(|port| number(port, "nodePort")).filter(|port| *port != 0).collect()
}

/// By the ports' names, except those that another port of the update names.
fn keep_node_ports(new: &mut Value, old: &Value) {
    let named: BTreeSet<i64> = node_ports(new).intersection(&node_ports(old)).copied().collect();
    let known: BTreeMap<&str, i64> =
        ports(old).iter().map(|port| (text(port, "/name"), number(port, "nodePort"))).collect();
    let all = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in all.into_iter().flatten().filter(|port| number(port, "nodePort") == 0) {
        let known = known.get(text(port, "/name")).copied().unwrap_or_default();
        if known != 0 && !named.contains(&known) {
            port["nodePort"] = known.into();
        }
    }
}

/// Makes the list of addresses follow the single one where only that was changed.
fn align_addresses(new: &mut Value, old: &Value) {
    let (single, former) = (text(new, "/spec/clusterIP").to_owned(), text(old, "/spec/clusterIP"));
    if cluster_ips(new).is_empty() && !cluster_ips(old).is_empty() && single == former {
        keep(new, old, "clusterIPs");
    }
    if single != former && cluster_ips(new) == cluster_ips(old) {
        set(new, "clusterIPs", (!single.is_empty()).then(|| json!([single])));
    }
}

fn same(new: &Value, old: &Value, field: &str) -> bool {
    get(new, field) == get(old, field)
}

/// Whether a Service's type has a use for a field.
type Fits = fn(&Value) -> bool;

/// Values that the new type has no use for, where the client did not also change them.
fn drop_unfit(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if same(new, old, "clusterIP") && cluster_ips(new) == cluster_ips(old) {
            set(new, "clusterIP", None);
            set(new, "clusterIPs", None);
        }
        if families(new) == families(old) {
            set(new, "ipFamilies", None);
        }
        if same(new, old, "ipFamilyPolicy") {
            set(new, "ipFamilyPolicy", None);
        }
    }
    if needs_node_ports(old) && !needs_node_ports(new) && node_ports(new).is_subset(&node_ports(old)) {
        drop_node_ports(new);
    }
    let drops: [(&str, Fits); 4] = [
        ("healthCheckNodePort", needs_health_check),
        ("allocateLoadBalancerNodePorts", is_balanced),
        ("loadBalancerClass", is_balanced),
        ("externalTrafficPolicy", is_external),
    ];
    for (field, fits) in drops {
        if fits(old) && !fits(new) && same(new, old, field) {
            set(new, field, None);
        }
    }
    if !is_balanced(new) && new.pointer("/status/loadBalancer").is_some() {
        new["status"]["loadBalancer"] = json!({});
    }
}

fn is_balanced(service: &Value) -> bool {
    service_type(service) == "LoadBalancer"
}

fn drop_node_ports(service: &mut Value) {
    let all = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    all.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|port| _ = port.remove("nodePort"));
}
