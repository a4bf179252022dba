//! Slices of Services.

use api::{
    kinds::{
        endpoint_slice::{ENDPOINT_SLICE, MANAGED_BY, SERVICE_NAME},
        node::NODE,
        pod::POD,
        service::SERVICE,
    },
    meta,
};
use serde_json::{Value, json};

use super::{CONTROLLER, MANAGER};
use crate::{Action, Key, world::World};

fn service(spec: Value) -> Value {
    let mut object = json!({ "spec": {
        "type": "ClusterIP", "selector": { "app": "a" }, "ipFamilies": ["IPv4"],
        "ports": [{ "name": "http", "port": 80, "targetPort": "web", "protocol": "TCP" }],
    } });
    for (field, value) in spec.as_object().expect("fields") {
        object["spec"][field] = value.clone();
    }
    object
}

fn pod(ip: &str, ready: bool) -> Value {
    json!({
        "metadata": { "labels": { "app": "a" } },
        "spec": { "nodeName": "n", "containers": [{ "ports": [{ "name": "web", "containerPort": 8080 }] }] },
        "status": { "phase": "Running", "podIPs": [{ "ip": ip }],
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }] },
    })
}

fn key() -> Key {
    Key::new("d", "s")
}

fn world(spec: Value) -> World {
    let node = json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": "z" } } });
    World::default().with(&SERVICE, "d", "s", service(spec)).with(&NODE, "", "n", node)
}

/// Carries out a plan: what is created gets a name of its own.
fn carried_out(mut world: World) -> World {
    for (index, action) in world.plan(&CONTROLLER, &key()).actions.into_iter().enumerate() {
        world = match action {
            Action::Create { kind, namespace, object } => world.with(kind, &namespace, &format!("s-{index}"), object),
            Action::Update { kind, object, .. } => {
                let (namespace, name) = (meta::namespace(&object).to_owned(), meta::name(&object).to_owned());
                world.with(kind, &namespace, &name, object)
            }
            Action::Delete { target, .. } => world.without(target.kind, &target.namespace, &target.name),
            _ => world,
        };
    }
    assert_eq!(world.told(&CONTROLLER, &key()), [""; 0], "a second run has nothing to do");
    world
}

fn created(world: &World) -> Value {
    match world.plan(&CONTROLLER, &key()).actions.pop() {
        Some(Action::Create { object, .. }) => object,
        other => panic!("not a create: {other:?}"),
    }
}

#[test]
fn a_ready_pod_is_an_endpoint_of_its_service() {
    let world = world(json!({})).with(&POD, "d", "p", pod("10.1.0.1", true));
    let slice = created(&world);
    assert_eq!(slice["addressType"], "IPv4");
    assert_eq!(slice["ports"], json!([{ "name": "http", "port": 8080, "protocol": "TCP" }]));
    assert_eq!(
        slice["endpoints"],
        json!([{
            "addresses": ["10.1.0.1"], "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": "n", "zone": "z", "targetRef": { "kind": "Pod", "name": "p", "namespace": "d", "uid": "u-p" },
        }])
    );
    assert_eq!(slice["metadata"]["labels"], json!({ SERVICE_NAME: "s", MANAGED_BY: MANAGER }));
    assert_eq!(slice["metadata"]["ownerReferences"][0]["uid"], "u-s");
    carried_out(world);
}

