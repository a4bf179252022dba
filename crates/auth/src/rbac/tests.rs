//! Decisions, aggregation and escalation over small clusters.

use serde_json::{Value, json};

use super::*;
use crate::{RequestInfo, User};

fn role(kind: &str, namespace: &str, name: &str, rules: Value) -> Value {
    json!({ "kind": kind, "metadata": { "name": name, "namespace": namespace }, "rules": rules })
}

fn binding(kind: &str, namespace: &str, name: &str, role: (&str, &str), subject: Value) -> Value {
    json!({ "kind": kind, "metadata": { "name": name, "namespace": namespace },
        "roleRef": { "apiGroup": GROUP, "kind": role.0, "name": role.1 }, "subjects": [subject] })
}

fn index(objects: &[Value]) -> RbacIndex {
    let mut index = RbacIndex::new();
    for object in objects {
        assert!(index.put(object));
    }
    index
}

fn reader() -> RbacIndex {
    let rules = json!([
        { "verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"] },
        { "verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"] },
        { "verbs": ["update"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"] },
        { "verbs": ["get"], "nonResourceURLs": ["/metrics", "/debug/*"] },
    ]);
    let account = json!({ "kind": "ServiceAccount", "name": "sa", "namespace": "x" });
    index(&[
        role("ClusterRole", "", "reader", rules),
        binding("ClusterRoleBinding", "", "all", ("ClusterRole", "reader"), json!({ "kind": "User", "name": "ann" })),
        binding("RoleBinding", "a", "some", ("ClusterRole", "reader"), json!({ "kind": "Group", "name": "devs" })),
        binding("RoleBinding", "a", "sa", ("ClusterRole", "reader"), account),
        binding("RoleBinding", "b", "lost", ("Role", "gone"), json!({ "kind": "Group", "name": "devs" })),
    ])
}

fn check(user: &User, method: &str, path: &str, expect: Result<&str, &str>) {
    let info = RequestInfo::parse(method, path, &[]);
    let answer = reader().authorize(&info.attributes(user));
    let got = if answer.is_allowed() { Ok(&*answer.reason) } else { Err(&*answer.reason) };
    assert_eq!(got, expect, "{} {method} {path}", user.name);
}

#[test]
fn decides_by_rules_of_the_users_bindings() {
    let (ann, dev) = (User::new("ann", &[]), User::new("bob", &["devs"]));
    let sa = User::service_account("x", "sa", "");
    let all = r#"RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to User "ann""#;
    check(&ann, "GET", "/api/v1/pods", Ok(all));
    check(&ann, "GET", "/api/v1/namespaces/a/pods/p/log", Ok(all));
    check(&ann, "GET", "/api/v1/namespaces/a/pods/p/status", Err(""));
    check(&ann, "PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", Ok(all));
    check(&ann, "PUT", "/apis/apps/v1/namespaces/a/deployments/d", Err(""));
    check(&ann, "PUT", "/api/v1/namespaces/a/configmaps/mine", Ok(all));
    check(&ann, "PUT", "/api/v1/namespaces/a/configmaps/other", Err(""));
    check(&ann, "GET", "/debug/pprof/heap", Ok(all));
    check(&ann, "GET", "/metrics/x", Err(""));
    let some = r#"RBAC: allowed by RoleBinding "some/a" of ClusterRole "reader" to Group "devs""#;
    check(&dev, "GET", "/api/v1/namespaces/a/pods", Ok(some));
    check(&dev, "GET", "/api/v1/pods", Err(""));
    let gone = r#"RBAC: role.rbac.authorization.k8s.io "gone" not found"#;
    check(&dev, "GET", "/api/v1/namespaces/b/pods", Err(gone));
    let bound = r#"RBAC: allowed by RoleBinding "sa/a" of ClusterRole "reader" to ServiceAccount "sa/x""#;
    check(&sa, "GET", "/api/v1/namespaces/a/pods", Ok(bound));
}

#[test]
fn a_removed_binding_grants_nothing() {
    let mut index = reader();
    index.remove("ClusterRoleBinding", "", "all");
    let (user, info) = (User::new("ann", &[]), RequestInfo::parse("GET", "/api/v1/pods", &[]));
    assert!(!index.authorize(&info.attributes(&user)).is_allowed());
}

#[test]
fn aggregated_roles_follow_their_sources_through_several_levels() {
    let part = |name: &str, label: &str, resource: &str| {
        let mut part =
            role("ClusterRole", "", name, json!([{ "verbs": ["get"], "apiGroups": [""], "resources": [resource] }]));
        part["metadata"]["labels"] = json!({ label: "true" });
        part
    };
    let whole = |name: &str, label: &str| {
        let mut whole = role("ClusterRole", "", name, Value::Null);
        whole["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": { label: "true" } }] });
        whole
    };
    let mut edit = whole("edit", "to-edit");
    edit["metadata"]["labels"] = json!({ "to-admin": "true" });
    let user = json!({ "kind": "User", "name": "ann" });
    let mut index = index(&[
        whole("admin", "to-admin"),
        edit,
        part("x", "to-edit", "pods"),
        binding("ClusterRoleBinding", "", "b", ("ClusterRole", "admin"), user),
    ]);
    let (ann, info) = (User::new("ann", &[]), RequestInfo::parse("GET", "/api/v1/namespaces/a/pods/p", &[]));
    assert!(index.authorize(&info.attributes(&ann)).is_allowed());
    index.remove("ClusterRole", "", "x");
    assert!(!index.authorize(&info.attributes(&ann)).is_allowed());
}

#[test]
fn nobody_grants_what_he_does_not_hold() {
    let index = reader();
    let ann = User::new("ann", &["g"]);
    let write = |rules: Value| check_role(&index, &index, &ann, &role("Role", "a", "r", rules), None);
    assert_eq!(write(json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] }])), Ok(()));
    let refused = write(json!([{ "verbs": ["get", "delete", "watch"], "apiGroups": [""], "resources": ["pods"] }]));
    let message = "user \"ann\" (groups=[\"g\"]) is attempting to grant RBAC permissions not currently held:\n\
        {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"watch\"]}";
    assert_eq!(refused, Err(EscalationError::Forbidden(message.to_owned())));
    let bind = |kind: &str, name: &str| {
        let object = binding("RoleBinding", "a", "b", (kind, name), json!({ "kind": "User", "name": "eve" }));
        check_binding(&index, &index, &ann, &object, None)
    };
    assert_eq!(bind("ClusterRole", "reader"), Ok(()));
    let error = bind("Role", "nope").unwrap_err();
    assert_eq!(error.to_string(), r#"role.rbac.authorization.k8s.io "nope" not found"#);
}

#[test]
fn a_decision_looks_only_at_bindings_of_the_user() {
    let mut index = reader();
    for number in 0..1000 {
        let subject = json!({ "kind": "User", "name": format!("user-{number}") });
        let name = format!("binding-{number}");
        index.put(&binding("ClusterRoleBinding", "", &name, ("ClusterRole", "reader"), subject));
    }
    let (user, mut seen) = (User::new("user-500", &["devs"]), Vec::new());
    index.visit(&user, "a", &mut |grant| {
        seen.push(grant.to_string());
        true
    });
    assert_eq!(
        seen,
        [
            r#"ClusterRoleBinding "binding-500" of ClusterRole "reader" to User "user-500""#,
            r#"RoleBinding "some/a" of ClusterRole "reader" to Group "devs""#,
        ]
    );
}
