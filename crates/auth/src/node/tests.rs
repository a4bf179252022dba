//! What kubelets may read and write, as tables.

use serde_json::{Value, json};

use super::*;
use crate::{RequestInfo, User};

fn index() -> NodeIndex {
    let mut index = NodeIndex::new();
    index.put(&json!({ "metadata": { "name": "p", "namespace": "a" }, "spec": {
        "nodeName": "n1", "serviceAccountName": "sa", "imagePullSecrets": [{ "name": "pull" }],
        "volumes": [{ "name": "v", "secret": { "secretName": "vol" } },
            { "name": "w", "projected": { "sources": [{ "configMap": { "name": "ca" } }] } },
            { "name": "x", "persistentVolumeClaim": { "claimName": "data" } }],
        "containers": [{ "env": [{ "name": "E", "valueFrom": { "secretKeyRef": { "name": "env", "key": "k" } } }],
            "envFrom": [{ "configMapRef": { "name": "from" } }] }] } }));
    for (name, claim) in [("pv", "data"), ("other", "not-used")] {
        let reference = json!({ "namespace": "a", "name": claim });
        index.put_volume(&json!({ "metadata": { "name": name }, "spec": { "claimRef": reference } }));
    }
    index
}

fn check(node: &str, method: &str, path: &str, query: &[(&str, &str)], expect: Option<&str>) {
    let (index, rules) = (index(), static_rules());
    let user = User::node(node);
    let info = RequestInfo::parse(method, path, query);
    let answer = NodeAuthorizer { index: &index, rules: &rules }.authorize(&info.attributes(&user));
    let refused = (!answer.is_allowed()).then_some(answer.reason.as_str());
    assert_eq!(refused, expect, "{node} {method} {path}");
}

#[test]
fn a_kubelet_reads_only_what_its_pods_use() {
    let unrelated = Some("no relationship found between node 'n2' and this object");
    for path in ["secrets/vol", "secrets/pull", "secrets/env", "configmaps/ca", "configmaps/from", "pods/p"] {
        check("n1", "GET", &format!("/api/v1/namespaces/a/{path}"), &[], None);
        check("n2", "GET", &format!("/api/v1/namespaces/a/{path}"), &[], unrelated);
    }
    check("n1", "GET", "/api/v1/namespaces/a/persistentvolumeclaims/data", &[], None);
    check("n1", "GET", "/api/v1/persistentvolumes", &[("fieldSelector", "metadata.name=pv"), ("watch", "1")], None);
    check("n2", "GET", "/api/v1/persistentvolumes/pv", &[], unrelated);
    for path in ["persistentvolumes", "persistentvolumes/other"] {
        let expect = Some("no relationship found between node 'n1' and this object");
        check("n1", "GET", &format!("/api/v1/{path}"), &[], expect);
    }
    let named = Some("can only read namespaced object of this type");
    check("n1", "GET", "/api/v1/secrets", &[], named);
    check("n1", "GET", "/api/v1/namespaces/a/secrets", &[("fieldSelector", "metadata.name=vol"), ("watch", "1")], None);
    check("n1", "PUT", "/api/v1/namespaces/a/secrets/vol", &[], Some("can only read resources of this type"));
    check("n1", "POST", "/api/v1/namespaces/a/serviceaccounts/sa/token", &[], None);
    check("n2", "POST", "/api/v1/namespaces/a/serviceaccounts/sa/token", &[], unrelated);
    check("n1", "GET", "/api/v1/pods", &[("fieldSelector", "spec.nodeName=n1")], None);
    let selector = Some("can only list/watch pods with spec.nodeName field selector");
    check("n1", "GET", "/api/v1/pods", &[], selector);
    check("n1", "GET", "/api/v1/nodes/n1", &[], None);
    check("n1", "GET", "/api/v1/nodes/n2", &[], Some("node 'n1' cannot read 'n2', only its own Node object"));
    check("n1", "PATCH", "/api/v1/nodes/n1/status", &[], None);
    check("n1", "GET", "/api/v1/services", &[], None);
    check("n1", "DELETE", "/api/v1/nodes/n1", &[], Some(""));
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1";
    check("n1", "PUT", lease, &[], None);
    check("n2", "PUT", lease, &[], Some("can only access node lease with the same name as the requesting node"));
}

