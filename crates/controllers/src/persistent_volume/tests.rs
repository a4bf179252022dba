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
fn a_claim_gets_what_it_or_the_volume_names() {
    let free = || volume("2Gi", json!({}));
    let world = |claim: Value, volume: Value| World::default().claimed(claim).volume(volume);
    let names = |change: Value| claim("".into(), with(json!({ "spec": { "volumeName": "v" } }), change));
    check_claim(&world(names(json!({})), free()), &[UPDATE_VOLUME]);
    check_claim(&World::default().claimed(names(json!({}))), &[]);
    let meant = |name: &str, uid: &str| with(free(), json!({ "spec": { "claimRef": reference(name, uid) } }));
    let any = || claim("".into(), json!({}));
    let none = "event FailedBinding: no persistent volumes available for this claim and no storage class is set";
    check_claim(&world(any(), meant(C, "")), &[UPDATE_VOLUME]);
    check_claim(&world(any(), meant(C, "other")), &[none]);
    check_claim(&world(any(), meant("d", "")), &[none]);
    let other = "event FailedBinding: volume \"v\" already bound to a different claim.";
    check_claim(&world(names(json!({})), meant("d", "")), &[other]);
    let wrong = |why: &str| format!("event VolumeMismatch: Cannot bind to requested volume \"v\": {why}");
    let differs = |volume: Value, why: &str| check_claim(&world(names(json!({})), volume), &[wrong(why).as_str()]);
    differs(volume("1Mi", json!({})), "requested PV is too small");
    differs(volume("2Gi", json!({ "spec": { "storageClassName": "x" } })), "storageClassName does not match");
    differs(volume("2Gi", json!({ "spec": { "volumeMode": "Block" } })), "incompatible volumeMode");
    differs(volume("2Gi", json!({ "spec": { "accessModes": ["ReadOnlyMany"] } })), "incompatible accessMode");
    let going = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    differs(volume("2Gi", going), "the volume is marked for deletion \"v\"");
}

#[test]
fn a_claim_without_a_volume_tells_why() {
    let check = |name: &str, kind: Option<Value>, change: Value, expect: &[&str]| {
        let world = World::default().claimed(claim(name.into(), change));
        check_claim(&kind.into_iter().fold(world, |world, kind| world.class(name, kind)), expect);
    };
    let gone = "event ProvisioningFailed: storageclass.storage.k8s.io \"x\" not found";
    check("x", None, json!({}), &[gone]);
    let built_in = "event ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner";
    check("x", Some(class("kubernetes.io/no-provisioner", "Immediate")), json!({}), &[built_in]);
    let later = "event WaitForFirstConsumer: waiting for first consumer to be created before binding";
    check("x", Some(class("a.b/c", LATER)), json!({}), &[later]);
    check("x", Some(class("a.b/c", "Immediate")), json!({}), &[UPDATE_CLAIM]);
    let selected = json!({ "metadata": { "annotations": { SELECTED_NODE: "n1" } } });
    check("x", Some(class("a.b/c", LATER)), selected, &[UPDATE_CLAIM]);
    let asked = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
    let asked = json!({ "metadata": { "annotations": { asked[0]: "a.b/c", asked[1]: "a.b/c" } } });
    let outside = "event ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'a.b/c' or \
                   manually by the system administrator. If volume creation is delayed, please verify that the provisioner is \
                   running and correctly registered.";
    check("x", Some(class("a.b/c", "Immediate")), asked, &[outside]);
    check("x", None, json!({ "status": { "phase": null } }), &[CLAIM_STATUS, gone]);
    let volume = json!({ "name": "v", "persistentVolumeClaim": { "claimName": C } });
    let world = World::default().claimed(claim("x".into(), json!({}))).class("x", class("a.b/c", LATER));
    let world = world.with(&POD, "n", "p", json!({ "spec": { "volumes": [volume] } }));
    check_claim(&world, &["event WaitForPodScheduled: waiting for pod p to be scheduled"]);
}

#[test]
fn a_volume_of_a_class_that_waits_is_the_schedulers_to_choose() {
    let own = |change: Value| volume("2Gi", with(json!({ "spec": { "storageClassName": "x" } }), change));
    let world = |volume: Value| {
        let world = World::default().claimed(claim("x".into(), json!({}))).volume(volume);
        world.class("x", class("kubernetes.io/no-provisioner", LATER))
    };
    let later = "event WaitForFirstConsumer: waiting for first consumer to be created before binding";
    check_claim(&world(own(json!({}))), &[later]);
    check_claim(&world(own(json!({ "spec": { "claimRef": reference(C, "u-c") } }))), &[VOLUME_STATUS, UPDATE_CLAIM]);
}

