//! What each row of a running node says of facts that are well but for one.

use serde_json::{Value, json};

use super::*;

/// A leader of three nodes that are well.
fn well() -> Value {
    let member = |number: u8, lag: Value| {
        json!({
            "name": format!("node-{number}"), "id": format!("{number:016x}"), "role": "voter", "heard": true, "lag": lag,
            "addresses": [], "podRanges": [],
        })
    };
    let peer = |number: u8| {
        json!({
            "name": format!("node-{number}"), "controlAddress": null, "podsAddress": null,
            "control": { "Ok": 400 }, "pods": { "Ok": 300 }, "aheadMillis": 2, "applied": 9,
        })
    };
    let dataplane = json!({
        "pid": 7, "uptimeSeconds": 60, "fed": true, "peers": 2, "peersReached": 2, "services": 2, "elements": 4, "troubles": [],
    });
    let machine = json!({
        "diskFree": 50_u64 << 30, "diskTotal": 100_u64 << 30, "memoryFree": 8_u64 << 30, "memoryTotal": 16_u64 << 30,
        "held": 40 << 20, "files": 90, "filesLimit": 20_000,
    });
    json!({
        "status": {
            "name": "node-1", "id": format!("{:016x}", 1), "whyNotReady": null, "cluster": "c", "leader": "node-1", "term": 1,
            "applied": 9, "members": [member(1, Value::Null), member(2, json!(0)), member(3, json!(3))],
            "dataplane": { "up": dataplane }, "actors": [],
        },
        "quorumRead": { "Ok": 1 }, "peers": [peer(2), peer(3)], "now": 1_000_000_000,
        "certificates": [["this node's", 1_300_000_000]], "dns": { "Ok": 300 }, "containerd": { "Ok": "containerd 1.6.20" },
        "syncs": { "Ok": [1700, 1800, 26_000] }, "machine": machine,
    })
}

/// The rows that are not well after a change at this path.
fn check(path: &str, value: Value, expect: &[(&str, State)]) {
    let mut facts = well();
    if !path.is_empty() {
        *facts.pointer_mut(path).expect("the path is there") = value;
    }
    let facts: Facts = serde_json::from_value(facts).expect("facts");
    let found = running(&facts);
    for Finding { name, verdict } in &found {
        assert_eq!(verdict.remedy.is_empty(), verdict.state == State::Ok, "{name}: {verdict:?}");
        assert!(!verdict.figure.is_empty(), "{name}");
    }
    let found: Vec<_> =
        found.iter().map(|one| (one.name, one.verdict.state)).filter(|(_, state)| *state != State::Ok).collect();
    assert_eq!(found, expect, "{path}");
}

#[test]
fn each_trouble_is_found_by_its_row() {
    use State::{Fail, Warn};
    check("", Value::Null, &[]);
    check("/status/whyNotReady", json!("there is no leader"), &[("ready", Fail)]);
    check("/quorumRead", json!({ "Err": "no quorum" }), &[("quorum", Fail)]);
    check("/quorumRead", json!({ "Ok": 2000 }), &[("quorum", Warn)]);
    check("/status/members/1/heard", json!(false), &[("voters", Warn)]);
    check("/status/members/2/lag", json!(60_000), &[("replication", Fail)]);
    check("/peers/1/applied", json!(60_009), &[("replication", Fail)]);
    check("/peers/1/applied", json!(6_009), &[("replication", Warn)]);
    check("/peers/0/control", json!({ "Err": "no answer" }), &[("members", Fail)]);
    check("/peers/0/aheadMillis", json!(-600_000), &[("clock", Fail)]);
    check("/peers/1/aheadMillis", json!(1500), &[("clock", Warn)]);
    check("/certificates/0/1", json!(1_000_086_400), &[("certificates", Warn)]);
    check("/certificates/0/1", json!(999_000_000), &[("certificates", Fail)]);
    check("/status/dataplane", json!({ "down": "nothing answers" }), &[("dataplane", Fail)]);
    check("/status/dataplane/up/fed", json!(false), &[("dataplane", Warn)]);
    check("/status/dataplane/up/troubles", json!(["dns: address in use"]), &[("dataplane", Fail)]);
    check("/peers/1/pods", json!({ "Err": "no answer" }), &[("paths", Fail)]);
    check("/dns", json!({ "Err": "no answer" }), &[("dns", Fail)]);
    check("/containerd", json!({ "Err": "connection refused" }), &[("containerd", Fail)]);
    check("/syncs", json!({ "Ok": [60_000, 80_000, 90_000] }), &[("disk latency", Warn)]);
    check("/syncs", json!({ "Err": "no space left" }), &[("disk latency", Fail)]);
    check("/machine/diskFree", json!(1_u64 << 30), &[("disk space", Fail)]);
    check("/machine/memoryFree", json!(1_u64 << 30), &[("memory", Warn)]);
    check("/machine/files", json!(19_900), &[("open files", Fail)]);
}

#[test]
fn a_node_without_pods_or_vote_has_no_line_for_them() {
    let mut facts = well();
    for absent in ["/status/dataplane", "/dns", "/containerd", "/quorumRead", "/peers/0/pods", "/peers/1/pods"] {
        *facts.pointer_mut(absent).expect("the path is there") = Value::Null;
    }
    let facts: Facts = serde_json::from_value(facts).expect("facts");
    let names: Vec<_> = running(&facts).iter().map(|one| one.name).collect();
    for absent in ["dataplane", "paths", "dns", "containerd", "quorum"] {
        assert!(!names.contains(&absent), "{absent}");
    }
}
