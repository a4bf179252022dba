//! Cases after the contributors' description of the format.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::facts;

fn apply(original: &Value, patch: &Value) -> Result<Value, StrategicError> {
    let ty = facts::of_kind("", "v1", "Pod").expect("Pod is built in");
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    merge(object(original), object(patch), ty).map(Value::Object)
}

fn check(original: Value, patch: Value, expect: Value) {
    assert_eq!(apply(&original, &patch).unwrap(), expect, "{patch}");
}

fn containers(items: Value) -> Value {
    json!({"spec": {"containers": items}})
}

#[test]
fn merges_maps_and_replaces_plain_lists() {
    check(
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
        json!({"metadata": {"labels": {"a": null, "c": "3"}}}),
        json!({"metadata": {"labels": {"b": "2", "c": "3"}}}),
    );
    check(
        containers(json!([{"name": "a", "args": ["1"], "image": "x"}])),
        containers(json!([{"name": "a", "args": ["2"]}])),
        containers(json!([{"name": "a", "args": ["2"], "image": "x"}])),
    );
    check(
        json!({"spec": {"nodeName": "a"}}),
        json!({"spec": {"nodeName": null, "hostNetwork": null}}),
        json!({"spec": {}}),
    );
}

#[test]
fn merges_lists_by_key() {
    let ab = || json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]);
    check(
        containers(ab()),
        containers(json!([{"name": "c", "image": "3", "tty": null}])),
        containers(json!([{"name": "c", "image": "3"}, {"name": "a", "image": "1"}, {"name": "b", "image": "2"}])),
    );
    check(
        containers(ab()),
        containers(json!([{"name": "a", "$patch": "delete"}])),
        containers(json!([{"name": "b", "image": "2"}])),
    );
    check(
        containers(ab()),
        containers(json!([{"$patch": "replace"}, {"name": "c"}])),
        containers(json!([{"name": "c"}])),
    );
    check(
        containers(json!([{"name": "a", "ports": [{"containerPort": 80, "name": "x"}]}])),
        containers(json!([{"name": "a", "ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 81}]}])),
        containers(
            json!([{"name": "a", "ports": [{"containerPort": 80, "name": "x", "protocol": "UDP"}, {"containerPort": 81}]}]),
        ),
    );
    let error = apply(&containers(ab()), &containers(json!([{"image": "x"}]))).unwrap_err();
    assert_eq!(error.to_string(), "map: map[image:x] does not contain declared merge key: name");
}

#[test]
fn merges_lists_of_scalars() {
    let finalizers = |items: Value| json!({"metadata": {"finalizers": items}});
    check(finalizers(json!(["a", "b"])), finalizers(json!(["b", "c"])), finalizers(json!(["a", "b", "c"])));
    check(
        finalizers(json!(["a", "b", "c"])),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"]}}),
        finalizers(json!(["a", "c"])),
    );
    check(
        finalizers(json!(["a", "b"])),
        json!({"metadata": {"$setElementOrder/finalizers": ["c", "b", "a"], "finalizers": ["c"]}}),
        finalizers(json!(["c", "b", "a"])),
    );
}

#[test]
fn obeys_directives_on_maps() {
    let spec = |spec: Value| json!({ "spec": spec });
    check(spec(json!({"a": 1})), spec(json!({"$patch": "replace", "b": 2})), spec(json!({"b": 2})));
    check(spec(json!({"a": 1})), spec(json!({"$patch": "delete"})), spec(json!({})));
    let volume = |volume: Value| spec(json!({"volumes": [volume]}));
    check(
        volume(json!({"name": "v", "emptyDir": {}})),
        volume(json!({"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]})),
        volume(json!({"name": "v", "hostPath": {"path": "/"}})),
    );
    let cases = [
        (spec(json!({"$patch": "sing"})), "unknown patch type: sing in map: map[]"),
        (spec(json!({"$retainKeys": ["a"], "b": 1})), "invalid patch format of retainKeys"),
        (spec(json!({"$setElementOrder/containers": "x"})), "invalid patch format of setElementOrder list"),
        (spec(json!({"$setElementOrder": []})), "invalid patch format of setElementOrder list"),
        (spec(json!({"$deleteFromPrimitiveList": []})), "invalid patch format of primitive list"),
    ];
    for (patch, error) in cases {
        assert_eq!(apply(&spec(json!({"a": 1})), &patch).unwrap_err().to_string(), error);
    }
}

#[test]
fn puts_list_items_in_the_order_given() {
    let names = |names: &[&str]| containers(names.iter().map(|name| json!({ "name": name })).collect());
    let order = |order: &[&str], items: &[&str]| {
        let list: Vec<Value> = order.iter().map(|name| json!({ "name": name })).collect();
        let items: Vec<Value> = items.iter().map(|name| json!({ "name": name })).collect();
        json!({"spec": {"$setElementOrder/containers": list, "containers": items}})
    };
    check(names(&["a", "b", "c"]), order(&["c", "a"], &["c", "a"]), names(&["b", "c", "a"]));
    check(names(&["a", "b"]), order(&["x", "b", "a"], &["x"]), names(&["x", "b", "a"]));
    check(
        names(&["a", "b"]),
        json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}),
        names(&["b", "a"]),
    );
    assert!(apply(&names(&["a"]), &order(&["a", "b"], &["b", "a"])).is_err());
}

proptest! {
    #[test]
    fn an_empty_patch_changes_nothing(names in prop::collection::btree_set("[a-d]", 0..4), labels in prop::collection::btree_map("[a-c]", "[x-z]", 0..3)) {
        let items: Vec<Value> = names.iter().map(|name| json!({"name": name, "env": [{"name": "E", "value": name}]})).collect();
        let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": items}});
        prop_assert_eq!(&apply(&pod, &json!({})).unwrap(), &pod);
        prop_assert_eq!(&apply(&pod, &pod).unwrap(), &pod);
    }
}
