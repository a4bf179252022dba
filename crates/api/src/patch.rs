//! JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386), with Kubernetes' limits and refusals.
//!
//! Main functions: [`json`], [`merge`], [`strategic`]. Spec:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply>.
//! Leaves out: server-side apply ([`crate::apply`]); checks of the result.

#![allow(clippy::result_large_err, reason = "a refusal ends the request: it is moved once, and boxing it helps nobody")]

mod quirk;

use json_patch::PatchOperation;
use serde_json::{Map, Value};

use crate::{
    facts::Type,
    status::{Details, Status},
};

pub use crate::strategic::StrategicError;

/// Operations of one JSON Patch; upstream's bound.
pub const OPERATIONS_MAX: usize = 10_000;

/// Bytes that `copy` operations may add in all, since each can double an object; upstream's bound.
const COPIED_MAX: usize = 3 << 20;

/// Deepest result; what the parser of stored objects accepts.
const DEPTH_MAX: usize = 128;

/// Applies a JSON Patch, whole or not at all.
///
/// # Errors
/// 400 malformed, 413 too many operations, 422 an operation or test failed.
pub fn json(object: &mut Value, patch: &[u8]) -> Result<(), Status> {
    let patch: Value = serde_json::from_slice(patch).map_err(|error| Status::bad_request(error.to_string()))?;
    let count = patch.as_array().map_or(0, Vec::len);
    if count > OPERATIONS_MAX {
        let message = format!("The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {count}");
        let message = format!("Request entity too large: {message}");
        return Err(Status::failure(413, "RequestEntityTooLarge", message, None));
    }
    let patch: json_patch::Patch =
        serde_json::from_value(patch).map_err(|error| Status::bad_request(error.to_string()))?;
    let mut result = object.clone();
    let mut copied = 0;
    for operation in patch.0 {
        check_growth(&result, &operation, &mut copied)?;
        if !quirk::tests_absence(&result, &operation) {
            let operation = quirk::from_the_start(&result, operation);
            json_patch::patch_unsafe(&mut result, &[operation]).map_err(|_| unprocessable())?;
        }
    }
    *object = result;
    Ok(())
}

/// Applies a JSON Merge Patch.
///
/// # Errors
/// 400 where it is no JSON object.
pub fn merge(object: &mut Value, patch: &[u8]) -> Result<(), Status> {
    json_patch::merge(object, &Value::Object(read_object(patch)?));
    Ok(())
}

/// Applies a strategic merge patch, whole or not at all.
///
/// # Errors
/// 400 where it is no JSON object or a directive is malformed; 422 and 500 as upstream.
pub fn strategic(object: &mut Value, patch: &[u8], ty: &'static Type) -> Result<(), Status> {
    let patch = read_object(patch)?;
    let original = object.as_object().cloned().unwrap_or_default();
    let merged = crate::strategic::merge(original, patch, ty).map_err(|error| refusal(&error))?;
    *object = Value::Object(merged);
    Ok(())
}

fn read_object(patch: &[u8]) -> Result<Map<String, Value>, Status> {
    serde_json::from_slice(patch).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
}

fn refusal(error: &StrategicError) -> Status {
    match error {
        StrategicError::Directive(_) => Status::bad_request(error.to_string()),
        StrategicError::ListOfLists => unprocessable(),
        StrategicError::Other(_) => Status::failure(500, "", error.to_string(), None),
    }
}

/// 422 as upstream words every failed operation.
fn unprocessable() -> Status {
    let message = "the server rejected our request due to an error in our request";
    Status::failure(422, "Invalid", message, Some(Details::default()))
}