#[test]
fn claims_from_before_get_the_default_class() {
    let old = |class: Value| claim(class, json!({}));
    let default = |at: &str| {
        let metadata = json!({ "creationTimestamp": at, "annotations": { DEFAULT_ANNOTATION: "true" } });
        with(class("a.b/c", "Immediate"), json!({ "metadata": metadata }))
    };
    let world = |claim: Value| {
        let world = World::default().claimed(claim).class("a", default("2026-01-01T00:00:00Z"));
        world.class("b", default("2026-01-02T00:00:00Z")).class("c", class("a.b/c", "Immediate"))
    };
    let plan = world(old(Value::Null)).plan(&CONTROLLER, &of_claim());
    let [Action::Update { object, part: "", .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
    assert_eq!(text(object, "/spec/storageClassName"), "b", "the newest");
    let none = "event FailedBinding: no persistent volumes available for this claim and no storage class is set";
    check_claim(&world(old("".into())), &[none]);
}

#[test]
fn what_was_bound_is_kept_or_lost() {
    let world = |claim: Value, volume: Value| World::default().claimed(claim).volume(volume);
    let is = |change: Value| with(json!({ "status": { "accessModes": ["ReadWriteOnce"] } }), change);
    check_claim(&world(with(bound("v"), is(json!({}))), taken("u-c", json!({}))), &[]);
    check_claim(&world(bound("v"), volume("1Gi", json!({}))), &[UPDATE_VOLUME]);
    let lost = |why: &str| [CLAIM_STATUS.to_owned(), format!("event {why}")];
    let check = |world: &World, why: &str| assert_eq!(world.told(&CONTROLLER, &of_claim()), lost(why));
    let gone = "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    check(&World::default().claimed(bound("v")), gone);
    let unsaid = "ClaimLost: Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
    check(&World::default().claimed(with(bound("v"), json!({ "spec": { "volumeName": null } }))), unsaid);
    let two = "ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly";
    check(&world(bound("v"), taken("other", json!({ "spec": { "claimRef": { "name": "d" } } }))), two);
    check_claim(&World::default().claimed(with(bound("v"), json!({ "status": { "phase": "Lost" } }))), &[]);
}

fn check_volume(world: &World, expect: &[&str]) {
    check(world, &Key::new("", "v"), expect);
}

#[test]
fn a_volume_says_whose_it_is() {
    let new = |change: Value| volume("1Gi", with(json!({ "status": { "phase": "Pending" } }), change));
    let phase = |world: &World| {
        let plan = world.plan(&CONTROLLER, &Key::new("", "v"));
        let [Action::Update { object, part: "status", .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
        text(object, "/status/phase").to_owned()
    };
    let world = |volume: Value| World::default().volume(volume);
    assert_eq!(phase(&world(new(json!({})))), "Available");
    assert_eq!(phase(&world(new(json!({ "spec": { "claimRef": reference(C, "") } })))), "Available");
    assert_eq!(phase(&world(taken("u-c", json!({})))), "Released");
    assert_eq!(phase(&world(taken("u-c", json!({ "status": { "phase": "Pending" } }))).claimed_as("v")), "Bound");
    check_volume(&world(taken("u-c", json!({}))).claimed_as("v"), &[]);
    check_volume(&world(taken("u-c", json!({}))).claimed_as("other"), &[UPDATE_VOLUME]);
    let made = json!({ "metadata": { "annotations": { PROVISIONED_BY: "a.b/c" } },
                       "spec": { "persistentVolumeReclaimPolicy": "Delete" } });
    assert_eq!(phase(&world(taken("u-c", made)).claimed_as("other")), "Released");
    let block = world(taken("u-c", json!({ "spec": { "volumeMode": "Block" } }))).claimed(claim("".into(), json!({})));
    check_volume(
        &block,
        &[
            "event VolumeMismatch: Cannot bind PersistentVolume to requested PersistentVolumeClaim \"c\" due to incompatible \
             volumeMode.",
            "event VolumeMismatch: Cannot bind PersistentVolume \"v\" to requested PersistentVolumeClaim due to incompatible \
             volumeMode.",
        ],
    );
    let gone = world(taken("u-c", json!({})));
    check_claim(&gone, &[VOLUME_STATUS]);
}

impl World {
    /// The claim has this volume.
    fn claimed_as(self, name: &str) -> Self {
        self.claimed(bound(name))
    }
}

#[test]
fn a_volume_that_is_let_go_stays_meant_for_whom_a_person_meant_it() {
    let freed = |change: Value| {
        let world = World::default().volume(taken("u-c", change)).claimed_as("other");
        let plan = world.plan(&CONTROLLER, &Key::new("", "v"));
        let [Action::Update { object, part: "", .. }] = plan.actions.as_slice() else { panic!("{plan:?}") };
        object["spec"].get("claimRef").cloned()
    };
    assert_eq!(freed(json!({ "metadata": { "annotations": { pv::BOUND_BY_CONTROLLER: "yes" } } })), None);
    assert_eq!(freed(json!({})), Some(reference(C, "")));
}

fn released(policy: &str, change: Value) -> World {
    let own = json!({ "spec": { "persistentVolumeReclaimPolicy": policy }, "status": { "phase": "Released" } });
    World::default().volume(with(taken("u-c", own), change))
}

#[test]
fn a_released_volume_is_kept_deleted_or_told_of() {
    let failed = |why: &str| [VOLUME_STATUS.to_owned(), format!("event {why}")];
    let check = |policy: &str, change: Value, why: &str| {
        let told = released(policy, change).told(&CONTROLLER, &Key::new("", "v"));
        assert_eq!(told, if why.is_empty() { Vec::new() } else { failed(why).to_vec() });
    };
    check("Retain", json!({}), "");
    check("Recycle", json!({}), "VolumeFailedRecycle: No recycler plugin found for the volume!");
    check("Recycle", json!({ "status": { "phase": "Failed" } }), "");
    check("Shred", json!({}), "VolumeUnknownReclaimPolicy: Volume has unrecognized PersistentVolumeReclaimPolicy");
    let path = "VolumeFailedDelete: host_path deleter only supports /tmp/.+ but received provided /data";
    check("Delete", json!({}), path);
    let none =
        "VolumeFailedDelete: error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched";
    check("Delete", json!({ "spec": { "hostPath": null, "local": { "path": "/d" } } }), none);
    check("Delete", json!({ "spec": { "hostPath": null, "csi": { "driver": "a.b" } } }), "");
    check("Delete", json!({ "metadata": { "annotations": { PROVISIONED_BY: "a.b/c" } } }), "");
}

/// A change that makes a volume one of ours, on node `n1`.
fn ours(finalizers: &[&str], going: bool) -> Value {
    let here = json!({ "key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"] });
    let affinity = json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [here] }] } });
    let csi = json!({ "driver": LOCAL, "volumeHandle": "h" });
    json!({
        "metadata": { "finalizers": finalizers, "deletionTimestamp": going.then_some("2026-01-01T00:00:00Z") },
        "spec": { "hostPath": null, "csi": csi, "nodeAffinity": affinity },
    })
}

