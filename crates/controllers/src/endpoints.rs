//! Keeps the Endpoints object of every Service that selects pods, for clients that do not know EndpointSlices.
//! Spec: <https://kubernetes.io/docs/concepts/services-networking/service/#endpoints>.
//!
//! Leaves out: the annotation that tells when a change began.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{
    kinds::{
        endpoints::ENDPOINTS,
        pod::POD,
        read::text,
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

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "endpoints",
    account: "endpoint-controller",
    watches: &[
        Watch { kinds: Kinds::One(&SERVICE), keys: change::itself },
        Watch { kinds: Kinds::One(&POD), keys: service_pods::of_pod },
        Watch { kinds: Kinds::One(&ENDPOINTS), keys: removed },
    ],
    facts: change::no_facts,
    reconcile,
};

/// Label that names who keeps an Endpoints object.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// Its value here.
const MANAGER: &str = "endpoint-controller";

/// Annotation of an object that tells only some of the endpoints.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// Most addresses in one Endpoints object; the rest is told by slices only.
const MAX_ADDRESSES: usize = 1000;

fn removed(change: &dyn Change, keys: &mut Vec<Key>) {
    if change.removed() {
        change::itself(change, keys);
    }
}

fn reconcile(view: &dyn View, key: &Key, _: Timestamp) -> Plan {
    let known = view.get(&ENDPOINTS, &key.namespace, &key.name);
    let action = match view.get(&SERVICE, &key.namespace, &key.name) {
        None => known.filter(|known| is_ours(known)).map(|known| Action::Delete {
            target: Target::of(&ENDPOINTS, &known),
            only: Only::unchanged(&known),
            propagation: None,
        }),
        Some(service) if fields::has_selector(&service) && fields::service_type(&service) != "ExternalName" => {
            write(view, &service, known.as_deref())
        }
        Some(_) => None,
    };
    Plan { actions: action.into_iter().collect(), wake_at: None }
}

fn is_ours(endpoints: &Value) -> bool {
    meta::label(endpoints, MANAGED_BY) == Some(MANAGER)
}