/// Refuses what would make the object too large or too deep, before it is made.
fn check_growth(object: &Value, operation: &PatchOperation, copied: &mut usize) -> Result<(), Status> {
    let steps = operation.path().tokens().count();
    let added = match operation {
        PatchOperation::Add(add) => depth(&add.value),
        PatchOperation::Replace(replace) => depth(&replace.value),
        PatchOperation::Move(from) => object.pointer(from.from.as_str()).map_or(0, depth),
        PatchOperation::Copy(from) => {
            let source = object.pointer(from.from.as_str()).unwrap_or(&Value::Null);
            *copied += source.to_string().len();
            depth(source)
        }
        PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
    };
    if *copied > COPIED_MAX || steps + added > DEPTH_MAX { Err(unprocessable()) } else { Ok(()) }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check_json(patch: &Value, expect: Result<Value, u16>) {
        let mut object = json!({"a": {"b": [1, 2]}});
        let done = super::json(&mut object, patch.to_string().as_bytes()).map_err(|status| status.code);
        assert_eq!(done.map(|()| object), expect, "{patch}");
    }

    #[test]
    fn applies_json_patches_whole_or_not_at_all() {
        check_json(&json!([{"op": "add", "path": "/a/b/-", "value": 3}]), Ok(json!({"a": {"b": [1, 2, 3]}})));
        check_json(
            &json!([{"op": "copy", "from": "/a/b", "path": "/c"}]),
            Ok(json!({"a": {"b": [1, 2]}, "c": [1, 2]})),
        );
        check_json(&json!([{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/x"}]), Err(422));
        check_json(&json!([{"op": "test", "path": "/a/b/0", "value": 2}]), Err(422));
        check_json(&json!([{"op": "sing", "path": "/a"}]), Err(400));
        check_json(&json!({}), Err(400));
        check_json(&json!(vec![json!({"op": "test", "path": "", "value": 1}); OPERATIONS_MAX + 1]), Err(413));
        let deepen = vec![json!({"op": "copy", "from": "/a", "path": "/a/b/0"}); 20];
        check_json(&json!(deepen), Err(422));
    }

    #[test]
    fn takes_what_upstream_takes_beyond_the_rfc() {
        let absent = |path: &str| json!([{"op": "test", "path": path, "value": null}]);
        check_json(&absent("/a/c"), Ok(json!({"a": {"b": [1, 2]}})));
        check_json(&absent("/a/b"), Err(422));
        check_json(&absent("/x/c"), Err(422));
        check_json(&absent("/a/b/2"), Err(422));
        check_json(&json!([{"op": "test", "path": "/a/c", "value": 1}]), Err(422));
        check_json(&json!([{"op": "remove", "path": "/a/b/-1"}]), Ok(json!({"a": {"b": [1]}})));
        check_json(&json!([{"op": "add", "path": "/a/b/-1", "value": 3}]), Ok(json!({"a": {"b": [1, 2, 3]}})));
        check_json(&json!([{"op": "add", "path": "/a/b/-2", "value": 3}]), Ok(json!({"a": {"b": [1, 3, 2]}})));
        check_json(&json!([{"op": "replace", "path": "/a/b/-2", "value": 3}]), Ok(json!({"a": {"b": [3, 2]}})));
        check_json(&json!([{"op": "copy", "from": "/a/b/-1", "path": "/c"}]), Ok(json!({"a": {"b": [1, 2]}, "c": 2})));
        check_json(&json!([{"op": "move", "from": "/a/b/0", "path": "/a/b/-1"}]), Ok(json!({"a": {"b": [2, 1]}})));
        check_json(&json!([{"op": "remove", "path": "/a/b/-3"}]), Err(422));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map))
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-c]", value(), 0..3).prop_map(|map| json!(map))
    }

    proptest! {
        #[test]
        fn a_merge_patch_applied_twice_is_applied_once(before in object(), patch in object()) {
            let (mut once, bytes) = (before, patch.to_string());
            merge(&mut once, bytes.as_bytes()).unwrap();
            let mut twice = once.clone();
            merge(&mut twice, bytes.as_bytes()).unwrap();
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn an_empty_merge_patch_changes_nothing(before in object()) {
            let mut after = before.clone();
            merge(&mut after, b"{}").unwrap();
            prop_assert_eq!(before, after);
        }

        #[test]
        fn a_merge_patch_of_null_removes(mut before in object()) {
            merge(&mut before, br#"{"a":null}"#).unwrap();
            prop_assert!(before.get("a").is_none());
        }
    }
}
