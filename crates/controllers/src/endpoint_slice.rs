//! Keeps the EndpointSlices of Services that select pods. Spec:
//! <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>.
//!
//! A run for one Service looks at its pods and slices, changes only the slices that have to change, and leaves every
//! endpoint in the slice where it is. Leaves out: hints of topology, the annotation that tells when a change began,
//! and Services without a selector ([`crate::endpoint_slice_mirroring`], or who wrote the slices by hand).

use std::collections::BTreeMap;

use api::{
    kinds::{
        endpoint_slice::{ENDPOINT_SLICE, MANAGED_BY, SERVICE_INDEX, SERVICE_NAME},
        node::NODE,
        pod::POD,
        service::{SERVICE, fields},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Plan, Target, View, Watch, change,
    service_pods::{self, HEADLESS},
    view::Object,
};

mod place;

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "endpoint-slice",
    account: "endpointslice-controller",
    watches: &[
        Watch { kinds: Kinds::One(&SERVICE), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: service_pods::of_pod },
        Watch { kinds: Kinds::One(&ENDPOINT_SLICE), keys: of_slice },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Who keeps these slices, as their label says.
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Label of a Node with its failure zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// What somebody else did to a slice of ours is put right.
fn of_slice(change: &dyn Change, keys: &mut Vec<Key>) {
    for slice in [change.before(), change.after()].into_iter().flatten() {
        if let Some(service) = meta::label(&slice, SERVICE_NAME).filter(|_| is_ours(&slice)) {
            keys.push(Key::new(change.namespace(), service));
        }
    }
    keys.dedup();
}

fn is_ours(slice: &Value) -> bool {
    meta::label(slice, MANAGED_BY) == Some(MANAGER)
}

fn reconcile(view: &dyn View, key: &Key, _: Timestamp) -> Plan {
    let Some(service) = view.get(&SERVICE, &key.namespace, &key.name) else { return Plan::default() };
    if fields::service_type(&service) == "ExternalName" || !fields::has_selector(&service) {
        return Plan::default();
    }
    let index = format!("{}/{}", key.namespace, key.name);
    let found = view.by_index(&ENDPOINT_SLICE, SERVICE_INDEX, &index);
    let slices: Vec<Object> = found.filter(|slice| is_ours(slice) && !meta::is_being_deleted(slice)).collect();
    let pods = service_pods::of_service(view, &service);
    let mut families = fields::families(&service);
    if families.is_empty() {
        families.push("IPv4");
    }
    let foreign = slices.iter().filter(|slice| !families.contains(&place::address_type(slice)));
    let mut actions: Vec<Action> = foreign.map(|slice| delete(slice)).collect();
    for family in families {
        let wanted = wanted(view, &service, &pods, family);
        let own = slices.iter().filter(|slice| place::address_type(slice) == family).cloned().collect();
        actions.extend(change_slices(&service, family, place::place(wanted, own, &labels(&service))));
    }
    Plan { actions, wake_at: None }
}

/// Endpoints by the ports they share.
fn wanted(view: &dyn View, service: &Value, pods: &[Object], family: &str) -> place::Wanted {
    let mut zones = BTreeMap::new();
    let mut wanted = place::Wanted::new();
    for pod in pods {
        let Some(address) = service_pods::address(pod, family) else { continue };
        let node = pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default();
        let zone = zones.entry(node.to_owned()).or_insert_with(|| zone(view, node));
        let endpoint = endpoint(service, pod, address, node, zone.as_deref());
        let group = wanted.entry(ports(service, pod).to_string()).or_default();
        group.insert(meta::uid(pod).to_owned(), endpoint);
    }
    wanted
}

fn zone(view: &dyn View, node: &str) -> Option<String> {
    let node = view.get(&NODE, "", node)?;
    meta::label(&node, ZONE).filter(|zone| !zone.is_empty()).map(str::to_owned)
}

fn endpoint(service: &Value, pod: &Value, address: &str, node: &str, zone: Option<&str>) -> Value {
    let (serving, terminating) = (service_pods::is_ready(pod), meta::is_being_deleted(pod));
    let ready = service_pods::publishes_all(service) || (serving && !terminating);
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": { "ready": ready, "serving": serving, "terminating": terminating },
        "targetRef": service_pods::reference(pod),
    });
    let optional = [("nodeName", Some(node)), ("zone", zone), ("hostname", service_pods::hostname(pod, service))];
    for (field, value) in optional {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            endpoint[field] = value.into();
        }
    }
    endpoint
}

/// The ports of a Service as they are in this pod. One whose name the pod does not know is left out.
fn ports(service: &Value, pod: &Value) -> Value {
    let port = |port: &Value| {
        let target = service_pods::target(pod, port)?;
        let mut own = json!({
            "name": api::kinds::read::text(port, "/name"), "port": target, "protocol": port["protocol"],
        });
        if let Some(protocol) = port.get("appProtocol").filter(|protocol| !protocol.is_null()) {
            own["appProtocol"] = protocol.clone();
        }
        Some(own)
    };
    fields::ports(service).iter().filter_map(port).collect::<Vec<_>>().into()
}

/// A slice has its Service's labels, and its own.
fn labels(service: &Value) -> Map<String, Value> {
    let mut labels: Map<String, Value> = meta::labels(service).map(|(key, value)| (key.into(), value.into())).collect();
    labels.remove(HEADLESS);
    labels.insert(SERVICE_NAME.into(), meta::name(service).into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    if fields::is_headless(service) {
        labels.insert(HEADLESS.into(), "".into());
    }
    labels
}

fn change_slices(service: &Value, family: &str, placed: place::Placed) -> Vec<Action> {
    let place::Placed { creates, updates, deletes } = placed;
    let create = |content: place::Content| {
        let mut object = json!({
            "metadata": {
                "generateName": format!("{}-", meta::name(service)),
                "labels": labels(service),
                "ownerReferences": service_pods::owned_by(service),
            },
            "addressType": family,
        });
        content.write(&mut object);
        Action::Create { kind: &ENDPOINT_SLICE, namespace: meta::namespace(service).into(), object }
    };
    let update = |object: Value| Action::Update { kind: &ENDPOINT_SLICE, part: "", object };
    let deletes = deletes.iter().map(|slice| delete(slice));
    creates.into_iter().map(create).chain(updates.into_iter().map(update)).chain(deletes).collect()
}

fn delete(slice: &Value) -> Action {
    Action::Delete { target: Target::of(&ENDPOINT_SLICE, slice), only: Only::unchanged(slice), propagation: None }
}

#[cfg(test)]
mod tests;
