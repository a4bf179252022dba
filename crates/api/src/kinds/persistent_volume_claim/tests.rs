//! Claims on their way in: defaults, each wrong thing beside what is told of it, what may change, cells.

use jiff::Timestamp;

use super::*;
use crate::field::Errors;

const KIND: &Kind = &PERSISTENT_VOLUME_CLAIM;

const SIZE: &str = "spec.resources[storage]";

/// A sound claim with this change, as it is stored by a create.
fn made(change: &Value) -> Value {
    let spec = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
    let mut claim = json!({ "metadata": { "name": "c", "namespace": "n" }, "spec": spec });
    crate::patch::merge(&mut claim, json!({ "spec": change }).to_string().as_bytes()).expect("a patch");
    (KIND.hooks.default)(&mut claim);
    let once = claim.clone();
    (KIND.hooks.default)(&mut claim);
    assert_eq!(claim, once, "defaults are idempotent");
    (KIND.hooks.prepare_create)(&mut claim, &Ctx { now: Timestamp::UNIX_EPOCH });
    claim
}

fn told(run: impl FnOnce(&mut Errors)) -> Vec<String> {
    let mut errors = Errors::new();
    run(&mut errors);
    errors.0.iter().map(ToString::to_string).collect()
}

fn check(change: Value, expect: &[&str]) {
    assert_eq!(told(|errors| (KIND.hooks.validate)(&made(&change), errors)), expect, "{change}");
}

/// A merge patch of a claim with this spec and status.
fn check_update((spec, status): (Value, Value), patch: Value, expect: &[&str]) {
    let mut old = made(&spec);
    crate::patch::merge(&mut old, json!({ "status": status }).to_string().as_bytes()).expect("a patch");
    let mut new = old.clone();
    crate::patch::merge(&mut new, patch.to_string().as_bytes()).expect("a patch");
    (KIND.hooks.prepare_update)(&mut new, &old);
    assert_eq!(told(|errors| (KIND.hooks.validate_update)(&new, &old, errors)), expect, "{patch}");
}

#[test]
fn a_plain_one_is_given_defaults() {
    let claim = made(&json!({}));
    assert_eq!(
        (&claim["spec"]["volumeMode"], &claim["status"]),
        (&json!("Filesystem"), &json!({ "phase": "Pending" }))
    );
}

#[test]
fn sources_are_said_twice_or_dropped() {
    let sources = |change: Value| {
        let claim = made(&change);
        [claim["spec"]["dataSource"].clone(), claim["spec"]["dataSourceRef"].clone()]
    };
    let other = json!({ "kind": "PersistentVolumeClaim", "name": "a" });
    assert_eq!(sources(json!({ "dataSource": other })), [other.clone(), other.clone()]);
    assert_eq!(sources(json!({ "dataSourceRef": other })), [other.clone(), other]);
    let custom = json!({ "apiGroup": "example.com", "kind": "Image", "name": "a" });
    assert_eq!(sources(json!({ "dataSource": custom })), [Value::Null, Value::Null]);
    assert_eq!(sources(json!({ "dataSourceRef": custom })), [custom.clone(), custom]);
    let elsewhere = json!({ "kind": "PersistentVolumeClaim", "name": "a", "namespace": "b" });
    assert_eq!(sources(json!({ "dataSourceRef": elsewhere })), [Value::Null, Value::Null]);
}

#[test]
fn a_claim_says_how_much_it_wants_and_how() {
    check(json!({}), &[]);
    check(
        json!({ "accessModes": null, "resources": null }),
        &[
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ],
    );
    let size = |amount: &str| json!({ "resources": { "requests": { "storage": amount } } });
    check(size("0"), &[&format!(r#"{SIZE}: Invalid value: "0": must be greater than zero"#)]);
    check(size("-1Gi"), &[&format!(r#"{SIZE}: Invalid value: "-1Gi": must be greater than zero"#)]);
    check(
        json!({ "accessModes": ["ReadWriteOncePod", "ReadOnlyMany"], "volumeMode": "Tape" }),
        &[
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            r#"spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem""#,
        ],
    );
    check(
        json!({ "selector": { "matchExpressions": [{ "key": "a", "operator": "In" }] } }),
        &[
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ],
    );
    check(json!({ "storageClassName": "" }), &[]);
}

#[test]
fn sources_are_sound() {
    check(
        json!({ "dataSourceRef": { "kind": "Pod" } }),
        &[
            "spec.dataSource.name: Required value",
            r#"spec.dataSource: Invalid value: "Pod": must be 'PersistentVolumeClaim' when referencing the default apiGroup"#,
            "spec.dataSourceRef.name: Required value",
            r#"spec.dataSourceRef: Invalid value: "Pod": must be 'PersistentVolumeClaim' when referencing the default apiGroup"#,
        ],
    );
    let claim = |name: &str| json!({ "kind": "PersistentVolumeClaim", "name": name });
    check(
        json!({ "dataSource": claim("a"), "dataSourceRef": claim("b") }),
        &["spec: Invalid value: {}: must match dataSourceRef"],
    );
}

#[test]
fn templates_name_nothing() {
    let spec = made(&json!({}))["spec"].clone();
    let check = |metadata: Value, expect: &[&str]| {
        let template = json!({ "metadata": metadata, "spec": spec });
        assert_eq!(told(|errors| validate_template(&template, &Path::new("t"), errors)), expect, "{metadata}");
    };
    check(json!({ "labels": { "a": "b" }, "annotations": { "a": "b" }, "creationTimestamp": null }), &[]);
    check(
        json!({ "name": "a", "uid": "b", "finalizers": ["c"] }),
        &[
            "t.metadata.name: Forbidden: cannot be set",
            "t.metadata.uID: Forbidden: cannot be set",
            "t.metadata.finalizers: Forbidden: cannot be set",
        ],
    );
}

fn resized(amount: &str) -> Value {
    json!({ "spec": { "resources": { "requests": { "storage": amount } } } })
}

/// What is told of a change of this line.
fn immutable(was: &str, is: &str) -> String {
    format!(
        "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{was}{is}"
    )
}

#[test]
fn a_bound_claim_changes_its_size_only() {
    let bound = || (json!({ "volumeName": "v" }), json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } }));
    check_update(bound(), resized("2Gi"), &[]);
    check_update(bound(), resized("1024Mi"), &[]);
    let less = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity";
    check_update(bound(), resized("512Mi"), &[less]);
    let failed = || {
        let spec = json!({ "volumeName": "v", "resources": { "requests": { "storage": "9Gi" } } });
        (spec, json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } }))
    };
    check_update(failed(), resized("2Gi"), &[]);
    check_update(failed(), resized("1Gi"), &[less]);
    check_update(
        bound(),
        json!({ "spec": { "volumeName": "w" } }),
        &[&immutable("- volumeName: \"v\"\n", "+ volumeName: \"w\"")],
    );
    check_update(bound(), json!({ "spec": { "volumeAttributesClassName": "a" } }), &[]);
    check_update(
        bound(),
        json!({ "spec": { "volumeMode": "Block" } }),
        &[
            &immutable("- volumeMode: \"Filesystem\"\n", "+ volumeMode: \"Block\""),
            r#"volumeMode: Invalid value: "Block": field is immutable"#,
        ],
    );
}

