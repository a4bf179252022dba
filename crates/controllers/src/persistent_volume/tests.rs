//! Claims and volumes of a simulated cluster, and decisions as tables.

use api::kinds::{
    node::NODE,
    persistent_volume::{self as pv, PROVISIONED_BY, REMOVE_DATA},
    persistent_volume_claim::{BIND_COMPLETED, SELECTED_NODE},
    pod::POD,
    storage_class::{DEFAULT_ANNOTATION, LOCAL, LOCAL_CLASS},
};
use serde_json::json;

use super::*;
use crate::world::World;

mod claims;
mod folders;
mod volumes;

/// A value with this change, of RFC 7396.
fn with(mut object: Value, change: Value) -> Value {
    api::patch::merge(&mut object, change.to_string().as_bytes()).unwrap();
    object
}

fn claim(class: Value, change: Value) -> Value {
    let resources = json!({ "requests": { "storage": "1Gi" } });
    let spec = json!({ "accessModes": ["ReadWriteOnce"], "resources": resources, "storageClassName": class });
    with(json!({ "spec": spec, "status": { "phase": "Pending" } }), change)
}

fn volume(size: &str, change: Value) -> Value {
    let spec = json!({
        "capacity": { "storage": size }, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain", "hostPath": { "path": "/data" },
    });
    with(json!({ "spec": spec, "status": { "phase": "Available" } }), change)
}

fn reference(name: &str, uid: &str) -> Value {
    let claim = json!({ "kind": "PersistentVolumeClaim", "namespace": "n", "name": name, "uid": uid });
    if uid.is_empty() { with(claim, json!({ "uid": null })) } else { claim }
}

/// Bound to a claim `c`, as far as the volume says.
fn taken(uid: &str, change: Value) -> Value {
    with(volume("1Gi", json!({ "spec": { "claimRef": reference("c", uid) }, "status": { "phase": "Bound" } })), change)
}

fn bound(name: &str) -> Value {
    let own = json!({ "metadata": { "annotations": { BIND_COMPLETED: "yes" } }, "spec": { "volumeName": name } });
    claim("".into(), with(own, json!({ "status": { "phase": "Bound" } })))
}

fn class(provisioner: &str, mode: &str) -> Value {
    json!({ "provisioner": provisioner, "volumeBindingMode": mode, "reclaimPolicy": "Delete" })
}

fn of_claim() -> Key {
    Key::new("n", "c")
}

const C: &str = "c";
const UPDATE_CLAIM: &str = "update persistentvolumeclaims n/c";
const CLAIM_STATUS: &str = "update persistentvolumeclaims/status n/c";
const UPDATE_VOLUME: &str = "update persistentvolumes v";
const VOLUME_STATUS: &str = "update persistentvolumes/status v";
const LATER: &str = "WaitForFirstConsumer";

impl World {
    fn claimed(self, claim: Value) -> Self {
        self.with(&PERSISTENT_VOLUME_CLAIM, "n", C, claim)
    }

    fn volume(self, volume: Value) -> Self {
        self.with(&PERSISTENT_VOLUME, "", "v", volume)
    }

    fn class(self, name: &str, class: Value) -> Self {
        self.with(&STORAGE_CLASS, "", name, class)
    }

    fn ready(self, name: &str) -> Self {
        let labels = json!({ "kubernetes.io/hostname": name });
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        self.with(&NODE, "", name, json!({ "metadata": { "labels": labels }, "status": { "conditions": ready } }))
    }

    /// Runs over these keys until nothing is left to do but to tell news; what was done.
    fn settle(&mut self, keys: &[Key]) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let done: Vec<String> = keys.iter().flat_map(|key| self.step(&CONTROLLER, key)).collect();
            let done: Vec<String> = done.into_iter().filter(|one| !one.starts_with("event")).collect();
            if done.is_empty() {
                return all;
            }
            all.extend(done);
            assert!(all.len() < 50, "it never ends: {all:?}");
        }
    }
}

fn check(world: &World, key: &Key, expect: &[&str]) {
    assert_eq!(world.told(&CONTROLLER, key), expect);
}

