//! DaemonSets on their way in: defaults, checks, generations, cells.

use super::super::workload::tests::{check, check_cells, check_status, check_update, created, object};
use super::*;

const KIND: &Kind = &DAEMON_SET;

#[test]
fn a_plain_one_is_given_defaults() {
    let made = created(KIND, &json!({}));
    let rolling = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
    assert_eq!((&made["spec"]["updateStrategy"], &made["spec"]["revisionHistoryLimit"]), (&rolling, &json!(10)));
    let nobody = json!({
        "currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0,
    });
    assert_eq!((&made["status"], meta::generation(&made)), (&nobody, 1));
    assert_eq!(meta::annotation(&made, TEMPLATE_GENERATION), Some("1"));
    let deleted = created(KIND, &json!({ "updateStrategy": { "type": "OnDelete" } }));
    assert_eq!(deleted["spec"]["updateStrategy"], json!({ "type": "OnDelete" }));
}

#[test]
fn what_it_may_be_is_told_in_upstreams_words() {
    check(KIND, json!({}), &[]);
    let mismatch =
        "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`";
    check(KIND, json!({ "selector": { "matchLabels": { "app": "y" } } }), &[mismatch]);
    check(KIND, json!({ "selector": null }), &[mismatch]);
    check(
        KIND,
        json!({ "selector": {} }),
        &["spec.selector: Invalid value: {}: empty selector is invalid for daemonset"],
    );
    let template = |field: &str, value: Value| {
        let mut template = object(&json!({}))["spec"]["template"].clone();
        template["spec"][field] = value;
        json!({ "template": template })
    };
    let always = r#"spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always""#;
    check(KIND, template("restartPolicy", json!("OnFailure")), &[always]);
    let late =
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported";
    check(KIND, template("activeDeadlineSeconds", json!(5)), &[late]);
    let below = |field: &str| format!("spec.{field}: Invalid value: -1: must be greater than or equal to 0");
    check(KIND, json!({ "minReadySeconds": -1 }), &[&below("minReadySeconds")]);
    check(KIND, json!({ "revisionHistoryLimit": -1 }), &[&below("revisionHistoryLimit")]);
}

#[test]
fn one_of_surge_and_unavailable_counts() {
    let rolling = |surge: Value, unavailable: Value| json!({ "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } } });
    let at = "spec.updateStrategy.rollingUpdate";
    check(KIND, rolling(json!(1), json!(0)), &[]);
    check(KIND, rolling(json!("10%"), json!("0%")), &[]);
    let both = format!("{at}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero");
    check(KIND, rolling(json!(1), json!(1)), &[&both]);
    let none = format!("{at}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0");
    check(KIND, rolling(json!(0), json!(0)), &[&none]);
    let above = format!("{at}.maxSurge: Invalid value: \"101%\": must not be greater than 100%");
    check(KIND, rolling(json!("101%"), json!(0)), &[&above]);
    let unknown =
        r#"spec.updateStrategy: Unsupported value: {"type":"Blue"}: supported values: "RollingUpdate", "OnDelete""#;
    check(KIND, json!({ "updateStrategy": { "type": "Blue" } }), &[unknown]);
}

#[test]
fn templates_are_counted_and_the_selector_stays() {
    let check = |change: &dyn Fn(&mut Value), generation, templates: &str, expect: &[&str]| {
        let new = check_update(KIND, change, generation, expect);
        assert_eq!(meta::annotation(&new, TEMPLATE_GENERATION), Some(templates));
    };
    check(&|one| one["status"]["numberReady"] = 5.into(), 1, "1", &[]);
    check(&|one| one["metadata"]["annotations"] = json!({ "a": "b" }), 1, "1", &[]);
    check(&|one| one["spec"]["minReadySeconds"] = 5.into(), 2, "1", &[]);
    check(&|one| one["metadata"]["annotations"][TEMPLATE_GENERATION] = "7".into(), 1, "1", &[]);
    check(&|one| one["spec"]["template"]["spec"]["containers"][0]["image"] = "a:2".into(), 2, "2", &[]);
    let immutable = r#"spec.selector: Invalid value: {"matchLabels":{"app":"y"}}: field is immutable"#;
    check(&|one| one["spec"]["selector"]["matchLabels"]["app"] = "y".into(), 2, "1", &[immutable]);
}

#[test]
fn counts_of_a_status_are_sound() {
    check_status(KIND, json!({ "numberReady": 1, "collisionCount": 1 }), &[]);
    check_status(KIND, json!({}), &["status.collisionCount: Invalid value: 0: cannot be decremented"]);
    let below = "status.numberUnavailable: Invalid value: -1: must be greater than or equal to 0";
    check_status(KIND, json!({ "numberUnavailable": -1, "collisionCount": 2 }), &[below]);
}

#[test]
fn cells_are_those_of_kubectl() {
    let status = json!({
        "desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2,
        "numberAvailable": 1,
    });
    let plain = json!(["a", 5, 4, 3, 2, 1, "<none>", "<unknown>", "c", "a:1", "app=x"]);
    check_cells(KIND, &json!({}), status, plain);
    let mut template = object(&json!({}))["spec"]["template"].clone();
    template["spec"]["nodeSelector"] = json!({ "disk": "ssd", "zone": "a" });
    let chosen = json!(["a", 0, 0, 0, 0, 0, "disk=ssd,zone=a", "<unknown>", "c", "a:1", "app=x"]);
    check_cells(KIND, &json!({ "template": template }), json!({}), chosen);
}