#[test]
fn a_waiting_claim_is_given_a_volume_and_a_class_once() {
    let waiting = || (json!({}), json!({}));
    check_update(waiting(), json!({ "spec": { "volumeName": "v" } }), &[]);
    let was = r#"- resources.requests.storage: "1Gi"
"#;
    check_update(waiting(), resized("2Gi"), &[&immutable(was, r#"+ resources.requests.storage: "2Gi""#)]);
    check_update(waiting(), json!({ "spec": { "storageClassName": "a" } }), &[]);
    let classed = || (json!({ "storageClassName": "a" }), json!({}));
    let why = immutable("- storageClassName: \"a\"\n", "+ storageClassName: \"b\"");
    check_update(classed(), json!({ "spec": { "storageClassName": "b" } }), &[&why]);
    let annotated = json!({ "metadata": { "annotations": { CLASS_ANNOTATION: "a" } } });
    let why = format!(r#"metadata.annotations.{CLASS_ANNOTATION}: Invalid value: "a": field is immutable"#);
    check_update(waiting(), annotated, &[&why]);
    let none = (json!({ "volumeAttributesClassName": "a" }), json!({ "phase": "Bound" }));
    check_update(
        none,
        json!({ "spec": { "volumeAttributesClassName": "" } }),
        &["spec.volumeAttributesClassName: Forbidden: update from non-nil value to an empty string is forbidden"],
    );
}

#[test]
fn a_status_tells_of_storage() {
    let check = |status: Value, expect: &[&str]| {
        let mut claim = made(&json!({}));
        claim["status"] = status;
        assert_eq!(told(|errors| update::status("status", &claim, &Value::Null, errors)), expect);
    };
    check(json!({ "capacity": { "storage": "1Gi" }, "allocatedResources": { "example.com/a": "1" } }), &[]);
    check(
        json!({ "capacity": { "storage": "-1" }, "allocatedResources": { "cpu": "1" }, "allocatedResourceStatuses": { "storage": "Odd" } }),
        &[
            "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
            r#"status.allocatedResourceStatus: Unsupported value: "storage": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending""#,
            r#"status.allocatedResources: Unsupported value: "cpu": supported values: "storage""#,
        ],
    );
}

#[test]
fn cells_and_warnings_are_those_of_kubectl() {
    let mut claim = made(&json!({ "storageClassName": "s", "resources": { "requests": { "storage": "1500m" } } }));
    let cells = |claim: &Value| -> Vec<Value> {
        KIND.columns.iter().map(|column| (column.cell)(claim, Timestamp::UNIX_EPOCH)).collect()
    };
    assert_eq!(cells(&claim), ["c", "Pending", "", "", "", "s", "<unset>", "<unknown>", "Filesystem"]);
    claim["spec"]["volumeName"] = "v".into();
    claim["status"] =
        json!({ "phase": "Bound", "capacity": { "storage": "2Gi" }, "accessModes": ["ReadWriteOncePod"] });
    assert_eq!(cells(&claim), ["c", "Bound", "v", "2Gi", "RWOP", "s", "<unset>", "<unknown>", "Filesystem"]);
    claim["metadata"]["annotations"] = json!({ CLASS_ANNOTATION: "s" });
    let expect = [
        r#"metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead"#,
        r#"spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer"#,
    ];
    assert_eq!((KIND.hooks.warnings)(&claim), expect);
}