fn check_claim(world: &World, expect: &[&str]) {
    check(world, &of_claim(), expect);
}

#[test]
fn a_free_volume_and_a_claim_come_together() {
    let mut world = World::default().claimed(claim("".into(), json!({}))).volume(volume("2Gi", json!({})));
    let done = world.settle(&[of_claim(), Key::new("", "v")]);
    assert_eq!(done, [UPDATE_VOLUME, VOLUME_STATUS, UPDATE_CLAIM, CLAIM_STATUS]);
    let (volume, claim) = (world.object(&PERSISTENT_VOLUME, "", "v"), world.object(&PERSISTENT_VOLUME_CLAIM, "n", C));
    assert_eq!((text(&volume, "/status/phase"), text(&claim, "/status/phase")), ("Bound", "Bound"));
    assert_eq!((text(&claim, "/spec/volumeName"), text(&claim, "/status/capacity/storage")), ("v", "2Gi"));
    assert_eq!(claim["status"]["accessModes"], json!(["ReadWriteOnce"]));
    let reference = &volume["spec"]["claimRef"];
    assert_eq!((text(reference, "/uid"), text(reference, "/resourceVersion")), ("u-c", "1"));
    let yes = |object: &Value, key: &str| meta::annotation(object, key) == Some("yes");
    assert!(
        yes(&volume, pv::BOUND_BY_CONTROLLER) && yes(&claim, pv::BOUND_BY_CONTROLLER) && yes(&claim, BIND_COMPLETED)
    );
}

#[test]
fn a_volume_that_comes_later_is_shared_out() {
    let claim = |at: &str| claim("".into(), json!({ "metadata": { "creationTimestamp": at } }));
    let claims = ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"];
    let mut world = World::default();
    for (name, at) in ["a", "b", "c"].into_iter().zip(claims) {
        world = world.with(&PERSISTENT_VOLUME_CLAIM, "n", name, claim(at));
    }
    for name in ["v", "w"] {
        world = world.with(&PERSISTENT_VOLUME, "", name, volume("1Gi", json!({})));
    }
    check(&world, &Key::new("", "class/"), &[UPDATE_VOLUME, "update persistentvolumes w"]);
    world.step(&CONTROLLER, &Key::new("", "class/"));
    let of = |name: &str| text(&world.object(&PERSISTENT_VOLUME, "", name), "/spec/claimRef/name").to_owned();
    assert_eq!((of("v"), of("w")), ("b".into(), "a".into()), "those first that wait for longest");
}

#[test]
fn changes_wake_what_they_concern() {
    let check = |kind: &'static api::kinds::Kind,
                 name: &str,
                 old: Option<Value>,
                 new: Option<Value>,
                 expect: &[(&str, &str)]| {
        let namespace = if std::ptr::eq(kind, &PERSISTENT_VOLUME_CLAIM) { "n" } else { "" };
        let keys = World::keys(&CONTROLLER, kind, namespace, name, old, new);
        assert_eq!(keys, expect.iter().map(|(of, name)| Key::new(*of, *name)).collect::<Vec<_>>());
    };
    let free = || volume("1Gi", json!({}));
    check(&PERSISTENT_VOLUME, "v", None, Some(free()), &[("", "v"), ("", "volume/v"), ("", "class/")]);
    let was = Some(taken("u-c", json!({})));
    check(&PERSISTENT_VOLUME, "v", was, None, &[("", "v"), ("", "volume/v"), ("n", "c")]);
    check(&PERSISTENT_VOLUME_CLAIM, "c", Some(bound("v")), None, &[("n", "c"), ("", "v")]);
    check(&STORAGE_CLASS, "x", None, Some(class("a.b/c", LATER)), &[("", "class/x")]);
    let default = json!({ "metadata": { "annotations": { DEFAULT_ANNOTATION: "true" } } });
    let both = &[("", "class/x"), ("", "class/")];
    check(&STORAGE_CLASS, "x", None, Some(with(class("a.b/c", LATER), default)), both);
}