#[test]
fn the_data_of_ours_goes_before_the_volume_does() {
    let (delete, remove) = ("delete persistentvolumes v ", "remove data n1 h");
    let check = |world: World, expect: &[&str]| check_volume(&world, expect);
    check(released("Delete", ours(&[REMOVE_DATA], false)), &[delete]);
    check(released("Delete", ours(&[], false)), &[remove, delete]);
    check(released("Delete", ours(&[REMOVE_DATA], true)), &[remove, UPDATE_VOLUME]);
    check(released("Delete", ours(&["x"], true)), &[]);
    check(released("Retain", ours(&[REMOVE_DATA], false)), &[]);
    check(released("Retain", ours(&[REMOVE_DATA], true)), &[UPDATE_VOLUME]);
    let failed = |phase: &str| {
        let volume = taken("u-c", json!({ "spec": { "persistentVolumeReclaimPolicy": "Delete" } }));
        let volume = with(with(volume, ours(&[REMOVE_DATA], true)), json!({ "status": { "phase": phase } }));
        World::default().volume(volume).failed("no answer")
    };
    check(failed("Released"), &[VOLUME_STATUS, "event VolumeFailedDelete: no answer"]);
    check(failed("Failed"), &[remove, UPDATE_VOLUME]);
    let nowhere = with(ours(&[REMOVE_DATA], true), json!({ "spec": { "nodeAffinity": null } }));
    let why = "event VolumeFailedDelete: nodeAffinity does not name a node by kubernetes.io/hostname";
    check(released("Delete", nowhere), &[VOLUME_STATUS, why]);
    let unbound = with(volume("1Gi", ours(&[REMOVE_DATA], true)), json!({}));
    check(World::default().volume(unbound), &[UPDATE_VOLUME]);
}

