//! The table is consistent with itself.

use serde_json::json;

use super::*;

#[test]
fn every_row_has_a_known_group_and_a_place_of_its_own() {
    for row in KINDS {
        let group = group(row.group).expect("group is listed");
        assert!(group.versions.contains(&row.version), "{} {}", row.group, row.version);
        let found = by_resource(row.group, row.version, row.plural).expect("found by resource");
        assert!(std::ptr::eq(found, *row), "{}", row.plural);
        assert!(std::ptr::eq(by_kind(row.group, row.version, row.kind).expect("found by kind"), *row));
        assert!(row.verbs.is_sorted(), "{}", row.plural);
    }
}

#[test]
fn versions_share_a_prefix_only_with_what_they_are_stored_as() {
    for row in KINDS.iter().filter(|row| row.storage.is_some()) {
        let prefix = |row: &Kind| row.storage.as_ref().map(|storage| storage.prefix);
        let stored = row.stored();
        assert_eq!(prefix(row), prefix(stored));
        let sharing = KINDS.iter().filter(|other| prefix(other) == prefix(row));
        assert!(sharing.clone().all(|other| std::ptr::eq(other.stored(), stored)), "{}", row.plural);
    }
}

#[test]
fn human_durations_are_those_of_kubectl() {
    let check = |seconds: i64, expect: &str| assert_eq!(columns::human_duration(seconds * 1000), expect, "{seconds}");
    check(-2, "<invalid>");
    check(-1, "0s");
    check(0, "0s");
    check(119, "119s");
    check(120, "2m");
    check(125, "2m5s");
    check(599, "9m59s");
    check(600, "10m");
    check(179 * 60, "179m");
    check(3 * 3600, "3h");
    check(7 * 3600 + 59 * 60, "7h59m");
    check(8 * 3600 + 60, "8h");
    check(47 * 3600, "47h");
    check(48 * 3600, "2d");
    check(49 * 3600, "2d1h");
    check(8 * 86400, "8d");
    check(729 * 86400, "729d");
    check(730 * 86400, "2y");
    check(731 * 86400, "2y1d");
    check(8 * 365 * 86400, "8y");
}

fn validate(kind: &Kind, mut object: Value, expect: &[&str]) {
    (kind.hooks.default)(&mut object);
    let mut errors = Errors::new();
    (kind.hooks.validate)(&object, &mut errors);
    let got: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(got, expect, "{object}");
}

fn update(kind: &Kind, old: Value, new: Value, expect: &[&str]) {
    let mut errors = Errors::new();
    (kind.hooks.validate_update)(&new, &old, &mut errors);
    let got: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(got, expect, "{new}");
}

