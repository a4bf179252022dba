//! Volumes on their way in: defaults, each wrong thing beside what is told of it, what may change, cells.

use jiff::Timestamp;

use super::*;
use crate::field::Errors;

mod sources;

const KIND: &Kind = &PERSISTENT_VOLUME;

/// A sound volume with this change, as it is stored by a create.
fn made(change: &Value) -> Value {
    let spec = json!({
        "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/data" },
    });
    let mut volume = json!({ "metadata": { "name": "v" }, "spec": spec });
    crate::patch::merge(&mut volume, json!({ "spec": change }).to_string().as_bytes()).expect("a patch");
    crate::default::apply(&mut volume, crate::facts::ty(TYPE).expect("built in"));
    (KIND.hooks.default)(&mut volume);
    let once = volume.clone();
    (KIND.hooks.default)(&mut volume);
    assert_eq!(volume, once, "defaults are idempotent");
    (KIND.hooks.prepare_create)(&mut volume, &Ctx { now: Timestamp::UNIX_EPOCH });
    volume
}

fn told(run: impl FnOnce(&mut Errors)) -> Vec<String> {
    let mut errors = Errors::new();
    run(&mut errors);
    errors.0.iter().map(ToString::to_string).collect()
}

fn check(change: Value, expect: &[&str]) {
    assert_eq!(told(|errors| (KIND.hooks.validate)(&made(&change), errors)), expect, "{change}");
}

fn check_update(old: Value, new: Value, expect: &[&str]) {
    let (old, new) = (made(&old), made(&new));
    assert_eq!(told(|errors| (KIND.hooks.validate_update)(&new, &old, errors)), expect, "{new}");
}

#[test]
fn a_plain_one_is_given_defaults() {
    let volume = made(&json!({}));
    let spec = json!({
        "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "hostPath": { "path": "/data", "type": "" },
        "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
    });
    let status = json!({ "phase": "Pending", "lastPhaseTransitionTime": "1970-01-01T00:00:00Z" });
    assert_eq!((&volume["spec"], &volume["status"]), (&spec, &status));
    let iscsi = made(&json!({ "hostPath": null, "iscsi": {} }));
    assert_eq!(iscsi["spec"]["iscsi"], json!({ "iscsiInterface": "default" }));
}

#[test]
fn a_volume_is_of_one_sort_and_has_a_size() {
    check(json!({}), &[]);
    check(
        json!({ "capacity": null, "accessModes": null, "hostPath": null }),
        &[
            "spec.accessModes: Required value",
            "spec.capacity: Required value",
            r#"spec.capacity: Unsupported value: null: supported values: "storage""#,
            "spec: Required value: must specify a volume type",
        ],
    );
    check(
        json!({ "capacity": { "storage": "0", "cpu": "1" } }),
        &[
            r#"spec.capacity: Unsupported value: {"cpu":"1","storage":"0"}: supported values: "storage""#,
            r#"spec.capacity[storage]: Invalid value: "0": must be greater than zero"#,
        ],
    );
    check(
        json!({ "nfs": { "server": "a", "path": "/b" }, "cephfs": {} }),
        &[
            "spec.nfs: Forbidden: may not specify more than 1 volume type",
            "spec.cephFS: Forbidden: may not specify more than 1 volume type",
        ],
    );
    check(
        json!({ "hostPath": { "path": "/./" }, "persistentVolumeReclaimPolicy": "Recycle" }),
        &["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
    );
}

#[test]
fn words_are_among_those_known() {
    check(
        json!({ "accessModes": ["ReadWriteOnce", "ReadWriteOncePod", "Any"] }),
        &[
            r#"spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod""#,
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ],
    );
    check(json!({ "accessModes": ["ReadWriteOncePod"] }), &[]);
    check(
        json!({ "persistentVolumeReclaimPolicy": "Keep", "volumeMode": "Tape" }),
        &[
            r#"spec.persistentVolumeReclaimPolicy: Unsupported value: "Keep": supported values: "Delete", "Recycle", "Retain""#,
            r#"spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem""#,
        ],
    );
    check(
        json!({ "volumeAttributesClassName": "" }),
        &[
            "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
            "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
        ],
    );
}

#[test]
fn local_volumes_are_somewhere() {
    let affinity = |required: Value| json!({ "required": required });
    let here = json!({ "nodeSelectorTerms": [{ "matchExpressions": [
        { "key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"] },
    ] }] });
    let local = |affinity: Value| json!({ "hostPath": null, "local": { "path": "/d" }, "nodeAffinity": affinity });
    check(local(affinity(here)), &[]);
    check(local(Value::Null), &["spec.nodeAffinity: Required value: Local volume requires node affinity"]);
    check(local(json!({})), &["spec.nodeAffinity.required: Required value: must specify required node constraints"]);
    check(
        local(affinity(json!({}))),
        &["spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"],
    );
    check(
        json!({ "hostPath": null, "local": { "path": "/a/../b" } }),
        &[
            r#"spec.local.path: Invalid value: "/a/../b": must not contain '..'"#,
            "spec.nodeAffinity: Required value: Local volume requires node affinity",
        ],
    );
}

