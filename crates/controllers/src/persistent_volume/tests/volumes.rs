//! What becomes of volumes, as tables.

use super::*;

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
