//! Reads and writes `metadata` of an object, and the two time formats Kubernetes has.
//!
//! Main type: none; functions on [`Value`]. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/>.
//! Leaves out: checks ([`crate::object_meta`]); who may set which field (`apiserver`).

use jiff::Timestamp;
use serde_json::{Map, Value};

/// `metadata` of an object; `None` where there is none or it is no object.
#[must_use]
pub fn get(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.as_object()
}

/// `metadata`, made if absent, null or no object; `None` if the object itself is none.
pub fn get_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut()
}

/// A string field of `metadata`; absent reads as empty.
#[must_use]
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    get(object).and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// Sets a string field of `metadata`; the empty string removes it.
pub fn set_text(object: &mut Value, field: &str, text: impl Into<String>) {
    let text = text.into();
    let Some(metadata) = get_mut(object) else { return };
    if text.is_empty() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), Value::String(text));
    }
}

/// Sets or (with `None`) removes a field of `metadata`.
pub fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(metadata) = get_mut(object) else { return };
    match value {
        Some(value) => _ = metadata.insert(field.to_owned(), value),
        None => _ = metadata.remove(field),
    }
}

macro_rules! text_fields {
    ($($get:ident $set:ident $field:literal),* $(,)?) => {$(
        #[doc = concat!("`metadata.", $field, "`; empty if absent.")]
        #[must_use]
        pub fn $get(object: &Value) -> &str {
            text(object, $field)
        }

        #[doc = concat!("Sets `metadata.", $field, "`; empty removes it.")]
        pub fn $set(object: &mut Value, value: impl Into<String>) {
            set_text(object, $field, value);
        }
    )*};
}

text_fields! {
    name set_name "name",
    generate_name set_generate_name "generateName",
    namespace set_namespace "namespace",
    uid set_uid "uid",
    resource_version set_resource_version "resourceVersion",
    creation_timestamp set_creation_timestamp "creationTimestamp",
    deletion_timestamp set_deletion_timestamp "deletionTimestamp",
}

/// `apiVersion`; empty if absent.
#[must_use]
pub fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

/// `kind`; empty if absent.
#[must_use]
pub fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.generation`; 0 if absent.
#[must_use]
pub fn generation(object: &Value) -> i64 {
    get(object).and_then(|metadata| metadata.get("generation")).and_then(Value::as_i64).unwrap_or_default()
}

/// Sets `metadata.generation`; 0 removes it.
pub fn set_generation(object: &mut Value, generation: i64) {
    set(object, "generation", (generation != 0).then(|| generation.into()));
}

/// Entries of `metadata.labels`, sorted by key.
pub fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    pairs(object, "labels")
}

/// The value of one label.
#[must_use]
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    get(object)?.get("labels")?.get(key)?.as_str()
}

/// Entries of `metadata.annotations`, sorted by key.
pub fn annotations(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    pairs(object, "annotations")
}

/// The value of one annotation.
#[must_use]
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    get(object)?.get("annotations")?.get(key)?.as_str()
}

fn pairs<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = get(object).and_then(|metadata| metadata.get(field)).and_then(Value::as_object);
    map.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// Items of `metadata.finalizers`, in order.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    list(object, "finalizers").iter().filter_map(Value::as_str)
}

/// Items of `metadata.ownerReferences`, in order.
#[must_use]
pub fn owner_references(object: &Value) -> &[Value] {
    list(object, "ownerReferences")
}

/// Items of `metadata.managedFields`, in order.
#[must_use]
pub fn managed_fields(object: &Value) -> &[Value] {
    list(object, "managedFields")
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    let list = get(object).and_then(|metadata| metadata.get(field)).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// Whether deletion has begun.
#[must_use]
pub fn is_being_deleted(object: &Value) -> bool {
    !deletion_timestamp(object).is_empty()
}

/// The owner with `controller: true`.
#[must_use]
pub fn controller_of(object: &Value) -> Option<&Value> {
    owner_references(object).iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

/// metav1.Time: RFC 3339 in UTC to the second, `2006-01-02T15:04:05Z`; fractions are cut off.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// metav1.MicroTime: six decimals, `2006-01-02T15:04:05.000000Z`.
#[must_use]
pub fn micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either format, with any offset; `None` if it is neither.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let separated = text.as_bytes().get(10).is_some_and(|byte| *byte == b'T');
    text.parse().ok().filter(|_| separated)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_absent_metadata_as_empty() {
        for object in [json!({}), json!({"metadata": null}), json!({"metadata": []}), json!(1)] {
            assert_eq!((name(&object), generation(&object), finalizers(&object).count()), ("", 0, 0));
            assert!(!is_being_deleted(&object));
        }
    }

    #[test]
    fn an_empty_text_is_removed() {
        let mut object = json!({"metadata": {"name": "a"}});
        set_uid(&mut object, "u");
        set_name(&mut object, "");
        assert_eq!(object, json!({"metadata": {"uid": "u"}}));
    }

    #[test]
    fn times_have_second_and_microsecond_precision() {
        let at: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        assert_eq!(time(at), "2026-01-02T03:04:05Z");
        assert_eq!(micro_time(at), "2026-01-02T03:04:05.123456Z");
        assert_eq!(parse_time("2026-01-02T04:04:05+01:00"), parse_time("2026-01-02T03:04:05Z"));
        assert_eq!(parse_time("yesterday"), None);
    }
}