fn write(view: &dyn View, service: &Value, known: Option<&Value>) -> Option<Action> {
    let (subsets, over) = subsets(service, &service_pods::of_service(view, service));
    let mut object = known.cloned().unwrap_or_else(|| json!({ "metadata": { "name": meta::name(service) } }));
    meta::set(&mut object, "labels", Some(labels(service).into()));
    annotate(&mut object, over);
    object["subsets"] = if subsets.is_empty() { Value::Null } else { subsets.into() };
    let namespace = meta::namespace(service).to_owned();
    match known {
        None => Some(Action::Create { kind: &ENDPOINTS, namespace, object }),
        Some(known) if same(known, &object) => None,
        Some(_) => Some(Action::Update { kind: &ENDPOINTS, part: "", object }),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    let parts = |object: &Value| {
        let subsets = object.get("subsets").filter(|subsets| !subsets.is_null()).cloned();
        let metadata = |field: &str| meta::get(object).and_then(|fields| fields.get(field)).cloned();
        (subsets, metadata("labels"), metadata("annotations"))
    };
    parts(one) == parts(other)
}

fn labels(service: &Value) -> Map<String, Value> {
    let mut labels: Map<String, Value> = meta::labels(service).map(|(key, value)| (key.into(), value.into())).collect();
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    match fields::is_headless(service) {
        true => labels.insert(HEADLESS.into(), "".into()),
        false => labels.remove(HEADLESS),
    };
    labels
}

fn annotate(object: &mut Value, over: bool) {
    let mut notes: Map<String, Value> =
        meta::annotations(object).map(|(key, value)| (key.into(), value.into())).collect();
    match over {
        true => notes.insert(OVER_CAPACITY.into(), "truncated".into()),
        false => notes.remove(OVER_CAPACITY),
    };
    meta::set(object, "annotations", (!notes.is_empty()).then(|| notes.into()));
}

/// Addresses, in order, of pods that share their ports: those that are ready, and those that are not.
#[derive(Default)]
struct Subset {
    ready: BTreeMap<(IpAddr, String), Value>,
    unready: BTreeMap<(IpAddr, String), Value>,
}

/// Subsets in order of their ports, and whether some addresses had no room.
fn subsets(service: &Value, pods: &[Object]) -> (Vec<Value>, bool) {
    let all = service_pods::publishes_all(service);
    let family = fields::families(service).first().copied().unwrap_or("IPv4");
    let mut subsets: BTreeMap<BTreeSet<String>, Subset> = BTreeMap::new();
    let mut room = MAX_ADDRESSES;
    for pod in pods.iter().filter(|pod| all || !meta::is_being_deleted(pod)) {
        let Some(address) = service_pods::address(pod, family) else { continue };
        let (Ok(ip), ports) = (address.parse(), ports(service, pod)) else { continue };
        if ports.is_empty() && !fields::ports(service).is_empty() {
            continue;
        }
        if room == 0 {
            return (written(subsets), true);
        }
        room -= 1;
        let subset = subsets.entry(ports).or_default();
        let side = if all || service_pods::is_ready(pod) { &mut subset.ready } else { &mut subset.unready };
        side.insert((ip, meta::uid(pod).to_owned()), endpoint(service, pod, address));
    }
    (written(subsets), false)
}

fn written(subsets: BTreeMap<BTreeSet<String>, Subset>) -> Vec<Value> {
    let one = |(ports, subset): (BTreeSet<String>, Subset)| {
        let mut object = Map::new();
        let ports: Vec<Value> = ports.iter().filter_map(|port| serde_json::from_str(port).ok()).collect();
        let lists = [
            ("addresses", subset.ready.into_values().collect()),
            ("notReadyAddresses", subset.unready.into_values().collect()),
            ("ports", ports),
        ];
        for (field, list) in lists.into_iter().filter(|(_, list): &(_, Vec<Value>)| !list.is_empty()) {
            object.insert(field.into(), list.into());
        }
        object.into()
    };
    subsets.into_iter().map(one).collect()
}

fn endpoint(service: &Value, pod: &Value, address: &str) -> Value {
    let mut endpoint = json!({ "ip": address, "targetRef": service_pods::reference(pod) });
    let node = Some(text(pod, "/spec/nodeName")).filter(|node| !node.is_empty());
    for (field, value) in [("nodeName", node), ("hostname", service_pods::hostname(pod, service))] {
        if let Some(value) = value {
            endpoint[field] = value.into();
        }
    }
    endpoint
}

/// The ports of the Service in this pod, each as JSON.
fn ports(service: &Value, pod: &Value) -> BTreeSet<String> {
    let port = |port: &Value| {
        let mut own = json!({ "port": service_pods::target(pod, port)?, "protocol": port["protocol"] });
        for field in ["name", "appProtocol"] {
            if let Some(value) = port.get(field).filter(|value| !value.is_null() && **value != "") {
                own[field] = value.clone();
            }
        }
        Some(own.to_string())
    };
    fields::ports(service).iter().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    fn pod(ip: &str, ready: &str) -> Value {
        json!({
            "metadata": { "labels": { "app": "a" } }, "spec": { "nodeName": "n" },
            "status": { "podIPs": [{ "ip": ip }], "conditions": [{ "type": "Ready", "status": ready }] },
        })
    }

    fn world() -> World {
        let service = json!({ "spec": { "type": "ClusterIP", "selector": { "app": "a" },
            "ports": [{ "name": "b", "port": 81, "protocol": "TCP" }, { "name": "a", "port": 80, "protocol": "TCP" }] } });
        World::default().with(&SERVICE, "d", "s", service)
    }

    fn key() -> Key {
        Key::new("d", "s")
    }

    fn written(world: &World) -> Value {
        match world.plan(&CONTROLLER, &key()).actions.pop() {
            Some(Action::Create { object, .. } | Action::Update { object, .. }) => object,
            other => panic!("not written: {other:?}"),
        }
    }

    #[test]
    fn ready_and_other_pods_are_told_apart_in_the_order_of_their_addresses() {
        let mut dying = pod("10.1.0.4", "True");
        dying["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let world = world()
            .with(&POD, "d", "p", pod("10.1.0.10", "True"))
            .with(&POD, "d", "q", pod("10.1.0.9", "True"))
            .with(&POD, "d", "r", pod("10.1.0.1", "False"))
            .with(&POD, "d", "t", dying);
        let object = written(&world);
        let subset = &object["subsets"][0];
        let ips = |field: &str| subset[field].as_array().map(|all| all.iter().map(|one| text(one, "/ip")).collect());
        assert_eq!(ips("addresses"), Some(vec!["10.1.0.9", "10.1.0.10"]));
        assert_eq!(ips("notReadyAddresses"), Some(vec!["10.1.0.1"]));
        assert_eq!(
            subset["ports"],
            json!([{ "name": "a", "port": 80, "protocol": "TCP" }, { "name": "b", "port": 81, "protocol": "TCP" }])
        );
        let reference = json!({ "kind": "Pod", "name": "q", "namespace": "d", "uid": "u-q" });
        assert_eq!(subset["addresses"][0], json!({ "ip": "10.1.0.9", "nodeName": "n", "targetRef": reference }));
        let world = world.with(&ENDPOINTS, "d", "s", object);
        assert_eq!(world.told(&CONTROLLER, &key()), [""; 0], "a second run has nothing to do");
    }

    #[test]
    fn an_object_of_ours_goes_with_its_service() {
        let check = |world: World, expect: &[&str]| assert_eq!(world.told(&CONTROLLER, &key()), expect);
        check(world(), &["create endpoints d/s"]);
        let ours = json!({ "metadata": { "labels": { MANAGED_BY: MANAGER } } });
        check(World::default().with(&ENDPOINTS, "d", "s", ours), &["delete endpoints d/s "]);
        check(World::default().with(&ENDPOINTS, "d", "s", json!({})), &[]);
        let by_hand = json!({ "spec": { "type": "ClusterIP" } });
        check(World::default().with(&SERVICE, "d", "s", by_hand), &[]);
    }
}
