//! The defaults grant what they should, and repair themselves.

use std::collections::HashSet;

use api::meta;
use serde_json::{Value, json};

use super::*;
use crate::{Authorizer, RequestInfo, User, rbac::RbacIndex, user::AUTHENTICATED};

fn find<'a>(objects: &'a [Value], kind: &str, namespace: &str, name: &str) -> Option<&'a Value> {
    objects
        .iter()
        .find(|object| meta::kind(object) == kind && meta::namespace(object) == namespace && meta::name(object) == name)
}

fn check(user: &User, method: &str, path: &str, expect: bool) {
    let mut index = RbacIndex::new();
    for object in desired() {
        index.put(&object);
    }
    index.put(&json!({ "kind": "RoleBinding", "metadata": { "name": "b", "namespace": "a" },
        "roleRef": { "kind": "ClusterRole", "name": "admin" }, "subjects": [{ "kind": "User", "name": "ann" }] }));
    let info = RequestInfo::parse(method, path, &[]);
    assert_eq!(index.authorize(&info.attributes(user)).is_allowed(), expect, "{} {method} {path}", user.name);
}

#[test]
fn default_roles_grant_what_they_should() {
    let (ann, anybody) = (User::new("ann", &[AUTHENTICATED]), User::new("x", &[AUTHENTICATED]));
    check(&anybody, "GET", "/apis/apps/v1", true);
    check(&anybody, "GET", "/openapi/v3", true);
    check(&anybody, "GET", "/metrics", false);
    check(&anybody, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", true);
    check(&anybody, "GET", "/api/v1/namespaces", false);
    check(&User::anonymous(), "GET", "/version", true);
    check(&User::anonymous(), "GET", "/api", false);
    check(&ann, "DELETE", "/api/v1/namespaces/a/secrets/s", true);
    check(&ann, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles", true);
    check(&ann, "GET", "/api/v1/namespaces/b/secrets/s", false);
    check(&ann, "GET", "/api/v1/nodes", false);
    let deployments = User::service_account("kube-system", "deployment-controller", "");
    check(&deployments, "POST", "/apis/apps/v1/namespaces/a/replicasets", true);
    check(&deployments, "POST", "/api/v1/namespaces/a/secrets", false);
}

#[test]
fn names_are_unique_and_objects_valid() {
    let (objects, mut seen) = (desired(), HashSet::new());
    for object in &objects {
        let name = (meta::kind(object), meta::namespace(object), meta::name(object));
        assert!(seen.insert(name), "{name:?}");
        let kind = api::kinds::by_kind("rbac.authorization.k8s.io", "v1", name.0).expect("a kind we serve");
        let mut errors = api::field::Errors::new();
        (kind.hooks.validate)(object, &mut errors);
        assert!(errors.is_empty(), "{name:?}: {errors}");
    }
}

#[test]
fn what_is_missing_comes_back_and_what_was_added_stays() {
    let objects = desired();
    assert_eq!(missing(|kind, namespace, name| find(&objects, kind, namespace, name)), []);
    assert_eq!(missing(|_, _, _| None).len(), objects.len());
    let change = |edit: &dyn Fn(&mut Value)| {
        let mut objects = objects.clone();
        let place = objects.iter_mut().find(|object| meta::name(object) == "system:basic-user").unwrap();
        edit(place);
        missing(|kind, namespace, name| find(&objects, kind, namespace, name))
    };
    let added = json!({ "verbs": ["get"], "nonResourceURLs": ["/x"] });
    assert_eq!(change(&|role| role["rules"].as_array_mut().unwrap().push(added.clone())), []);
    let [Change::Update(repaired)] = &change(&|role| role["rules"] = json!([added.clone()]))[..] else { panic!() };
    assert_eq!(repaired["rules"].as_array().unwrap().len(), 3);
    assert_eq!(
        change(&|role| {
            role["rules"] = json!([]);
            role["metadata"]["annotations"][AUTOUPDATE] = "false".into();
        }),
        []
    );
}
