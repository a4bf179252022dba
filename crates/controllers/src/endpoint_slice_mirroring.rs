//! Keeps EndpointSlices equal to the Endpoints that somebody wrote by hand for a Service without a selector.
//! Spec: <https://kubernetes.io/docs/concepts/services-networking/service/#endpointslice-mirroring>.

use api::{
    kinds::{
        endpoint_slice::{ENDPOINT_SLICE, MANAGED_BY, SERVICE_INDEX, SERVICE_NAME},
        endpoints::ENDPOINTS,
        read::{items, text},
        service::{SERVICE, fields},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    Action, Change, Controller, Key, Kinds, Only, Plan, Target, View, Watch, change, service_pods, view::Object,
};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "endpoint-slice-mirroring",
    account: "endpointslicemirroring-controller",
    watches: &[
        Watch { kinds: Kinds::One(&SERVICE), keys: change::itself },
        Watch { kinds: Kinds::One(&ENDPOINTS), keys: change::itself },
        Watch { kinds: Kinds::One(&ENDPOINT_SLICE), keys: of_slice },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Who keeps these slices, as their label says.
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";

/// Label of Endpoints that are not mirrored.
pub(crate) const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";

/// Annotation of Endpoints that serve to elect a leader.
const ELECTION: &str = "control-plane.alpha.kubernetes.io/leader";

/// Addresses of one subset that are mirrored.
const MAX_ADDRESSES: usize = 1000;

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
    let index = format!("{}/{}", key.namespace, key.name);
    let found = view.by_index(&ENDPOINT_SLICE, SERVICE_INDEX, &index);
    let mut slices: Vec<Object> = found.filter(|slice| is_ours(slice) && !meta::is_being_deleted(slice)).collect();
    let wanted = match source(view, key) {
        Some(endpoints) => mirror(&endpoints, &key.name),
        None => Vec::new(),
    };
    let mut actions = Vec::new();
    for slice in wanted {
        let same =
            |known: &Object| known["addressType"] == slice["addressType"] && known.get("ports") == slice.get("ports");
        match slices.iter().position(same).map(|at| slices.remove(at)) {
            Some(known) => actions.extend(update(&known, &slice)),
            None => {
                actions.push(Action::Create { kind: &ENDPOINT_SLICE, namespace: key.namespace.clone(), object: slice });
            }
        }
    }
    actions.extend(slices.iter().map(|slice| Action::Delete {
        target: Target::of(&ENDPOINT_SLICE, slice),
        only: Only::unchanged(slice),
        propagation: None,
    }));
    Plan { actions, wake_at: None }
}

/// The Endpoints to mirror: those of a Service without a selector that nothing excludes.
fn source(view: &dyn View, key: &Key) -> Option<Object> {
    let endpoints = view.get(&ENDPOINTS, &key.namespace, &key.name)?;
    let service = view.get(&SERVICE, &key.namespace, &key.name)?;
    let skipped = meta::label(&endpoints, SKIP) == Some("true") || meta::annotation(&endpoints, ELECTION).is_some();
    let mirrored = !fields::has_selector(&service) && !skipped && !meta::is_being_deleted(&endpoints);
    mirrored.then_some(endpoints)
}

fn update(known: &Object, wanted: &Value) -> Option<Action> {
    let mut object = Value::clone(known);
    object["endpoints"] = wanted["endpoints"].clone();
    meta::set(&mut object, "labels", Some(wanted["metadata"]["labels"].clone()));
    (object != **known).then_some(Action::Update { kind: &ENDPOINT_SLICE, part: "", object })
}

/// One slice for each subset and family.
fn mirror(endpoints: &Value, service: &str) -> Vec<Value> {
    let mut labels: Map<String, Value> =
        meta::labels(endpoints).map(|(key, value)| (key.into(), value.into())).collect();
    labels.insert(SERVICE_NAME.into(), service.into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    let slice = |(family, list, ports): (&str, Vec<Value>, Value)| {
        json!({
            "metadata": { "generateName": format!("{service}-"), "labels": labels,
                "ownerReferences": service_pods::owned_by(endpoints) },
            "addressType": family, "endpoints": list, "ports": ports,
        })
    };
    items(endpoints, "/subsets").iter().flat_map(|subset| families(subset)).map(slice).collect()
}

fn families(subset: &Value) -> Vec<(&'static str, Vec<Value>, Value)> {
    let sides = [("/addresses", true), ("/notReadyAddresses", false)];
    let all = sides.iter().flat_map(|(side, ready)| items(subset, side).iter().map(move |one| (one, *ready)));
    let all: Vec<(&Value, bool)> = all.take(MAX_ADDRESSES).collect();
    let of = |family: &'static str| {
        let fits = |(address, _): &&(&Value, bool)| text(address, "/ip").contains(':') == (family == "IPv6");
        let list: Vec<Value> = all.iter().filter(fits).map(|(address, ready)| endpoint(address, *ready)).collect();
        (!list.is_empty()).then(|| (family, list, ports(subset)))
    };
    ["IPv4", "IPv6"].into_iter().filter_map(of).collect()
}

fn endpoint(address: &Value, ready: bool) -> Value {
    let mut endpoint = json!({ "addresses": [address["ip"]], "conditions": { "ready": ready } });
    for field in ["hostname", "nodeName", "targetRef"] {
        if let Some(value) = address.get(field).filter(|value| !value.is_null() && **value != "") {
            endpoint[field] = value.clone();
        }
    }
    endpoint
}

/// As stored: every port has a name and a protocol.
fn ports(subset: &Value) -> Value {
    let port = |port: &Value| {
        let mut own = json!({ "name": text(port, "/name"), "port": port["port"], "protocol": port["protocol"] });
        if let Some(protocol) = port.get("appProtocol").filter(|protocol| !protocol.is_null()) {
            own["appProtocol"] = protocol.clone();
        }
        own
    };
    items(subset, "/ports").iter().map(port).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    fn world(labels: Value) -> World {
        let endpoints = json!({ "metadata": { "labels": labels }, "subsets": [{
            "addresses": [{ "ip": "192.168.0.1" }, { "ip": "fd00::1" }], "notReadyAddresses": [{ "ip": "192.168.0.2" }],
            "ports": [{ "port": 80, "protocol": "TCP" }],
        }] });
        World::default().with(&ENDPOINTS, "d", "s", endpoints)
    }

    fn check(world: &World, expect: &[&str]) {
        assert_eq!(world.told(&CONTROLLER, &Key::new("d", "s")), expect);
    }

    #[test]
    fn endpoints_by_hand_become_one_slice_a_family() {
        let service = json!({ "spec": { "type": "ClusterIP" } });
        let mut world = world(json!({})).with(&SERVICE, "d", "s", service);
        let created = world.plan(&CONTROLLER, &Key::new("d", "s")).actions;
        for (index, action) in created.into_iter().enumerate() {
            let Action::Create { object, .. } = action else { panic!("not a create") };
            world = world.with(&ENDPOINT_SLICE, "d", &format!("s-{index}"), object);
        }
        check(&world, &[]);
        let four = world.object(&ENDPOINT_SLICE, "d", "s-0");
        let expect = json!([
            { "addresses": ["192.168.0.1"], "conditions": { "ready": true } },
            { "addresses": ["192.168.0.2"], "conditions": { "ready": false } },
        ]);
        assert_eq!((&four["endpoints"], &four["addressType"]), (&expect, &json!("IPv4")));
        let selecting = json!({ "spec": { "selector": { "a": "b" } } });
        check(
            &world.with(&SERVICE, "d", "s", selecting),
            &["delete endpointslices d/s-0 ", "delete endpointslices d/s-1 "],
        );
    }

    #[test]
    fn some_endpoints_are_not_mirrored() {
        check(&world(json!({})), &[]);
        let service = json!({ "spec": { "type": "ClusterIP" } });
        check(&world(json!({ SKIP: "true" })).with(&SERVICE, "d", "s", service), &[]);
    }
}
