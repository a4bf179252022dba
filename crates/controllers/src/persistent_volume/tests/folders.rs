//! Volumes that are folders of a node.

use super::*;

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