#[test]
fn config_maps_have_sound_keys_and_a_size() {
    let kind = &config_map::CONFIG_MAP;
    validate(kind, json!({ "data": { "a": "1" }, "binaryData": { "b": "AA==" } }), &[]);
    validate(
        kind,
        json!({ "data": { "a": "1" }, "binaryData": { "a": "AA==" } }),
        &[
            r#"data[a]: Invalid value: "a": duplicate of key present in binaryData"#,
            r#"binaryData[a]: Invalid value: "a": duplicate of key present in data"#,
        ],
    );
    let big = "x".repeat(1024 * 1024);
    validate(kind, json!({ "data": { "a": big } }), &[]);
    validate(kind, json!({ "data": { "a": big, "b": "x" } }), &["[]: Too long: may not be more than 1048576 bytes"]);
    let frozen = json!({ "immutable": true, "data": { "a": "1" } });
    update(kind, frozen.clone(), frozen.clone(), &[]);
    update(
        kind,
        frozen,
        json!({ "data": { "a": "2" } }),
        &[
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    );
}

#[test]
fn secrets_have_what_their_type_needs() {
    let kind = &secret::SECRET;
    let mut object = json!({ "stringData": { "a": "hi" } });
    (kind.hooks.default)(&mut object);
    assert_eq!(object, json!({ "type": "Opaque", "data": { "a": "aGk=" } }));
    validate(
        kind,
        json!({ "type": "kubernetes.io/tls" }),
        &["data[tls.crt]: Required value", "data[tls.key]: Required value"],
    );
    validate(kind, json!({ "type": "kubernetes.io/basic-auth", "stringData": { "username": "x" } }), &[]);
    validate(kind, json!({ "type": "kubernetes.io/ssh-auth" }), &["data[ssh-privatekey]: Required value"]);
    validate(
        kind,
        json!({ "type": "kubernetes.io/dockerconfigjson", "stringData": { ".dockerconfigjson": "{" } }),
        &[r#"data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input"#],
    );
    let config = |text: &str| json!({ "type": "kubernetes.io/dockercfg", "stringData": { ".dockercfg": text } });
    let told = |why: &str| format!(r#"data[.dockercfg]: Invalid value: "<secret contents redacted>": {why}"#);
    validate(kind, config(r#"{ "anything": 1 }"#), &[]);
    validate(kind, config("null"), &[]);
    let list = told("json: cannot unmarshal array into Go value of type map[string]interface {}");
    validate(kind, config("[]"), &[&list]);
    validate(kind, config("{no}"), &[&told("invalid JSON")]);
    update(kind, json!({ "type": "a" }), json!({ "type": "b" }), &[r#"type: Invalid value: "b": field is immutable"#]);
}

#[test]
fn roles_and_bindings_are_whole() {
    validate(
        &rbac::ROLE,
        json!({ "rules": [{ "nonResourceURLs": ["/x"], "verbs": ["get"] }, {}] }),
        &[
            r#"rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#,
            "rules[1].verbs: Required value: verbs must contain at least one value",
            "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[1].resources: Required value: resource rules must supply at least one resource",
        ],
    );
    let role = json!({ "kind": "ClusterRole", "name": "r" });
    let subjects = json!([{ "kind": "User", "name": "u" }, { "kind": "ServiceAccount", "name": "s" }]);
    validate(&rbac::ROLE_BINDING, json!({ "roleRef": role, "subjects": subjects }), &[]);
    validate(
        &rbac::CLUSTER_ROLE_BINDING,
        json!({ "roleRef": role, "subjects": subjects }),
        &["subjects[1].namespace: Required value"],
    );
    validate(
        &rbac::CLUSTER_ROLE_BINDING,
        json!({ "roleRef": { "kind": "Role", "name": "r" } }),
        &[r#"roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole""#],
    );
    update(
        &rbac::ROLE_BINDING,
        json!({ "roleRef": { "name": "a" } }),
        json!({ "roleRef": { "name": "b" } }),
        &[r#"roleRef: Invalid value: {"name":"b"}: cannot change roleRef"#],
    );
}

#[test]
fn namespaces_start_active_and_held() {
    let (kind, now) = (&namespace::NAMESPACE, Timestamp::UNIX_EPOCH);
    let mut object = json!({ "metadata": { "name": "a" }, "status": { "phase": "Odd" } });
    (kind.hooks.prepare_create)(&mut object, &Ctx { now });
    assert_eq!(
        object,
        json!({ "metadata": { "name": "a", "labels": { "kubernetes.io/metadata.name": "a" } },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } })
    );
    validate(
        kind,
        json!({ "spec": { "finalizers": ["x"] } }),
        &[
            r#"spec.finalizers: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified"#,
        ],
    );
}

#[test]
fn events_are_in_the_namespace_of_what_they_are_about() {
    let event = |about: &str| json!({ "metadata": { "namespace": "a" }, "involvedObject": { "namespace": about } });
    validate(&event::CORE_EVENT, event("a"), &[]);
    validate(
        &event::CORE_EVENT,
        event("b"),
        &[r#"involvedObject.namespace: Invalid value: "b": does not match event.namespace"#],
    );
}

#[test]
fn leases_have_sound_numbers_and_keep_what_a_coordinator_gave_them() {
    let kind = &lease::LEASE;
    validate(
        kind,
        json!({ "spec": { "leaseDurationSeconds": 0, "leaseTransitions": -1, "holderIdentity": "" } }),
        &[
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    let lease = |strategy: &str| json!({ "spec": { "strategy": strategy, "preferredHolder": "a" } });
    validate(kind, lease("OldestEmulationVersion"), &[]);
    validate(kind, lease("example.com/mine"), &[]);
    validate(
        kind,
        lease("Newest"),
        &[r#"spec.strategy.strategy: Unsupported value: "Newest": supported values: "OldestEmulationVersion""#],
    );
    validate(
        kind,
        json!({ "spec": { "preferredHolder": "a" } }),
        &["spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"],
    );
    let now = "2026-01-01T00:10:00Z".parse().expect("a time");
    let mut made = lease("OldestEmulationVersion");
    (kind.hooks.prepare_create)(&mut made, &Ctx { now });
    assert_eq!(made, json!({ "spec": {} }));
    let mut changed = lease("example.com/mine");
    (kind.hooks.prepare_update)(&mut changed, &lease("OldestEmulationVersion"));
    assert_eq!(changed, lease("example.com/mine"));
}

#[test]
fn events_are_the_same_in_both_versions() {
    let served =
        json!({ "apiVersion": "events.k8s.io/v1", "regarding": { "kind": "Pod" }, "note": "n", "deprecatedCount": 2 });
    let mut object = served.clone();
    event::EVENT.to_storage(&mut object);
    assert_eq!(object, json!({ "apiVersion": "v1", "involvedObject": { "kind": "Pod" }, "message": "n", "count": 2 }));
    event::EVENT.from_storage(&mut object);
    assert_eq!(object, served);
}

#[test]
fn cells_are_those_of_kubectl() {
    let check = |kind: &Kind, object: Value, expect: Value| {
        let now = "2026-01-01T00:10:00Z".parse().expect("a time");
        let cells: Vec<Value> = kind.columns.iter().map(|column| (column.cell)(&object, now)).collect();
        assert_eq!(Value::from(cells), expect);
    };
    let meta = json!({ "name": "x", "creationTimestamp": "2026-01-01T00:00:00Z" });
    check(&config_map::CONFIG_MAP, json!({ "metadata": meta, "data": { "a": "" } }), json!(["x", 1, "10m"]));
    check(
        &node::NODE,
        json!({ "metadata": { "name": "x", "labels": { "node-role.kubernetes.io/voter": "" } },
            "spec": { "unschedulable": true },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }], "nodeInfo": { "kubeletVersion": "v1" },
                "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }] } }),
        json!([
            "x",
            "Ready,SchedulingDisabled",
            "voter",
            "<unknown>",
            "v1",
            "10.0.0.1",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>"
        ]),
    );
    check(
        &event::CORE_EVENT,
        json!({ "metadata": { "name": "x" }, "type": "Normal", "reason": "R", "message": " m\n", "count": 3,
            "involvedObject": { "kind": "Pod", "name": "p" }, "lastTimestamp": "2026-01-01T00:09:00Z",
            "source": { "component": "c", "host": "h" } }),
        json!(["60s", "Normal", "R", "pod/p", "", "m", "c, h", "<unknown>", 3, "x"]),
    );
}
