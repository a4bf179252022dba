//! Workloads on their way in: defaults, checks, generations, cells, scales.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::scale;
use crate::{
    field::Errors,
    kinds::{
        Ctx, Kind, deployment::DEPLOYMENT, replica_set::REPLICA_SET, replication_controller::REPLICATION_CONTROLLER,
    },
    meta,
};

const ROLLING: &str = "RollingUpdate";

/// What follows from a missing selector: it selects nothing.
const NO_SELECTOR: &str =
    "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`";

/// An object with a sound spec and this change of it.
pub(in crate::kinds) fn object(change: &Value) -> Value {
    let container = json!({ "name": "c", "image": "a:1" });
    let template = json!({ "metadata": { "labels": { "app": "x" } }, "spec": { "containers": [container] } });
    let mut spec = json!({ "selector": { "matchLabels": { "app": "x" } }, "template": template });
    for (field, value) in change.as_object().into_iter().flatten() {
        match value {
            Value::Null => _ = spec.as_object_mut().map(|spec| spec.remove(field)),
            value => spec[field] = value.clone(),
        }
    }
    json!({ "metadata": { "name": "a" }, "spec": spec })
}

/// As it is stored by a create.
pub(in crate::kinds) fn created(kind: &Kind, change: &Value) -> Value {
    let mut object = object(change);
    crate::default::apply(&mut object, crate::facts::ty(kind.type_name).expect("built in"));
    (kind.hooks.default)(&mut object);
    let once = object.clone();
    (kind.hooks.default)(&mut object);
    assert_eq!(object, once, "defaults are idempotent");
    (kind.hooks.prepare_create)(&mut object, &Ctx { now: Timestamp::UNIX_EPOCH });
    object
}

/// What is told to whoever creates one with this change.
pub(in crate::kinds) fn check(kind: &Kind, change: Value, expect: &[&str]) {
    let mut errors = Errors::new();
    (kind.hooks.validate)(&created(kind, &change), &mut errors);
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(told, expect, "{change}");
}

