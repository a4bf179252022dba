//! What a member's Node object and Lease say, as data. Main type: [`Registration`].
//! Spec: <https://kubernetes.io/docs/concepts/architecture/nodes/>.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::kinds::read::items;
use api::meta;
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::host_facts;

/// Annotation that says which member the object is of.
pub const NODE_ID: &str = "mesh.dev/node-id";

/// Seconds of a Lease; upstream's.
const LEASE_SECONDS: u32 = 40;

/// Facts of the member that the object tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registration {
    /// The member's id.
    pub id: String,
    /// Labels given at join.
    pub labels: BTreeMap<String, String>,
    /// Failure zone, or empty.
    pub zone: String,
    /// Its pods' ranges, one a family.
    pub pod_ranges: Vec<IpNet>,
    /// Where others reach it.
    pub addresses: Vec<IpAddr>,
}

/// Labels that are ours to keep.
pub(super) fn labels(name: &str, registration: &Registration) -> BTreeMap<String, String> {
    let mut labels = registration.labels.clone();
    let mut set = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
    set("kubernetes.io/hostname", name);
    set("kubernetes.io/os", "linux");
    set("kubernetes.io/arch", host_facts::architecture());
    set("beta.kubernetes.io/os", "linux");
    set("beta.kubernetes.io/arch", host_facts::architecture());
    if !registration.zone.is_empty() {
        set("topology.kubernetes.io/zone", &registration.zone);
    }
    labels
}

pub(super) fn ranges(registration: &Registration) -> Vec<String> {
    registration.pod_ranges.iter().map(ToString::to_string).collect()
}

pub(super) fn pod_cidrs(node: &Value) -> Vec<String> {
    items(node, "/spec/podCIDRs").iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The object of a node that registers.
pub(super) fn object(name: &str, registration: &Registration) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels(name, registration),
            "annotations": { NODE_ID: registration.id },
        },
        "spec": { "podCIDR": ranges(registration).first(), "podCIDRs": ranges(registration) },
    })
}

/// A merge patch to what is ours; null where nothing differs.
pub(super) fn difference(name: &str, registration: &Registration, node: &Value) -> Value {
    let wanted = labels(name, registration);
    let labels: Map<String, Value> = wanted
        .into_iter()
        .filter(|(key, value)| meta::label(node, key) != Some(value.as_str()))
        .map(|(key, value)| (key, value.into()))
        .collect();
    let mut patch = Map::new();
    let mut metadata = Map::new();
    if !labels.is_empty() {
        metadata.insert("labels".into(), labels.into());
    }
    if meta::annotation(node, NODE_ID) != Some(&registration.id) {
        metadata.insert("annotations".into(), json!({ NODE_ID: registration.id }));
    }
    if !metadata.is_empty() {
        patch.insert("metadata".into(), metadata.into());
    }
    if pod_cidrs(node).is_empty() && !registration.pod_ranges.is_empty() {
        let ranges = ranges(registration);
        patch.insert("spec".into(), json!({ "podCIDR": ranges.first(), "podCIDRs": ranges }));
    }
    if patch.is_empty() { Value::Null } else { patch.into() }
}

pub(super) fn addresses(name: &str, registration: &Registration) -> Value {
    let internal = registration.addresses.iter().map(|ip| json!({ "type": "InternalIP", "address": ip.to_string() }));
    internal.chain([json!({ "type": "Hostname", "address": name })]).collect()
}

pub(super) fn lease(name: &str, uid: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Node", "name": name, "uid": uid }],
        },
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration {
            id: "id-1".into(),
            labels: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
            zone: "z1".into(),
            pod_ranges: vec!["10.42.3.0/24".parse().unwrap()],
            addresses: vec!["10.0.0.1".parse().unwrap()],
        }
    }

    #[test]
    fn what_users_set_stays_and_what_is_ours_comes_back() {
        let mut node = object("n1", &registration());
        assert_eq!(difference("n1", &registration(), &node), Value::Null);
        node["metadata"]["labels"]["mine"] = "x".into();
        node["metadata"]["labels"]["disk"] = "hdd".into();
        node["spec"]["taints"] = json!([{ "key": "a", "effect": "NoSchedule" }]);
        let patch = difference("n1", &registration(), &node);
        assert_eq!(patch, json!({ "metadata": { "labels": { "disk": "ssd" } } }));
    }
}
