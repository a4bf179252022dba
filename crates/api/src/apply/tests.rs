//! What kubectl's users see of apply: ownership, conflicts, pruning.

use proptest::prelude::*;

use super::*;
use crate::facts;

const fn by(manager: &'static str) -> Writer<'static> {
    Writer { manager, api_version: "v1", subresource: "", time: "2026-01-01T00:00:00Z", ignored: &["status"] }
}

fn ty(kind: &str) -> &'static Type {
    facts::of_kind("", "v1", kind).expect("built in")
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn applied(live: Option<&Value>, data: &Value, manager: &'static str, force: bool) -> Result<Value, Status> {
    apply(live, &config_map(data), ty("ConfigMap"), &by(manager), force)
}

#[test]
fn creates_and_owns() {
    let made = applied(None, &json!({"k": "v"}), "a", false).unwrap();
    assert_eq!(made["data"], json!({"k": "v"}));
    let expect = json!([{"manager": "a", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:k": {}}}}]);
    assert_eq!(made["metadata"]["managedFields"], expect);
}

#[test]
fn what_is_no_longer_stated_goes_unless_another_owns_it() {
    let made = applied(None, &json!({"k": "v", "l": "w", "m": "x"}), "a", false).unwrap();
    let both = applied(Some(&made), &json!({"l": "w"}), "b", false).unwrap();
    let less = applied(Some(&both), &json!({"m": "x"}), "a", false).unwrap();
    assert_eq!(less["data"], json!({"l": "w", "m": "x"}));
    let none = applied(Some(&less), &json!({}), "a", false).unwrap();
    assert_eq!(none["data"], json!({"l": "w"}));
}

#[test]
fn fields_of_others_are_conflicts_unless_forced() {
    let mut live = config_map(&json!({"k": "v"}));
    managed::update(None, &mut live, ty("ConfigMap"), &by("editor"));
    let refused = applied(Some(&live), &json!({"k": "other"}), "a", false).unwrap_err();
    let words = "Apply failed with 1 conflict: conflict with \"editor\" using v1 at 2026-01-01T00:00:00Z: .data.k";
    assert_eq!((refused.code, refused.reason.as_str(), refused.message.as_str()), (409, "Conflict", words));
    let cause = &refused.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.k"));
    let forced = applied(Some(&live), &json!({"k": "other"}), "a", true).unwrap();
    assert_eq!(forced["data"], json!({"k": "other"}));
    assert!(!forced["metadata"]["managedFields"].to_string().contains(
        r#""manager":"editor","operation":"Update","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:data":{".":{},"f:k""#
    ));
    assert!(applied(Some(&live), &json!({"k": "v"}), "a", false).is_ok(), "the same value is shared, not contested");
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let made = applied(None, &json!({"k": "v", "l": "w"}), "a", false).unwrap();
    let refused = applied(Some(&made), &json!({"k": "1", "l": "2"}), "b", false).unwrap_err();
    assert_eq!(refused.message, "Apply failed with 2 conflicts: conflicts with \"a\":\n- .data.k\n- .data.l");
}

fn pod(containers: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
}

#[test]
fn lists_merge_item_by_item() {
    let apply = |live: Option<&Value>, containers: Value, manager: &'static str| {
        super::apply(live, &pod(&containers), ty("Pod"), &by(manager), false)
    };
    let made = apply(None, json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]), "x").unwrap();
    let more = apply(Some(&made), json!([{"name": "c", "image": "3"}, {"name": "a", "tty": true}]), "y").unwrap();
    let names: Vec<&str> =
        more["spec"]["containers"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names.len(), 3);
    assert!(names.iter().position(|n| *n == "c") < names.iter().position(|n| *n == "a"));
    let less = apply(Some(&more), json!([{"name": "b", "image": "2"}]), "x").unwrap();
    let expect = json!([{"name": "c", "image": "3"}, {"name": "a", "tty": true}, {"name": "b", "image": "2"}]);
    let mut items = less["spec"]["containers"].as_array().unwrap().clone();
    items.sort_by_key(|item| ["c", "a", "b"].iter().position(|name| item["name"] == *name));
    assert_eq!(Value::Array(items), expect);
    let twice = apply(None, json!([{"name": "a"}, {"name": "a"}]), "x").unwrap_err();
    assert_eq!(twice.code, 400);
}

#[test]
fn unstated_items_keep_what_others_wrote() {
    let mut live = pod(&json!([{"name": "a", "image": "1"}]));
    managed::update(None, &mut live, ty("Pod"), &by("editor"));
    let config = json!({"metadata": {"name": "p", "labels": {"x": "y"}}});
    let after = super::apply(Some(&live), &config, ty("Pod"), &by("a"), false).unwrap();
    assert_eq!(after["spec"], live["spec"]);
    let removed = super::apply(Some(&after), &json!({"metadata": {"name": "p"}}), ty("Pod"), &by("a"), false).unwrap();
    assert_eq!(removed["metadata"].get("labels"), None);
    assert_eq!(removed["spec"], live["spec"]);
}

#[test]
fn a_configuration_says_nothing_about_managed_fields() {
    let mut config = config_map(&json!({}));
    config["metadata"]["managedFields"] = json!([{"manager": "a"}]);
    let refused = apply(None, &config, ty("ConfigMap"), &by("a"), true).unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (400, "metadata.managedFields must be nil"));
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(
        live in prop::collection::btree_map("[a-d]", "[x-z]", 0..4),
        config in prop::collection::btree_map("[a-d]", "[x-z]", 0..4),
        ports in prop::collection::btree_set(1..5, 0..4),
    ) {
        let mut start = config_map(&json!(live));
        managed::update(None, &mut start, ty("ConfigMap"), &by("editor"));
        let once = applied(Some(&start), &json!(config), "a", true).unwrap();
        let later = Writer { time: "2027-01-01T00:00:00Z", ..by("a") };
        let twice = apply(Some(&once), &config_map(&json!(config)), ty("ConfigMap"), &later, false).unwrap();
        prop_assert_eq!(&twice, &once);
        let ports: Vec<Value> = ports.iter().map(|port| json!({"containerPort": port})).collect();
        let config = pod(&json!([{"name": "a", "ports": ports}]));
        let once = apply(None, &config, ty("Pod"), &by("a"), false).unwrap();
        prop_assert_eq!(&apply(Some(&once), &config, ty("Pod"), &later, false).unwrap(), &once);
    }
}