#[test]
fn a_claim_of_ours_gets_a_folder_of_its_node() {
    let selected = json!({ "metadata": { "annotations": { SELECTED_NODE: "n1" } } });
    let world = World::default().class(LOCAL_CLASS, class(LOCAL, LATER)).ready("n1").ready("n2");
    let mut world = world.claimed(claim(LOCAL_CLASS.into(), selected));
    let done = world.settle(&[of_claim(), Key::new("", "pvc-u-c")]);
    assert_eq!(done[..2], [UPDATE_CLAIM.to_owned(), "create persistentvolumes pvc-u-c".to_owned()]);
    let claim = world.object(&PERSISTENT_VOLUME_CLAIM, "n", C);
    assert_eq!((text(&claim, "/status/phase"), text(&claim, "/spec/volumeName")), ("Bound", "pvc-u-c"));
    let volume = world.object(&PERSISTENT_VOLUME, "", "pvc-u-c");
    assert_eq!(volume["spec"]["csi"], json!({ "driver": LOCAL, "volumeHandle": "pvc-u-c" }));
    assert_eq!((local::node_of(&volume), text(&volume, "/status/phase")), (Some("n1"), "Bound"));
    assert_eq!(text(&volume, "/spec/capacity/storage"), "1Gi");
    assert_eq!(meta::finalizers(&volume).collect::<Vec<_>>(), [pv::PROTECTION, REMOVE_DATA]);
    assert_eq!(meta::annotation(&volume, PROVISIONED_BY), Some(LOCAL));
    world = world.without(&PERSISTENT_VOLUME_CLAIM, "n", C);
    let done = world.settle(&[of_claim()]);
    assert_eq!(done, ["update persistentvolumes/status pvc-u-c", "delete persistentvolumes pvc-u-c "]);
}

/// A claim of ours that has been asked for already, on this node or any.
fn asked(node: Option<&str>, change: Value) -> Value {
    let keys = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
    let annotations = json!({ keys[0]: LOCAL, keys[1]: LOCAL, SELECTED_NODE: node });
    claim("x".into(), with(json!({ "metadata": { "annotations": annotations } }), change))
}

#[test]
fn what_no_folder_can_be_is_told() {
    let why =
        |why: &str| format!("event ProvisioningFailed: failed to provision volume with StorageClass \"x\": {why}");
    let check = |change: Value, expect: &str| {
        let world = World::default().class("x", class(LOCAL, "Immediate")).ready("n1");
        assert_eq!(world.claimed(asked(None, change)).told(&CONTROLLER, &of_claim()), [why(expect)]);
    };
    check(json!({ "spec": { "volumeMode": "Block" } }), "a folder is no block device: volumeMode has to be Filesystem");
    check(json!({ "spec": { "selector": {} } }), "claim Selector is not supported");
    check(json!({ "spec": { "dataSource": {} } }), "volumes begin empty: dataSource is not supported");
    let nowhere = World::default().class("x", class(LOCAL, "Immediate")).claimed(asked(None, json!({})));
    assert_eq!(nowhere.told(&CONTROLLER, &of_claim()), [why("no node is ready for it")]);
    assert!(nowhere.plan(&CONTROLLER, &of_claim()).wake_at.is_some());
}

#[test]
fn a_node_is_where_the_class_lets_it_be() {
    let allowed = json!([{ "matchLabelExpressions": [{ "key": "kubernetes.io/hostname", "values": ["n2"] }] }]);
    let world = |mode: &str, node: Option<&str>| {
        let class = with(class(LOCAL, mode), json!({ "allowedTopologies": allowed }));
        World::default().class("x", class).ready("n1").ready("n2").ready("n3").claimed(asked(node, json!({})))
    };
    let node = |world: &World| {
        let plan = world.plan(&CONTROLLER, &of_claim());
        let [Action::Then(first, _)] = plan.actions.as_slice() else { panic!("{plan:?}") };
        let Action::Create { object, .. } = &**first else { panic!("{first:?}") };
        local::node_of(object).unwrap_or_default().to_owned()
    };
    assert_eq!(node(&world("Immediate", None)), "n2");
    assert_eq!(node(&world(LATER, Some("n2"))), "n2");
    for wrong in ["n1", "gone"] {
        let told = world(LATER, Some(wrong)).told(&CONTROLLER, &of_claim());
        assert_eq!(told[0], UPDATE_CLAIM, "the scheduler chooses again: {told:?}");
    }
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