#[test]
fn mount_options_in_an_annotation_are_for_some_sources() {
    let check = |change: Value, expect: &[&str]| {
        let mut volume = made(&change);
        volume["metadata"]["annotations"] = json!({ warnings::MOUNT_OPTIONS: "ro" });
        assert_eq!(told(|errors| (KIND.hooks.validate)(&volume, errors)), expect, "{change}");
    };
    check(json!({ "hostPath": null, "nfs": { "server": "a", "path": "/b" } }), &[]);
    check(
        json!({}),
        &[
            "metadata.annotations.volume.beta.kubernetes.io/mount-options: Forbidden: may not specify mount options for this volume type",
        ],
    );
}

#[test]
fn what_and_where_it_is_stays() {
    let csi = |fields: Value| json!({ "hostPath": null, "csi": fields });
    check_update(json!({}), json!({ "capacity": { "storage": "2Gi" }, "storageClassName": "a" }), &[]);
    check_update(
        json!({}),
        json!({ "hostPath": { "path": "/other" }, "volumeMode": "Block" }),
        &[
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n- hostPath.path: \"/data\"\n+ hostPath.path: \"/other\"",
            r#"volumeMode: Invalid value: "Block": field is immutable"#,
        ],
    );
    let secret = json!({ "name": "s", "namespace": "n" });
    let plain = json!({ "driver": "d", "volumeHandle": "h" });
    check_update(
        csi(plain.clone()),
        csi(json!({ "driver": "d", "volumeHandle": "h", "controllerExpandSecretRef": secret })),
        &[],
    );
    let class = |name: Value| json!({ "hostPath": null, "csi": plain.clone(), "volumeAttributesClassName": name });
    check_update(class(Value::Null), class("a".into()), &[]);
    check_update(
        class("a".into()),
        class(Value::Null),
        &["spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"],
    );
    let at = |key: &str, value: &str| {
        let one = json!({ "key": key, "operator": "In", "values": [value] });
        json!({ "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [one] }] } } })
    };
    check_update(json!({}), at("a", "b"), &[]);
    check_update(at("beta.kubernetes.io/os", "linux"), at("kubernetes.io/os", "linux"), &[]);
    let other = at("a", "c");
    let why = format!(
        "nodeAffinity: Invalid value: {}: field is immutable, except for updating from beta label to GA",
        other["nodeAffinity"]
    );
    check_update(at("a", "b"), other, &[&why]);
}

#[test]
fn another_phase_begins_when_it_is_told() {
    let at = |second: i64| Ctx { now: Timestamp::from_second(second).expect("a time") };
    let time = |second: i64| Value::from(meta::time(at(second).now));
    let check = |status: Value, expect: Value| {
        let old = made(&json!({}));
        let mut new = old.clone();
        crate::patch::merge(&mut new, json!({ "status": status }).to_string().as_bytes()).expect("a patch");
        (KIND.hooks.stamp)(&mut new, &old, &at(60));
        assert_eq!(new["status"]["lastPhaseTransitionTime"], expect, "{status}");
    };
    check(json!({ "phase": "Available" }), time(60));
    check(json!({ "phase": "Available", "lastPhaseTransitionTime": null }), time(60));
    check(json!({ "phase": "Available", "lastPhaseTransitionTime": time(5) }), time(5));
    check(json!({ "message": "m" }), time(0));
}

#[test]
fn cells_and_warnings_are_those_of_kubectl() {
    let mut volume = made(&json!({
        "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteOnce"], "storageClassName": "s",
        "claimRef": { "namespace": "n", "name": "c" },
    }));
    let cells = |volume: &Value| -> Vec<Value> {
        KIND.columns.iter().map(|column| (column.cell)(volume, Timestamp::UNIX_EPOCH)).collect()
    };
    let expect = ["v", "1Gi", "RWO,RWX", "Retain", "Pending", "n/c", "s", "<unset>", "", "<unknown>", "Filesystem"];
    assert_eq!(cells(&volume), expect);
    volume["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    assert_eq!(cells(&volume)[4], "Terminating");
    volume["metadata"]["annotations"] = json!({ "volume.beta.kubernetes.io/mount-options": "ro" });
    volume["spec"] = json!({ "persistentVolumeReclaimPolicy": "Recycle", "storageos": {}, "nodeAffinity": { "required": {
        "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "beta.kubernetes.io/os" }] }],
    } } });
    let expect = [
        r#"metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" attribute instead"#,
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
        r#"spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated since v1.14; use "kubernetes.io/os" instead"#,
        "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
    ];
    assert_eq!((KIND.hooks.warnings)(&volume), expect);
}
