//! Secret. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/>.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    field::{Errors, Path},
    meta, names,
};

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, SelectableField, Storage,
    columns::{AGE, NAME},
    config_map::DATA_MAX,
    read::{base64_length, child, entries, immutable_fields, text},
};

/// Core v1 Secret.
pub static SECRET: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Secret",
    list_kind: "SecretList",
    plural: "secrets",
    singular: "secret",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.Secret",
    storage: Some(Storage { prefix: "core/secrets", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[SelectableField { label: "type", stored: "type", pointers: &["/type"], default: "" }],
    indexes: OWNER_INDEXES,
    columns: &[NAME, TYPE, DATA, AGE],
    hooks: Hooks { default, validate, validate_update, ..Hooks::NONE },
};

const TYPE: Column = Column::text("Type", "What the data is for.", 0, |object, _| text(object, "/type").into());
const DATA: Column =
    Column::text("Data", "Number of keys.", 0, |object, _| Value::from(entries(object, "/data").count()));

const DATA_PATH: Path<'static> = Path::new("data");

/// Stands for a value that must not be shown.
const REDACTED: &str = "<secret contents redacted>";

const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// `stringData` is for writing only: it ends up in `data`.
fn default(object: &mut Value) {
    if text(object, "/type").is_empty() && object.is_object() {
        object["type"] = "Opaque".into();
    }
    let plain = object.as_object_mut().and_then(|fields| fields.remove("stringData"));
    let Some(plain) = plain.as_ref().and_then(Value::as_object).filter(|plain| !plain.is_empty()) else { return };
    let Some(data) = child(object, "data") else { return };
    for (key, value) in plain {
        let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
        data.insert(key.clone(), encoded.into());
    }
}

fn validate(object: &Value, errors: &mut Errors) {
    let mut total = 0;
    for (key, value) in entries(object, "/data") {
        for message in names::config_map_key(key) {
            errors.invalid(&DATA_PATH.key(key), key, message);
        }
        total += base64_length(value);
    }
    if total > DATA_MAX {
        errors.too_long(&DATA_PATH, DATA_MAX);
    }
    validate_type(object, errors);
}

fn validate_type(object: &Value, errors: &mut Errors) {
    let has = |key: &str| object.get("data").and_then(|data| data.get(key)).is_some();
    let mut require = |keys: &[&str]| keys.iter().for_each(|key| errors.required(&DATA_PATH.key(key), ""));
    match text(object, "/type") {
        "kubernetes.io/service-account-token"
            if meta::annotation(object, ACCOUNT_NAME).unwrap_or_default().is_empty() =>
        {
            errors.required(&Path::new("metadata").child("annotations").key(ACCOUNT_NAME), "");
        }
        "kubernetes.io/dockercfg" => check_json(object, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => check_json(object, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => require(&["username", "password"]),
        "kubernetes.io/ssh-auth" if decoded(object, "ssh-privatekey").is_none_or(|key| key.is_empty()) => {
            require(&["ssh-privatekey"]);
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].iter().filter(|key| !has(key)).for_each(|key| require(&[key])),
        _ => {}
    }
}

fn check_json(object: &Value, key: &str, errors: &mut Errors) {
    let Some(bytes) = decoded(object, key) else { return errors.required(&DATA_PATH.key(key), "") };
    let why = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(other) => {
            format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", go_type(&other))
        }
        Err(error) if error.is_eof() => "unexpected end of JSON input".to_owned(),
        // The parser's own message could tell contents.
        Err(_) => "invalid JSON".to_owned(),
    };
    errors.invalid(&DATA_PATH.key(key), REDACTED, why);
}

/// What Go calls a value that is no object.
const fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => "null",
    }
}

fn decoded(object: &Value, key: &str) -> Option<Vec<u8>> {
    let value = object.get("data")?.get(key)?;
    Some(STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default())
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if new.get("type") != old.get("type") {
        errors.invalid(&Path::new("type"), text(new, "/type"), "field is immutable");
    }
    immutable_fields(new, old, &["data"], errors);
}
