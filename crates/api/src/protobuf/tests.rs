//! Bodies as clients send them, and bodies that no client sends.

use super::*;
use proptest::prelude::*;

/// Field `number` holding bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128 && number < 16, "one byte each is enough here");
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC, &field(1, &meta), &field(2, raw)].concat()
}

fn check(api_version: &str, kind: &str, raw: &[&[u8]], expect: Value) {
    let mut object = decode(&body(api_version, kind, &raw.concat())).expect("decodes");
    let envelope = (object["apiVersion"].take(), object["kind"].take());
    assert_eq!(envelope, (json!(api_version), json!(kind)));
    let members = object.as_object_mut().expect("an object");
    members.retain(|_, value| !value.is_null());
    assert_eq!(object, expect);
}

/// What `kubectl create configmap c33 --from-literal=a=b` of version 1.33 sends.
#[test]
fn a_config_map_from_kubectl_is_read() {
    let sent = b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x1d\n\x13\n\x03c33\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x06\n\x01a\
                 \x12\x01b\x1a\x00\"\x00";
    let expect =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c33" }, "data": { "a": "b" } });
    assert_eq!(decode(sent).expect("decodes"), expect);
}

#[test]
fn shapes_are_read() {
    let entry = |key: &str, value: &[u8]| [field(1, key.as_bytes()), field(2, value)].concat();
    check("v1", "Secret", &[&field(2, &entry("k", b"\x00\xff"))], json!({ "data": { "k": "AP8=" } }));
    check("v1", "Secret", &[&field(2, &field(1, b"k"))], json!({ "data": { "k": "" } }));
    // Immutable, a pointer in Go: false was said.
    check("v1", "Secret", &[&[5 << 3, 0]], json!({ "immutable": false }));
    let quantity = field(1, &entry("cpu", &field(1, b"4")));
    check("v1", "Node", &[&field(3, &quantity)], json!({ "status": { "capacity": { "cpu": "4" } } }));
    // Seconds 1, nanoseconds 500.
    let micro = [1 << 3, 1, 2 << 3, 0xf4, 3];
    check(
        "coordination.k8s.io/v1",
        "Lease",
        &[&field(2, &[field(1, b"me"), field(4, &micro), vec![5 << 3, 7]].concat())],
        json!({ "spec": { "holderIdentity": "me", "renewTime": "1970-01-01T00:00:01.000000Z", "leaseTransitions": 7 } }),
    );
    let rule = [field(1, b"get"), field(1, b"list"), field(2, b"")].concat();
    check(
        "rbac.authorization.k8s.io/v1",
        "Role",
        &[&field(2, &rule)],
        json!({ "rules": [{ "verbs": ["get", "list"], "apiGroups": [""] }] }),
    );
    let user = field(4, &entry("scopes", &[field(1, b"a"), field(1, b"b")].concat()));
    check(
        "authentication.k8s.io/v1",
        "TokenReview",
        &[&field(3, &field(2, &user))],
        json!({ "status": { "user": { "extra": { "scopes": ["a", "b"] } } } }),
    );
}

#[test]
fn embedded_messages_are_flat_in_json() {
    let http = field(1, &field(2, &[field(1, b"/healthz"), field(2, &[1 << 3, 0, 2 << 3, 80])].concat()));
    let container = [field(1, b"c"), field(10, &http)].concat();
    check(
        "v1",
        "Pod",
        &[&field(2, &field(2, &container))],
        json!({ "spec": { "containers": [
            { "name": "c", "livenessProbe": { "httpGet": { "path": "/healthz", "port": 80 } } },
        ] } }),
    );
}

#[test]
fn every_kind_starts_from_an_empty_message() {
    for ty in facts::types() {
        let Some((group, version, kind)) = ty.kind else { continue };
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        assert!(decode(&body(&api_version, kind, b"")).is_ok(), "{api_version} {kind}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let refuse = |body: &[u8], expect: DecodeError| assert_eq!(decode(body), Err(expect));
    refuse(b"{}", DecodeError::NotProtobuf);
    refuse(b"k8s\0\x12\x7f", DecodeError::Malformed);
    refuse(&body("v1", "ConfigMap", b"\x0b"), DecodeError::Malformed);
    refuse(&body("v1", "ConfigMap", b"\x08\x01"), DecodeError::Malformed);
    let unknown = DecodeError::UnknownKind { api_version: "v1".to_owned(), kind: "Nothing".to_owned() };
    refuse(&body("v1", "Nothing", b""), unknown);
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(raw in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = decode(&raw);
        for (api_version, kind) in [("v1", "Pod"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")] {
            let _ = decode(&body(api_version, kind, &raw));
        }
    }
}