#[test]
fn a_removed_pod_takes_its_uses_along() {
    let mut index = index();
    assert!(index.uses_volume("n1", "pv"));
    index.remove("a", "p");
    assert!(!index.uses_volume("n1", "pv"));
    assert!(!index.uses("n1", "secrets", "a", "vol"));
}

fn write(group: &str, path: [&str; 4], operation: Operation, new: Value, old: Value, expect: Option<&str>) {
    let [resource, subresource, namespace, name] = path;
    let some = |value| (value != &Value::Null).then_some(value);
    let (new, old) = (some(&new), some(&old));
    let write = Write { operation, group, resource, subresource, namespace, name, new, old };
    let got = restrict(&User::node("n1"), &write, &index()).err().map(|error| error.to_string());
    assert_eq!(got.as_deref(), expect, "{path:?}");
    assert_eq!(restrict(&User::new("ann", &[]), &write, &index()), Ok(()));
}

#[test]
fn a_kubelet_writes_only_its_own_node() {
    let node = |name: &str, labels: Value| json!({ "metadata": { "name": name, "labels": labels } });
    let path = ["nodes", "", "", "n1"];
    let hostname = json!({ "kubernetes.io/hostname": "n1", "example.com/x": "1" });
    write("", path, Operation::Create, node("n1", hostname), Value::Null, None);
    let other = Some(r#"node "n1" is not allowed to modify node "n2""#);
    write("", ["nodes", "", "", "n2"], Operation::Update, node("n2", json!({})), node("n2", json!({})), other);
    let role = json!({ "node-role.kubernetes.io/voter": "" });
    let set = Some(r#"node "n1" is not allowed to set the following labels: node-role.kubernetes.io/voter"#);
    write("", path, Operation::Create, node("n1", role.clone()), Value::Null, set);
    let modify = Some("is not allowed to modify labels: node-role.kubernetes.io/voter");
    write("", path, Operation::Update, node("n1", role.clone()), node("n1", json!({})), modify);
    write("", path, Operation::Update, node("n1", role.clone()), node("n1", role), None);
    let tainted = json!({ "metadata": { "name": "n1" }, "spec": { "taints": [{ "key": "a" }] } });
    let taints = Some(r#"node "n1" is not allowed to modify taints"#);
    write("", path, Operation::Update, node("n1", json!({})), tainted, taints);
}

#[test]
fn a_kubelet_writes_only_for_its_own_pods() {
    let on = |node: &str| json!({ "metadata": { "name": "p" }, "spec": { "nodeName": node } });
    let status = ["pods", "status", "a", "p"];
    write("", status, Operation::Update, on("n1"), on("n1"), None);
    let foreign = Some(r#"node "n1" can only update pod status for pods with spec.nodeName set to itself"#);
    write("", status, Operation::Update, on("n2"), on("n2"), foreign);
    let mirror =
        Some(r#"pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods"#);
    write("", ["pods", "", "a", "p"], Operation::Create, on("n1"), Value::Null, mirror);
    let token = ["serviceaccounts", "token", "a", "sa"];
    let bound = |name: &str| json!({ "spec": { "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": name, "uid": "u" } } });
    write("", token, Operation::Create, bound("p"), Value::Null, None);
    let elsewhere = Some("node requested token bound to a pod scheduled on a different node");
    write("", token, Operation::Create, bound("q"), Value::Null, elsewhere);
    write("", token, Operation::Create, json!({}), Value::Null, Some("node requested token not bound to a pod"));
}
