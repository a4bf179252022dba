//! Bodies as clients send them, and bodies that no client sends.

use super::*;
use crate::facts;
use proptest::prelude::*;
use serde_json::json;

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

/// What is written for an object: its message, worked out by hand from the `.proto` files of the API.
fn check_written(object: Value, raw: &[u8]) {
    let (api_version, kind) = (object["apiVersion"].as_str().expect("said"), object["kind"].as_str().expect("said"));
    let written = encode(&object).expect("a known kind");
    assert_eq!(written, [body(api_version, kind, raw), b"\x1a\0\x22\0".to_vec()].concat(), "{object}");
    assert_eq!(decode(&written), Ok(object));
}

#[test]
fn messages_are_written_as_their_definitions_say() {
    check_written(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c33" },
            "data": { "b": "", "a": "b" }, "immutable": false }),
        b"\x0a\x05\x0a\x03c33\x12\x06\x0a\x01a\x12\x01b\x12\x05\x0a\x01b\x12\x00\x20\x00",
    );
    check_written(
        json!({ "apiVersion": "v1", "kind": "Secret", "data": { "k": "AP8=" }, "type": "Opaque" }),
        b"\x12\x07\x0a\x01k\x12\x02\x00\xff\x1a\x06Opaque",
    );
    // 1767323045 s since 1970; -1 in ten bytes.
    check_written(
        json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": -1,
            "metadata": { "creationTimestamp": "2026-01-02T03:04:05Z" } }),
        b"\x0a\x0a\x42\x08\x08\xa5\xeb\xdc\xca\x06\x10\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    );
    // 123456000 ns.
    check_written(
        json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "spec": { "holderIdentity": "me", "renewTime": "2026-01-02T03:04:05.123456Z" } }),
        b"\x12\x11\x0a\x02me\x22\x0b\x08\xa5\xeb\xdc\xca\x06\x10\x80\x94\xef\x3a",
    );
    check_written(
        json!({ "apiVersion": "v1", "kind": "Node", "status": { "capacity": { "cpu": "4" } } }),
        b"\x1a\x0c\x0a\x0a\x0a\x03cpu\x12\x03\x0a\x014",
    );
    check_written(
        json!({ "apiVersion": "v1", "kind": "Service",
            "spec": { "ports": [{ "port": 80, "targetPort": "web" }, { "port": 81, "targetPort": 8080 }] } }),
        b"\x12\x1c\x0a\x0d\x18\x50\x22\x09\x08\x01\x10\x00\x1a\x03web\x0a\x0b\x18\x51\x22\x07\x08\x00\x10\x90\x3f\x1a\x00",
    );
    check_written(
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "status": { "user": { "extra": { "scopes": ["a", "b"] } } } }),
        b"\x1a\x14\x12\x12\x22\x10\x0a\x06scopes\x12\x06\x0a\x01a\x0a\x01b",
    );
    check_written(
        json!({ "apiVersion": "apps/v1", "kind": "ControllerRevision", "data": { "a": [1] }, "revision": 3 }),
        b"\x12\x0b\x0a\x09{\"a\":[1]}\x18\x03",
    );
}

#[test]
fn what_json_flattens_is_embedded() {
    let probe = json!({ "httpGet": { "path": "/", "port": 80 }, "periodSeconds": 9 });
    let volume = json!({ "name": "v", "secret": { "secretName": "s" } });
    check_written(
        json!({ "apiVersion": "v1", "kind": "Pod",
            "spec": { "containers": [{ "name": "c", "livenessProbe": probe }], "volumes": [volume] } }),
        // spec { volumes { name, volumeSource { secret { secretName } } } containers { name, livenessProbe { handler { httpGet {
        // path, port } }, periodSeconds } } }
        &field(
            2,
            &[
                field(1, b"\x0a\x01v\x12\x05\x32\x03\x0a\x01s"),
                field(2, b"\x0a\x01c\x52\x11\x0a\x0d\x12\x0b\x0a\x01/\x12\x06\x08\x00\x10\x50\x1a\x00\x20\x09"),
            ]
            .concat(),
        ),
    );
}

#[test]
fn a_long_message_has_a_long_length() {
    for length in [0, 1, 121, 122, 123, 16_376, 16_377, 16_378, 3 << 20] {
        let object =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "uid": "b".repeat(length) } });
        let mut expect = object.clone();
        if length == 0 {
            expect["metadata"] = json!({ "name": "a" });
        }
        assert_eq!(decode(&encode(&object).expect("known")), Ok(expect), "{length}");
    }
}

#[test]
fn what_was_never_accepted_is_left_out() {
    let odd = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": [], "spec": { "containers": "none", "priority": "high",
        "hostNetwork": 3, "activeDeadlineSeconds": 1.5, "nobody": 1 }, "status": { "startTime": "yesterday" } });
    let empty = json!({ "apiVersion": "v1", "kind": "Pod", "spec": {}, "status": {} });
    assert_eq!(decode(&encode(&odd).expect("known")), Ok(empty));
    assert_eq!(encode(&json!({ "kind": "Nothing" })), None);
}

#[test]
fn lists_and_frames_are_joined_of_messages() {
    let items = [message(facts::of_kind("", "v1", "Secret").expect("known"), &json!({ "type": "a" })), vec![7; 200]];
    let mut all = list("v1", "SecretList", &json!({ "resourceVersion": "9" }), items.iter().map(Vec::len));
    items.iter().for_each(|item| push_item(&mut all, item));
    all.extend_from_slice(TAIL);
    let head = b"k8s\0\x0a\x10\x0a\x02v1\x12\x0aSecretList\x12\xd5\x01\x0a\x03\x12\x019\x12\x03\x1a\x01a\x12\xc8\x01";
    assert_eq!(all, [&head[..], &[7; 200], b"\x1a\0\x22\0"].concat());
    assert_eq!(frame("ADDED", &[b"k8s\0", b"12"]), b"\0\0\0\x11\x0a\x05ADDED\x12\x08\x0a\x06k8s\x0012");
    let partial_object =
        json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": { "name": "a" } });
    let raw = body("meta.k8s.io/v1", "PartialObjectMetadata", b"\x0a\x03\x0a\x01a");
    assert_eq!(encode(&partial_object), Some([&*raw, TAIL].concat()));
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
