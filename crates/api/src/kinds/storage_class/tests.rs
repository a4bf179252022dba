//! Classes on their way in: defaults, each wrong thing beside what is told of it, what may change, cells.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::field::Errors;

const KIND: &Kind = &STORAGE_CLASS;

/// A sound class with this change.
fn made(change: &Value) -> Value {
    let mut class = json!({ "metadata": { "name": "s" }, "provisioner": "example.com/p" });
    crate::patch::merge(&mut class, change.to_string().as_bytes()).expect("a patch");
    (KIND.hooks.default)(&mut class);
    class
}

fn check(change: Value, expect: &[&str]) {
    let mut errors = Errors::new();
    (KIND.hooks.validate)(&made(&change), &mut errors);
    assert_eq!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expect, "{change}");
}

#[test]
fn a_plain_one_is_given_defaults() {
    let class = made(&json!({}));
    assert_eq!((&class["reclaimPolicy"], &class["volumeBindingMode"]), (&json!("Delete"), &json!("Immediate")));
}

#[test]
fn a_class_names_who_makes_its_volumes() {
    check(json!({}), &[]);
    check(json!({ "provisioner": LOCAL, "volumeBindingMode": "WaitForFirstConsumer" }), &[]);
    check(json!({ "provisioner": null }), &["provisioner: Required value"]);
    check(
        json!({ "reclaimPolicy": "Recycle", "volumeBindingMode": "Late" }),
        &[
            r#"reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain""#,
            r#"volumeBindingMode: Unsupported value: "Late": supported values: "Immediate", "WaitForFirstConsumer""#,
        ],
    );
    check(json!({ "parameters": { "": "a" } }), &[r#"parameters: Invalid value: "": field can not be empty."#]);
    let many: serde_json::Map<String, Value> = (0..513).map(|number| (number.to_string(), "a".into())).collect();
    check(json!({ "parameters": many }), &["parameters: Too long: may not be more than 512 bytes"]);
    let big = "x".repeat(256 * 1024);
    check(json!({ "parameters": { "a": big } }), &["parameters: Too long: may not be more than 262144 bytes"]);
}

#[test]
fn topologies_are_all_other() {
    let term = |key: &str, values: Value| json!({ "matchLabelExpressions": [{ "key": key, "values": values }] });
    check(json!({ "allowedTopologies": [term("a", json!(["b"])), term("a", json!(["c"]))] }), &[]);
    check(
        json!({ "allowedTopologies": [term("a", json!(["b", "c"])), term("a", json!(["c", "b"]))] }),
        &[r#"allowedTopologies[1].matchLabelExpressions: Duplicate value: """#],
    );
    check(
        json!({ "allowedTopologies": [term("a", json!(["b", "b"])), term("c", json!([]))] }),
        &[
            r#"allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "b""#,
            "allowedTopologies[1].matchLabelExpressions[0].values: Required value",
        ],
    );
}

#[test]
fn how_volumes_are_made_stays() {
    let check = |change: Value, expect: &[&str]| {
        let mut errors = Errors::new();
        (KIND.hooks.validate_update)(&made(&change), &made(&json!({})), &mut errors);
        assert_eq!(errors.0.iter().map(ToString::to_string).collect::<Vec<_>>(), expect, "{change}");
    };
    check(json!({ "allowVolumeExpansion": true, "mountOptions": ["ro"], "parameters": {} }), &[]);
    check(
        json!({ "provisioner": "a", "parameters": { "a": "b" }, "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer" }),
        &[
            "parameters: Forbidden: updates to parameters are forbidden.",
            "provisioner: Forbidden: updates to provisioner are forbidden.",
            "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
            r#"volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable"#,
        ],
    );
}

#[test]
fn the_newest_default_class_wins() {
    let class = |name: &str, time: &str, default: bool| {
        let annotations = if default { json!({ DEFAULT_ANNOTATION: "true" }) } else { json!({}) };
        json!({ "metadata": { "name": name, "creationTimestamp": time, "annotations": annotations } })
    };
    let check = |classes: Vec<Value>, expect: Option<&str>| {
        assert_eq!(default_of(classes).as_ref().map(meta::name), expect);
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    check(vec![class("a", early, false)], None);
    check(vec![class("a", early, true), class("b", late, true), class("c", late, false)], Some("b"));
    check(vec![class("b", late, true), class("a", late, true)], Some("a"));
}

#[test]
fn cells_and_warnings_are_those_of_kubectl() {
    let mut class = made(&json!({ "metadata": { "annotations": { DEFAULT_ANNOTATION: "true" } } }));
    class["allowedTopologies"] = json!([{ "matchLabelExpressions": [{ "key": "beta.kubernetes.io/os" }] }]);
    let cells: Vec<Value> = KIND.columns.iter().map(|column| (column.cell)(&class, Timestamp::UNIX_EPOCH)).collect();
    let expect = json!(["s (default)", "example.com/p", "Delete", "Immediate", false, "<unknown>"]);
    assert_eq!(Value::from(cells), expect);
    let told =
        r#"allowedTopologies[0].matchLabelExpressions[0]: deprecated since v1.14; use "kubernetes.io/os" instead"#;
    assert_eq!((KIND.hooks.warnings)(&class), [told]);
}
