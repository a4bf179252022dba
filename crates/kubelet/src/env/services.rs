//! Variables that tell of Services. Main function: [`services`].
//! Spec: <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.

use std::{collections::BTreeMap, net::IpAddr};

use api::{kinds::read, meta};
use serde_json::Value;

/// Variables of the Services of a namespace, and of `default/kubernetes`, which every pod is told of.
#[must_use]
pub fn services(all: &[Value], namespace: &str, links: bool) -> BTreeMap<String, String> {
    let is_master = |service: &Value| meta::namespace(service) == "default" && meta::name(service) == "kubernetes";
    let mut chosen: BTreeMap<&str, &Value> = BTreeMap::new();
    for service in all.iter().filter(|service| has_address(service)) {
        if links && meta::namespace(service) == namespace {
            chosen.insert(meta::name(service), service);
        }
    }
    for service in all.iter().filter(|service| has_address(service) && is_master(service)) {
        // A Service of that name in the pod's own namespace is meant by the pod.
        chosen.entry("kubernetes").or_insert(service);
    }
    chosen.values().flat_map(|service| variables(service)).collect()
}

fn has_address(service: &Value) -> bool {
    read::text(service, "/spec/clusterIP").parse::<IpAddr>().is_ok()
}

fn variables(service: &Value) -> Vec<(String, String)> {
    let prefix = upper(meta::name(service));
    let address = read::text(service, "/spec/clusterIP");
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let ports = read::items(service, "/spec/ports");
    let number = |port: &Value| port.get("port").and_then(Value::as_u64).unwrap_or_default();
    let mut found = vec![(format!("{prefix}_SERVICE_HOST"), address.to_owned())];
    if let Some(first) = ports.first() {
        found.push((format!("{prefix}_SERVICE_PORT"), number(first).to_string()));
    }
    for port in ports.iter().filter(|port| !read::text(port, "/name").is_empty()) {
        found.push((format!("{prefix}_SERVICE_PORT_{}", upper(read::text(port, "/name"))), number(port).to_string()));
    }
    for (at, port) in ports.iter().enumerate() {
        let protocol = Some(read::text(port, "/protocol")).filter(|text| !text.is_empty()).unwrap_or("TCP");
        let (lower, number) = (protocol.to_lowercase(), number(port));
        let url = format!("{lower}://{host}:{number}");
        if at == 0 {
            found.push((format!("{prefix}_PORT"), url.clone()));
        }
        let one = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        found.push((one.clone(), url));
        found.push((format!("{one}_PROTO"), lower));
        found.push((format!("{one}_PORT"), number.to_string()));
        found.push((format!("{one}_ADDR"), address.to_owned()));
    }
    found
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