#[test]
fn a_plain_deployment_is_given_defaults() {
    let spec = created(&DEPLOYMENT, &json!({}))["spec"].clone();
    let strategy = json!({ "type": ROLLING, "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } });
    assert_eq!(spec["strategy"], strategy);
    let numbers = ["replicas", "revisionHistoryLimit", "progressDeadlineSeconds"].map(|field| spec[field].clone());
    assert_eq!(numbers, [json!(1), json!(10), json!(600)]);
    let recreate = created(&DEPLOYMENT, &json!({ "strategy": { "type": "Recreate" } }));
    assert_eq!(recreate["spec"]["strategy"], json!({ "type": "Recreate" }));
    let given = json!({ "rollingUpdate": { "maxSurge": 1 } });
    let filled = json!({ "type": ROLLING, "rollingUpdate": { "maxSurge": 1, "maxUnavailable": "25%" } });
    assert_eq!(created(&DEPLOYMENT, &json!({ "strategy": given }))["spec"]["strategy"], filled);
    assert_eq!(created(&REPLICA_SET, &json!({}))["status"], json!({ "replicas": 0 }));
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
}

#[test]
fn selectors_and_templates_agree() {
    for kind in [&DEPLOYMENT, &REPLICA_SET] {
        check(kind, json!({}), &[]);
        check(kind, json!({ "selector": null }), &["spec.selector: Required value", NO_SELECTOR]);
        let other = json!({ "matchLabels": { "app": "y" } });
        let why = "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`";
        check(kind, json!({ "selector": other }), &[why]);
        let empty = "spec.selector: Invalid value: {}: empty selector is invalid for deployment";
        check(kind, json!({ "selector": {} }), &[empty]);
        check(
            kind,
            json!({ "replicas": -1 }),
            &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
        );
        let mut template = object(&json!({}))["spec"]["template"].clone();
        template["spec"]["restartPolicy"] = "Never".into();
        let why = r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#;
        check(kind, json!({ "template": template }), &[why]);
    }
}

#[test]
fn a_replication_controller_selects_by_labels() {
    let rc = &REPLICATION_CONTROLLER;
    let made = created(rc, &json!({ "selector": null }));
    assert_eq!(
        (&made["spec"]["selector"], &made["metadata"]["labels"]),
        (&json!({ "app": "x" }), &json!({ "app": "x" }))
    );
    assert_eq!((&made["spec"]["replicas"], &made["status"]), (&json!(1), &json!({ "replicas": 0 })));
    assert_eq!(scale::of(&made)["status"]["selector"], "app=x");
    check(rc, json!({ "selector": { "app": "x" } }), &[]);
    let why =
        "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`";
    check(rc, json!({ "selector": { "app": "y" } }), &[why]);
    let missing = ["spec.selector: Required value", "spec.template: Required value"];
    check(rc, json!({ "selector": null, "template": null }), &missing);
    let mut template = object(&json!({}))["spec"]["template"].clone();
    template["spec"]["activeDeadlineSeconds"] = 5.into();
    let why = "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported";
    check(rc, json!({ "selector": null, "template": template }), &[why]);
}

#[test]
fn strategies_are_sound() {
    let rolling = |surge: Value, unavailable: Value| json!({ "strategy": { "type": ROLLING, "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } } });
    let at = "spec.strategy.rollingUpdate";
    let both = format!("{at}.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0");
    check(&DEPLOYMENT, rolling(json!(0), json!(0)), &[&both]);
    let both = format!("{at}.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0");
    check(&DEPLOYMENT, rolling(json!("0%"), json!("0%")), &[&both]);
    let above = format!("{at}.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%");
    check(&DEPLOYMENT, rolling(json!("200%"), json!("101%")), &[&above]);
    let no_share = format!(
        "{at}.maxSurge: Invalid value: \"many\": a valid percent string must be a numeric string followed by an ending \
         '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
    );
    check(&DEPLOYMENT, rolling(json!("many"), json!(1)), &[&no_share]);
    let recreate = json!({ "strategy": { "type": "Recreate", "rollingUpdate": { "maxSurge": 1 } } });
    let why = format!("{at}: Forbidden: may not be specified when strategy `type` is 'Recreate'");
    check(&DEPLOYMENT, recreate, &[&why]);
    let unknown = r#"spec.strategy: Unsupported value: {"type":"Blue"}: supported values: "Recreate", "RollingUpdate""#;
    check(&DEPLOYMENT, json!({ "strategy": { "type": "Blue" } }), &[unknown]);
    let late = "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds";
    check(&DEPLOYMENT, json!({ "progressDeadlineSeconds": 5, "minReadySeconds": 5 }), &[late]);
}

/// The generation that a change brings, and what is told of it; the object as it is then.
pub(in crate::kinds) fn check_update(
    kind: &Kind,
    change: &dyn Fn(&mut Value),
    generation: i64,
    expect: &[&str],
) -> Value {
    let old = created(kind, &json!({}));
    let mut new = old.clone();
    change(&mut new);
    (kind.hooks.prepare_update)(&mut new, &old);
    let mut errors = Errors::new();
    (kind.hooks.validate_update)(&new, &old, &mut errors);
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!((meta::generation(&new), told), (generation, expect.iter().map(|one| (*one).to_owned()).collect()));
    new
}

/// What is told of a status that replaces one with a collision.
pub(in crate::kinds) fn check_status(kind: &Kind, status: Value, expect: &[&str]) {
    let old = json!({ "status": { "collisionCount": 1 } });
    let mut errors = Errors::new();
    let validate = kind.hooks.validate_part.expect("it has parts");
    validate("status", &json!({ "status": status }), &old, &mut errors);
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(told, expect);
}

/// The cells of an object of three pods with a status.
pub(in crate::kinds) fn check_cells(kind: &Kind, spec: &Value, status: Value, expect: Value) {
    let mut object = created(kind, spec);
    object["status"] = status;
    let cells: Vec<Value> = kind.columns.iter().map(|column| (column.cell)(&object, Timestamp::UNIX_EPOCH)).collect();
    assert_eq!(Value::from(cells), expect);
}

#[test]
fn a_changed_spec_is_a_new_generation_and_the_selector_stays() {
    let check = check_update;
    _ = check(&DEPLOYMENT, &|object| object["status"]["replicas"] = 5.into(), 1, &[]);
    _ = check(&DEPLOYMENT, &|object| object["spec"]["replicas"] = 5.into(), 2, &[]);
    _ = check(&DEPLOYMENT, &|object| object["metadata"]["annotations"]["a"] = "b".into(), 2, &[]);
    _ = check(&REPLICA_SET, &|object| object["metadata"]["annotations"]["a"] = "b".into(), 1, &[]);
    let immutable = r#"spec.selector: Invalid value: {"matchLabels":{"app":"y"}}: field is immutable"#;
    _ = check(&REPLICA_SET, &|object| object["spec"]["selector"]["matchLabels"]["app"] = "y".into(), 2, &[immutable]);
}

#[test]
fn counts_of_a_status_are_sound() {
    let check = check_status;
    check(&DEPLOYMENT, json!({ "replicas": 1, "readyReplicas": 1, "collisionCount": 1 }), &[]);
    let above = "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas";
    check(&DEPLOYMENT, json!({ "replicas": 1, "readyReplicas": 2, "collisionCount": 1 }), &[above]);
    check(&DEPLOYMENT, json!({}), &["status.collisionCount: Invalid value: 0: cannot be decremented"]);
    let ready = "status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas";
    check(&REPLICA_SET, json!({ "replicas": 1, "availableReplicas": 1 }), &[ready]);
}

#[test]
fn cells_are_those_of_kubectl() {
    let check = |kind, status, expect| check_cells(kind, &json!({ "replicas": 3 }), status, expect);
    let status = json!({ "replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1 });
    check(&DEPLOYMENT, status.clone(), json!(["a", "2/3", 3, 1, "<unknown>", "c", "a:1", "app=x"]));
    check(&REPLICA_SET, status, json!(["a", 3, 3, 2, "<unknown>", "c", "a:1", "app=x"]));
}

#[test]
fn a_scale_is_a_view_of_an_object() {
    let mut object = created(&DEPLOYMENT, &json!({ "replicas": 3 }));
    meta::set_namespace(&mut object, "n");
    meta::set_resource_version(&mut object, "7");
    object["status"] = json!({ "replicas": 2 });
    let view = scale::of(&object);
    let expect = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": { "name": "a", "namespace": "n", "resourceVersion": "7" },
        "spec": { "replicas": 3 }, "status": { "replicas": 2, "selector": "app=x" },
    });
    assert_eq!(view, expect);
    scale::apply(&mut object, &json!({ "metadata": { "resourceVersion": "6" }, "spec": {} }));
    assert_eq!((&object["spec"]["replicas"], meta::resource_version(&object)), (&json!(0), "6"));
    let mut errors = Errors::new();
    scale::validate(&json!({ "spec": { "replicas": -1 } }), &mut errors);
    assert_eq!(errors.to_string(), "spec.replicas: Invalid value: -1: must be greater than or equal to 0");
}
