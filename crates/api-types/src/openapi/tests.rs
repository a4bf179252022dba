//! The documents as their readers use them: kubectl, client generators.

use super::*;
use std::collections::BTreeSet;

fn group(group: &str, version: &str) -> Vec<Resource> {
    served().into_iter().filter(|one| one.group == group && one.version == version).collect()
}

/// What is at a pointer in the v3 document of the core group.
fn check(pointer: &str, expect: Value) {
    let document = v3(&group("", "v1"), "v1.36.0");
    assert_eq!(document.pointer(pointer), Some(&expect), "{pointer}");
}

#[test]
fn schemas_carry_what_clients_rely_on() {
    let schema = "/components/schemas/io.k8s.api.core.v1";
    let meta = "/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1";
    check(
        &format!("{schema}.ConfigMap/x-kubernetes-group-version-kind"),
        json!([{ "group": "", "version": "v1", "kind": "ConfigMap" }]),
    );
    check(&format!("{schema}.ServiceAccount/properties/secrets/x-kubernetes-patch-strategy"), json!("merge"));
    check(&format!("{schema}.ServiceAccount/properties/secrets/x-kubernetes-patch-merge-key"), json!("name"));
    check(&format!("{schema}.ServiceAccount/properties/secrets/x-kubernetes-list-map-keys"), json!(["name"]));
    check(&format!("{meta}.ObjectMeta/properties/finalizers/x-kubernetes-list-type"), json!("set"));
    check(&format!("{meta}.OwnerReference/x-kubernetes-map-type"), json!("atomic"));
    check(
        &format!("{schema}.ConfigMap/properties/metadata/allOf"),
        json!([{ "$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" }]),
    );
    check(&format!("{schema}.ConfigMapList/required"), json!(["items"]));
    check("/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity/oneOf/1/type", json!("number"));
}

#[test]
fn metadata_is_not_required_of_objects() {
    let document = v3(&group("", "v1"), "v1.36.0");
    let config_map = &document["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"];
    assert!(config_map["description"].is_string() && config_map.get("required").is_none(), "{config_map}");
}

#[test]
fn writes_tell_their_query_parameters() {
    let document = v3(&group("", "v1"), "v1.36.0");
    for (path, method, wanted) in [
        (
            "/api/v1/namespaces/{namespace}/configmaps/{name}",
            "patch",
            vec!["dryRun", "fieldManager", "fieldValidation", "force"],
        ),
        ("/api/v1/namespaces/{namespace}/configmaps/{name}", "put", vec!["dryRun", "fieldManager", "fieldValidation"]),
        ("/api/v1/namespaces/{namespace}/configmaps", "post", vec!["dryRun", "fieldManager", "fieldValidation"]),
        ("/api/v1/namespaces/{name}", "patch", vec!["dryRun", "fieldValidation"]),
        ("/api/v1/configmaps", "get", vec!["labelSelector", "fieldSelector", "limit", "continue", "watch"]),
    ] {
        let operation = &document["paths"][path][method];
        let names: BTreeSet<&str> =
            operation["parameters"].as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        for name in wanted {
            assert!(names.contains(name), "{method} {path} lacks {name}: {names:?}");
        }
        assert!(operation["x-kubernetes-group-version-kind"]["kind"].is_string());
    }
}

#[test]
fn operations_are_named_as_generated_clients_expect() {
    let document = v2(&served(), "v1.36.0");
    for (path, method, id) in [
        ("/api/v1/configmaps", "get", "listCoreV1ConfigMapForAllNamespaces"),
        ("/api/v1/namespaces/{namespace}/configmaps", "delete", "deleteCoreV1CollectionNamespacedConfigMap"),
        ("/api/v1/nodes/{name}/status", "patch", "patchCoreV1NodeStatus"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}", "get", "readRbacAuthorizationV1ClusterRole"),
    ] {
        assert_eq!(document["paths"][path][method]["operationId"], id);
    }
}

fn collect_references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|inner| collect_references(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| collect_references(inner, found)),
        _ => {}
    }
}

/// All kinds that have a schema, also those not served yet.
fn everything() -> Vec<Resource> {
    let verbs = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let resource = |row: &schemas::Row| Resource {
        group: row.group,
        version: row.version,
        kind: row.kind,
        plural: row.kind,
        namespaced: true,
        verbs,
        subresources: Vec::new(),
    };
    schemas::ROWS.iter().map(resource).collect()
}

#[test]
fn every_reference_leads_somewhere() {
    for document in [v3(&everything(), "v1.36.0"), v2(&everything(), "v1.36.0"), v2(&served(), "v1.36.0")] {
        let mut found = BTreeSet::new();
        collect_references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }
}

/// A field that the type crate has and the facts lack (or the reverse) would be a field that validation refuses.
#[test]
fn facts_and_schemas_agree_on_fields() {
    let document = v3(&everything(), "v1.36.0");
    let schemas = document["components"]["schemas"].as_object().expect("an object");
    let mut compared = 0;
    for (name, schema) in schemas.iter().filter(|(name, _)| !name.ends_with("List")) {
        let Some(ty) = api::facts::ty(name) else { continue };
        let known: BTreeSet<&str> = ty.fields.iter().map(|field| field.name).collect();
        let told: BTreeSet<&str> =
            schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        assert_eq!(known, told, "{name}");
        compared += 1;
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn documents_are_reproducible_and_the_index_names_them() {
    let render = || serde_json::to_string(&v3(&group("", "v1"), "v1.36.0")).expect("JSON");
    assert_eq!(render(), render());
    let index = index([(path("", "v1"), "ABC".to_owned()), (path("apps", "v1"), "DEF".to_owned())]);
    assert_eq!(index["paths"]["api/v1"]["serverRelativeURL"], "/openapi/v3/api/v1?hash=ABC");
    assert_eq!(index["paths"]["apis/apps/v1"]["serverRelativeURL"], "/openapi/v3/apis/apps/v1?hash=DEF");
}
