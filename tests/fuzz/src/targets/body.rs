//! Bodies of requests, in all their encodings, as far as they are read by themselves.

use api::{facts, patch, strict};
use serde_json::{Value, json};

use super::texts;
use crate::Target;

/// A pod with some of everything.
const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"b":"c"},"creationTimestamp":"2024-01-02T03:04:05Z"},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"100m","memory":"1.5Gi"}},"env":[{"name":"X","value":"1"}]}],"tolerations":[{"key":"k","operator":"Exists","tolerationSeconds":30}]}}"#;

fn pod(mut object: Value) {
    let kind = api::kinds::by_kind("", "v1", "Pod").expect("served");
    if strict::conform(&mut object, facts::ty(kind.type_name)).is_err() || !object.is_object() {
        return;
    }
    api::default::apply(&mut object, facts::ty(kind.type_name).expect("known"));
    (kind.hooks.default)(&mut object);
    let once = object.clone();
    (kind.hooks.default)(&mut object);
    assert_eq!(object, once, "defaults are set once");
    (kind.hooks.validate)(&object, &mut api::field::Errors::new());
}

/// JSON, conformed to its type, with its defaults, checked.
pub(super) const JSON: Target = Target {
    name: "JSON body",
    run: |bytes| {
        if let Ok((object, _)) = strict::parse(bytes) {
            pod(object);
        }
    },
    seeds: || texts(&[POD, r#"{"a":[1,2.5e10,-0,"\ud83d\ude00",null,true,{"a":{}}]}"#]),
};

/// YAML.
pub(super) const YAML: Target = Target {
    name: "YAML body",
    run: |bytes| {
        if let Ok(object) = serde_saphyr::from_slice(bytes) {
            pod(object);
        }
    },
    seeds: || {
        texts(&[
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: c\n    image: &i x\n    command: [*i, \"a\\n\", 'b']\n",
            "a: &a [1, 2]\nb: *a\nc: |\n  text\n  more\nd: !!str 1\n",
            POD,
        ])
    },
};

/// Protobuf, which must be sound JSON once read, and can be written again.
pub(super) const PROTOBUF: Target = Target {
    name: "protobuf body",
    run: |bytes| {
        if let Ok(object) = api::protobuf::decode(bytes) {
            let written = api::protobuf::encode(&object);
            let again = written.map(|body| api::protobuf::decode(&body).is_ok());
            assert!(again != Some(false), "what was read and written cannot be read: {object}");
            pod(object);
        }
    },
    seeds: || {
        let mut body = b"k8s\0".to_vec();
        let pod = [&[0x0a, 3, 0x0a, 1, b'a', 0x12, 7, 0x12, 5, 0x0a, 1, b'c', 0x12, 0][..]].concat();
        body.extend([0x0a, 9, 0x0a, 2, b'v', b'1', 0x12, 3, b'P', b'o', b'd', 0x12, pod.len() as u8]);
        body.extend(pod);
        vec![body, b"k8s\0".to_vec()]
    },
};

/// The three patches that need no managed fields.
pub(super) const PATCHES: Target = Target {
    name: "patches",
    run: |bytes| {
        let kind = api::kinds::by_kind("", "v1", "Pod").expect("served");
        let original: Value = serde_json::from_str(POD).expect("JSON");
        let _ = patch::json(&mut original.clone(), bytes);
        let _ = patch::merge(&mut original.clone(), bytes);
        let _ = patch::strategic(&mut original.clone(), bytes, facts::ty(kind.type_name).expect("known"));
    },
    seeds: || {
        let strategic = json!({ "spec": { "$setElementOrder/containers": [{ "name": "c" }], "containers": [
            { "name": "c", "$patch": "replace", "$retainKeys": ["name"], "env": [{ "name": "X", "$patch": "delete" }] }],
            "$deleteFromPrimitiveList/x": ["a"] }, "metadata": { "labels": { "b": null } } });
        texts(&[
            &strategic.to_string(),
            r#"[{"op":"add","path":"/spec/containers/0/env/-","value":{}},{"op":"move","from":"/a","path":"/a~1b"},{"op":"test","path":"","value":1}]"#,
            r#"{"metadata":{"labels":null},"spec":{"containers":[]}}"#,
        ])
    },
};
