//! ReplicationController: what ReplicaSet was before it; the same but for its selector, which is labels.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replication-controller-v1/>.

use serde_json::Value;

use crate::field::Errors;

use super::{
    ALL_VERBS, Hooks, Kind, NameRule, OWNER_INDEXES, SelectableField, Storage, Subresource,
    replica_set::{COLUMNS, prepare_create, prepare_status, validate_status},
    workload::{self, SPEC, fill, not_negative, scale},
};

/// Core v1 ReplicationController.
pub static REPLICATION_CONTROLLER: Kind = Kind {
    group: "",
    version: "v1",
    kind: KIND,
    list_kind: "ReplicationControllerList",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: PARTS,
    type_name: TYPE,
    storage: Some(Storage { prefix: "core/replicationcontrollers", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[SelectableField {
        label: "status.replicas",
        stored: "status.replicas",
        pointers: &["/status/replicas"],
        default: "0",
    }],
    indexes: OWNER_INDEXES,
    columns: COLUMNS,
    hooks: Hooks {
        default,
        prepare_create,
        prepare_update: workload::prepare_update,
        validate,
        validate_part: Some(validate_part),
        ..Hooks::NONE
    },
};

const KIND: &str = "ReplicationController";

const TYPE: &str = "io.k8s.api.core.v1.ReplicationController";

const PARTS: &[Subresource] = &[scale::part(workload::prepare_update), workload::status(KIND, TYPE, prepare_status)];

/// Selector and labels are those of the template, where they are not given.
fn default(object: &mut Value) {
    fill(object, "replicas", 1);
    workload::default_template(object);
    let labels = object.pointer("/spec/template/metadata/labels").filter(|labels| labels.is_object()).cloned();
    let Some(labels) = labels else { return };
    let empty = |value: Option<&Value>| value.and_then(Value::as_object).is_none_or(serde_json::Map::is_empty);
    if empty(object.pointer("/spec/selector")) {
        object["spec"]["selector"] = labels.clone();
    }
    if empty(object.pointer("/metadata/labels")) {
        object["metadata"]["labels"] = labels;
    }
}

fn validate(object: &Value, errors: &mut Errors) {
    not_negative(object, &SPEC, "minReadySeconds", errors);
    let selector = object.pointer("/spec/selector").and_then(Value::as_object);
    if selector.is_none_or(serde_json::Map::is_empty) {
        errors.required(&SPEC.child("selector"), "");
    }
    not_negative(object, &SPEC, "replicas", errors);
    match object.pointer("/spec/template") {
        None | Some(Value::Null) => errors.required(&SPEC.child("template"), ""),
        Some(_) => workload::validate_template(object, &workload::selector(object), KIND, errors),
    }
}

fn validate_part(part: &str, new: &Value, _: &Value, errors: &mut Errors) {
    if part == "status" {
        validate_status(new, errors);
    }
}
