//! What becomes of claims, as tables.

use super::*;

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
