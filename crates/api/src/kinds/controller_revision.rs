//! ControllerRevision: what a DaemonSet or StatefulSet was once to be, kept to go back to. Spec:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/>.

use serde_json::Value;

use super::{
    ALL_VERBS, Column, Hooks, Kind, NameRule, OWNER_INDEXES, Storage,
    columns::{AGE, NAME, NONE},
    read::text,
    workload::{NOT_NEGATIVE, count},
};
use crate::{
    field::{Errors, Path},
    meta,
};

/// ControllerRevision of apps/v1.
pub static CONTROLLER_REVISION: Kind = Kind {
    group: "apps",
    version: "v1",
    kind: "ControllerRevision",
    list_kind: "ControllerRevisionList",
    plural: "controllerrevisions",
    singular: "controllerrevision",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.apps.v1.ControllerRevision",
    storage: Some(Storage { prefix: "apps/controllerrevisions", other: None }),
    name_rule: NameRule::DnsSubdomain,
    fields: &[],
    indexes: OWNER_INDEXES,
    columns: &[
        NAME,
        Column::text("Controller", "Whose revision it is.", 0, |object, _| controller(object).into()),
        Column::text("Revision", "Its number.", 0, |object, _| count(object, "/revision").into()),
        AGE,
    ],
    hooks: Hooks { validate, validate_update, ..Hooks::NONE },
};

/// Kind, group and name of the owner that controls it, as kubectl writes them.
fn controller(object: &Value) -> String {
    let Some(owner) = meta::controller_of(object) else { return NONE.to_owned() };
    let kind = text(owner, "/kind").to_lowercase();
    match text(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", text(owner, "/name")),
        None => format!("{kind}/{}", text(owner, "/name")),
    }
}

fn validate(object: &Value, errors: &mut Errors) {
    if object.get("data").is_none_or(Value::is_null) {
        errors.required(&Path::new("data"), "data is mandatory");
    }
    let revision = count(object, "/revision");
    if revision < 0 {
        errors.invalid(&Path::new("revision"), revision, NOT_NEGATIVE);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if new.get("data") != old.get("data") {
        errors.invalid(&Path::new("data"), new.get("data").cloned().unwrap_or_default(), "field is immutable");
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_is_kept_as_it_was_made() {
        let check = |new: Value, expect: &[&str]| {
            let old = json!({ "data": { "spec": {} }, "revision": 1 });
            let mut errors = Errors::new();
            validate(&new, &mut errors);
            validate_update(&new, &old, &mut errors);
            let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
            assert_eq!(told, expect);
        };
        check(json!({ "data": { "spec": {} }, "revision": 7 }), &[]);
        let immutable = "data: Invalid value: {\"spec\":{\"a\":1}}: field is immutable";
        check(json!({ "data": { "spec": { "a": 1 } }, "revision": 1 }), &[immutable]);
        let below = "revision: Invalid value: -1: must be greater than or equal to 0";
        check(json!({ "data": { "spec": {} }, "revision": -1 }), &[below]);
        let missing = ["data: Required value: data is mandatory", "data: Invalid value: null: field is immutable"];
        check(json!({ "revision": 1 }), &missing);
    }

    #[test]
    fn cells_are_those_of_kubectl() {
        let check = |owners: Value, expect: &str| {
            let object = json!({ "metadata": { "name": "web-1", "ownerReferences": owners }, "revision": 2 });
            let cells: Vec<Value> = CONTROLLER_REVISION
                .columns
                .iter()
                .map(|column| (column.cell)(&object, Timestamp::UNIX_EPOCH))
                .collect();
            assert_eq!(Value::from(cells), json!(["web-1", expect, 2, "<unknown>"]));
        };
        let owner = |version: &str, kind: &str| json!([{ "apiVersion": version, "kind": kind, "name": "web", "controller": true }]);
        check(json!([]), "<none>");
        check(owner("apps/v1", "StatefulSet"), "statefulset.apps/web");
        check(owner("v1", "ReplicationController"), "replicationcontroller/web");
    }
}