#[test]
fn conditions_follow_readiness_and_deletion() {
    let check = |spec: Value, pod: Value, expect: [bool; 3]| {
        let slice = created(&world(spec).with(&POD, "d", "p", pod));
        let conditions = &slice["endpoints"][0]["conditions"];
        assert_eq!(json!([conditions["ready"], conditions["serving"], conditions["terminating"]]), json!(expect));
    };
    let mut dying = pod("10.1.0.1", true);
    dying["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    check(json!({}), pod("10.1.0.1", false), [false, false, false]);
    check(json!({}), dying.clone(), [false, true, true]);
    check(json!({ "publishNotReadyAddresses": true }), pod("10.1.0.1", false), [true, false, false]);
    check(json!({ "publishNotReadyAddresses": true }), dying, [true, true, true]);
}

#[test]
fn a_service_without_endpoints_has_one_empty_slice() {
    let world = carried_out(world(json!({ "clusterIPs": ["None"] })));
    let slice = world.object(&ENDPOINT_SLICE, "d", "s-0");
    assert_eq!((&slice["endpoints"], &slice["ports"]), (&json!([]), &Value::Null));
    assert_eq!(slice["metadata"]["labels"]["service.kubernetes.io/headless"], "");
    let mut ended = pod("10.1.0.1", true);
    ended["status"]["phase"] = json!("Succeeded");
    let world = carried_out(world.with(&POD, "d", "p", ended));
    let world = carried_out(world.with(&POD, "d", "q", pod("10.1.0.2", true)));
    assert_eq!(world.object(&ENDPOINT_SLICE, "d", "s-0")["endpoints"].as_array().map(Vec::len), Some(1), "reused");
}

#[test]
fn slices_are_filled_and_endpoints_stay_in_theirs() {
    let name = |index: usize| format!("p{index:03}");
    let ip = |index: usize| format!("10.1.{}.{}", index / 200, index % 200 + 1);
    let world =
        (0..250).fold(world(json!({})), |world, index| world.with(&POD, "d", &name(index), pod(&ip(index), true)));
    let world = carried_out(world);
    let counts = |world: &World| {
        ["s-0", "s-1", "s-2"]
            .map(|slice| world.object(&ENDPOINT_SLICE, "d", slice)["endpoints"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(counts(&world), [100, 100, 50]);
    let world = world.without(&POD, "d", &name(7)).with(&POD, "d", &name(120), pod(&ip(120), false));
    assert_eq!(world.told(&CONTROLLER, &key()), ["update endpointslices d/s-0", "update endpointslices d/s-1"]);
    let world = carried_out(world);
    assert_eq!(counts(&world), [99, 100, 50]);
    let world = world.with(&POD, "d", "q", pod("10.1.9.9", true));
    assert_eq!(world.told(&CONTROLLER, &key()), ["update endpointslices d/s-0"], "into the fullest that has room");
}

#[test]
fn pods_that_name_a_port_differently_are_in_slices_of_their_own() {
    let mut other = pod("10.1.0.2", true);
    other["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(9090);
    let world = world(json!({})).with(&POD, "d", "p", pod("10.1.0.1", true)).with(&POD, "d", "q", other);
    assert_eq!(world.plan(&CONTROLLER, &key()).actions.len(), 2);
    carried_out(world);
}

#[test]
fn each_family_has_its_slices_and_other_services_none() {
    let both = world(json!({ "ipFamilies": ["IPv4", "IPv6"] })).with(&POD, "d", "p", pod("10.1.0.1", true));
    assert_eq!(both.plan(&CONTROLLER, &key()).actions.len(), 2);
    for spec in [json!({ "selector": null }), json!({ "type": "ExternalName" })] {
        assert_eq!(world(spec).told(&CONTROLLER, &key()), [""; 0]);
    }
}

#[test]
fn a_pod_wakes_the_services_that_select_it_only_when_it_matters() {
    let world = world(json!({})).with(&SERVICE, "d", "t", service(json!({ "selector": { "app": "b" } })));
    let woken = |old: Option<Value>, new: Option<Value>| world.woken(&CONTROLLER, &POD, "d", "p", old, new);
    assert_eq!(woken(None, Some(pod("10.1.0.1", true))), [key()]);
    assert_eq!(woken(Some(pod("10.1.0.1", true)), None), [key()]);
    let mut noted = pod("10.1.0.1", true);
    noted["metadata"]["annotations"] = json!({ "a": "b" });
    assert_eq!(woken(Some(pod("10.1.0.1", true)), Some(noted)), []);
    let mut moved = pod("10.1.0.1", true);
    moved["metadata"]["labels"]["app"] = json!("b");
    assert_eq!(woken(Some(pod("10.1.0.1", true)), Some(moved)), [key(), Key::new("d", "t")]);
}
