//! Entries as kube-apiserver writes them.

use super::*;
use crate::facts;

fn config_map() -> &'static Type {
    facts::of_kind("", "v1", "ConfigMap").expect("built in")
}

const fn writer(manager: &'static str, time: &'static str) -> Writer<'static> {
    Writer { manager, api_version: "v1", subresource: "", time, ignored: &[] }
}

fn written(live: Option<&Value>, mut new: Value, by: &Writer<'_>) -> Value {
    update(live, &mut new, config_map(), by);
    new
}

fn fields(object: &Value, manager: &str) -> Value {
    let entry = meta::managed_fields(object).iter().find(|entry| entry["manager"] == manager);
    entry.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn object(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}, "data": data})
}

#[test]
fn the_creator_owns_what_it_wrote() {
    let made = written(None, object(json!({"k": "v"})), &writer("kubectl", "t1"));
    let expect = json!([{
        "apiVersion": "v1", "fieldsType": "FieldsV1", "manager": "kubectl", "operation": "Update", "time": "t1",
        "fieldsV1": {"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}},
    }]);
    assert_eq!(made["metadata"]["managedFields"], expect);
}

#[test]
fn a_change_moves_ownership_and_a_removal_ends_it() {
    let made = written(None, object(json!({"k": "v", "l": "w"})), &writer("a", "t1"));
    let mut change = made.clone();
    change["data"] = json!({"k": "other"});
    let changed = written(Some(&made), change, &writer("b", "t2"));
    assert_eq!(fields(&changed, "a"), json!({"f:data": {}, "f:metadata": {"f:labels": {".": {}, "f:x": {}}}}));
    assert_eq!(fields(&changed, "b"), json!({"f:data": {"f:k": {}}}));
}

#[test]
fn writing_the_same_again_changes_nothing() {
    let made = written(None, object(json!({"k": "v"})), &writer("a", "t1"));
    assert_eq!(written(Some(&made), made.clone(), &writer("a", "t2")), made);
    assert_eq!(written(Some(&made), object(json!({"k": "v"})), &writer("b", "t2")), made);
}

#[test]
fn a_status_write_owns_only_status() {
    let node = facts::of_kind("", "v1", "Node").expect("built in");
    let live = json!({"metadata": {"name": "n"}});
    let mut new = json!({"metadata": {"name": "n", "labels": {"a": "b"}}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let by = Writer { subresource: "status", ignored: &["spec", "metadata"], ..writer("kubelet", "t1") };
    update(Some(&live), &mut new, node, &by);
    let key = r#"k:{"type":"Ready"}"#;
    let expect =
        json!({"f:status": {".": {}, "f:conditions": {".": {}, key: {".": {}, "f:status": {}, "f:type": {}}}}});
    assert_eq!(fields(&new, "kubelet"), expect);
    assert_eq!(new["metadata"]["managedFields"][0]["subresource"], "status");
}

#[test]
fn old_update_managers_are_merged() {
    let mut object = object(json!({}));
    let managers: Vec<String> = (10..30).map(|number| format!("m{number}")).collect();
    for manager in &managers {
        let live = object.clone();
        object["data"][manager] = json!("v");
        let by = Writer { manager, time: manager, ..writer("", "") };
        update(Some(&live), &mut object, config_map(), &by);
    }
    let names: Vec<&str> = meta::managed_fields(&object).iter().filter_map(|entry| entry["manager"].as_str()).collect();
    assert_eq!(names.len(), UPDATE_MANAGERS_MAX);
    assert_eq!((names[0], names[9]), ("ancient-changes", "m29"));
    assert!(fields(&object, "ancient-changes")["f:data"]["f:m10"].is_object());
}

#[test]
fn sets_read_back_and_obey_set_algebra() {
    let json = json!({"f:a": {".": {}, "f:b": {}}, "f:l": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}, "v:\"z\"": {}}, "f:s": {}});
    let set = Set::from_json(&json).unwrap();
    assert_eq!(set.to_json(), json);
    assert_eq!(set.paths(), [".a", ".s", ".a.b", r#".l[name="x"]"#, r#".l[="z"]"#, r#".l[name="x"].name"#]);
    let other = Set::from_json(&json!({"f:a": {"f:b": {}}, "f:l": {"k:{ \"name\": \"x\" }": {}}})).unwrap();
    assert_eq!(set.intersection(&other).union(&set.difference(&other)), set);
    assert!(set.difference(&set).is_empty() && set.union(&set) == set && set.intersection(&set) == set);
    for bad in [json!(1), json!({"f:a": 1}), json!({"x:a": {}}), json!({"k:[": {}}), json!({"a": {}})] {
        assert_eq!(Set::from_json(&bad), None, "{bad}");
    }
}

#[test]
fn names_managers_after_their_user_agent() {
    let cases = [("kubectl/v1.36 (linux)", "kubectl"), ("", "unknown"), ("a\u{1}b/c", "ab"), ("curl", "curl")];
    cases.into_iter().for_each(|(agent, manager)| assert_eq!(manager_of_user_agent(agent), manager));
    assert_eq!(manager_of_user_agent(&"é".repeat(100)).len(), MANAGER_MAX);
}

#[test]
fn a_client_can_reset_the_entries() {
    let made = written(None, object(json!({"k": "v"})), &writer("a", "t1"));
    let mut reset = made.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    assert!(meta::managed_fields(&written(Some(&made), reset, &writer("a", "t2"))).is_empty());
}
