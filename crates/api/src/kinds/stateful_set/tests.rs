//! StatefulSets on their way in: defaults, checks, what may change, cells.

use super::super::workload::tests::{check, check_cells, check_status, check_update, created, object};
use super::*;

const KIND: &Kind = &STATEFUL_SET;

#[test]
fn a_plain_one_is_given_defaults() {
    let made = created(KIND, &json!({}));
    let spec = &made["spec"];
    assert_eq!(spec["updateStrategy"], json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } }));
    let retained = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
    assert_eq!(spec["persistentVolumeClaimRetentionPolicy"], retained);
    let fields = ["podManagementPolicy", "replicas", "revisionHistoryLimit", "serviceName"];
    assert_eq!(fields.map(|field| spec[field].clone()), [json!("OrderedReady"), json!(1), json!(10), json!("")]);
    assert_eq!(made["status"], json!({ "availableReplicas": 0, "replicas": 0 }));
    for strategy in [json!({ "type": "OnDelete" }), json!({ "type": "RollingUpdate" })] {
        assert_eq!(created(KIND, &json!({ "updateStrategy": strategy }))["spec"]["updateStrategy"], strategy);
    }
    let claims = created(KIND, &json!({ "volumeClaimTemplates": [{ "metadata": { "name": "data" } }] }));
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "volumeMode": "Filesystem" }, "status": { "phase": "Pending" },
    });
    assert_eq!(claims["spec"]["volumeClaimTemplates"], json!([claim]));
}

#[test]
fn what_it_may_be_is_told_in_upstreams_words() {
    check(KIND, json!({}), &[]);
    let mismatch =
        "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`";
    check(KIND, json!({ "selector": null }), &["spec.selector: Required value", mismatch]);
    let empty = "spec.selector: Invalid value: {}: empty selector is invalid for statefulset";
    check(KIND, json!({ "selector": {} }), &[empty]);
    let policy = r#"spec.podManagementPolicy: Invalid value: "Any": must be 'OrderedReady' or 'Parallel'"#;
    check(KIND, json!({ "podManagementPolicy": "Any" }), &[policy]);
    let below = |field: &str| format!("spec.{field}: Invalid value: -1: must be greater than or equal to 0");
    check(KIND, json!({ "replicas": -1 }), &[&below("replicas")]);
    check(KIND, json!({ "minReadySeconds": -1 }), &[&below("minReadySeconds")]);
    check(KIND, json!({ "ordinals": { "start": -1 } }), &[&below("ordinals.start")]);
    let name = "spec.serviceName: Invalid value: \"A.b\": a lowercase RFC 1123 label must consist of lower case \
                alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  \
                or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    check(KIND, json!({ "serviceName": "A.b" }), &[name]);
    let mut template = object(&json!({}))["spec"]["template"].clone();
    template["spec"]["restartPolicy"] = "Never".into();
    template["spec"]["activeDeadlineSeconds"] = 5.into();
    let always = r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#;
    let late =
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported";
    check(KIND, json!({ "template": template }), &[always, late]);
}

#[test]
fn strategies_are_sound() {
    let rolling = |kind: &str, rolling: Value| json!({ "updateStrategy": { "type": kind, "rollingUpdate": rolling } });
    let at = "spec.updateStrategy";
    check(KIND, rolling("RollingUpdate", json!({ "partition": 2, "maxUnavailable": "50%" })), &[]);
    let part = format!("{at}.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0");
    check(KIND, rolling("RollingUpdate", json!({ "partition": -1 })), &[&part]);
    let zero = format!("{at}.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0");
    check(KIND, rolling("RollingUpdate", json!({ "maxUnavailable": 0 })), &[&zero]);
    let above = format!("{at}.rollingUpdate.maxUnavailable: Invalid value: \"200%\": must not be greater than 100%");
    check(KIND, rolling("RollingUpdate", json!({ "maxUnavailable": "200%" })), &[&above]);
    let only = format!(
        "{at}.rollingUpdate: Invalid value: {{\"partition\":1}}: only allowed for updateStrategy 'RollingUpdate'"
    );
    check(KIND, rolling("OnDelete", json!({ "partition": 1 })), &[&only]);
    let unknown = format!("{at}: Invalid value: {{\"type\":\"Blue\"}}: must be 'RollingUpdate' or 'OnDelete'");
    check(KIND, json!({ "updateStrategy": { "type": "Blue" } }), &[&unknown]);
}

#[test]
fn claims_are_volumes_of_its_pods() {
    let mut template = object(&json!({}))["spec"]["template"].clone();
    template["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "data", "mountPath": "/data" }]);
    let claim = |spec: Value| json!({ "metadata": { "name": "data" }, "spec": spec });
    let sound = json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } });
    check(KIND, json!({ "template": template, "volumeClaimTemplates": [claim(sound)] }), &[]);
    let missing = r#"spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data""#;
    check(KIND, json!({ "template": template }), &[missing]);
    let at = "spec.volumeClaimTemplates[0].spec";
    let modes = format!("{at}.accessModes: Required value: at least 1 access mode is required");
    let size = format!("{at}.resources[storage]: Required value");
    check(KIND, json!({ "volumeClaimTemplates": [claim(json!({}))] }), &[&modes, &size]);
    let policy = |word: &str| json!({ "persistentVolumeClaimRetentionPolicy": { "whenScaled": word } });
    check(KIND, policy("Delete"), &[]);
    let unknown = "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Keep\": supported values: \
                   \"Retain\", \"Delete\"";
    check(KIND, policy("Keep"), &[unknown]);
}

#[test]
fn only_some_of_a_spec_may_change() {
    const WHY: &str = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                       'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                       'minReadySeconds' are forbidden";
    let check = |field: &str, value: Value, generation, expect: &[&str]| {
        _ = check_update(KIND, &|one| one["spec"][field] = value.clone(), generation, expect);
    };
    check("replicas", json!(5), 2, &[]);
    check("replicas", json!(1), 1, &[]);
    check("ordinals", json!({ "start": 3 }), 2, &[]);
    check("minReadySeconds", json!(3), 2, &[]);
    check("revisionHistoryLimit", json!(3), 2, &[]);
    check("updateStrategy", json!({ "type": "OnDelete" }), 2, &[]);
    check("serviceName", json!("other"), 2, &[WHY]);
    check("podManagementPolicy", json!("Parallel"), 2, &[WHY]);
    check("volumeClaimTemplates", json!([{}]), 2, &[WHY]);
    check("selector", json!({ "matchLabels": { "app": "y" } }), 2, &[WHY]);
}

#[test]
fn counts_of_a_status_are_sound() {
    check_status(KIND, json!({ "replicas": 1, "readyReplicas": 1, "collisionCount": 1 }), &[]);
    let above = "status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas";
    check_status(KIND, json!({ "replicas": 1, "currentReplicas": 2, "collisionCount": 1 }), &[above]);
    let ready = "status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas";
    check_status(KIND, json!({ "replicas": 1, "availableReplicas": 1, "collisionCount": 1 }), &[ready]);
    check_status(KIND, json!({}), &["status.collisionCount: Invalid value: 0: cannot be decremented"]);
}

#[test]
fn cells_and_scale_are_those_of_kubectl() {
    let status = json!({ "replicas": 3, "readyReplicas": 2 });
    check_cells(KIND, &json!({ "replicas": 3 }), status, json!(["a", "2/3", "<unknown>", "c", "a:1"]));
    let view = scale::of(&created(KIND, &json!({ "replicas": 3 })));
    assert_eq!((&view["spec"]["replicas"], &view["status"]["selector"]), (&json!(3), &json!("app=x")));
}
