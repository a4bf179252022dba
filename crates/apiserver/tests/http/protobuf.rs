//! Answers in protobuf, as client-go asks for them: each says what the answer in JSON says.

use api::protobuf::{self, MEDIA};
use serde_json::{Value, json};

use read::{Frames, fields, listed, object, opened};

use crate::{
    cluster::Cluster,
    wire::{Answer, Ask, BOTH, Connection, Protocol, ask, check},
};

mod read;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What client-go says it reads.
const ACCEPT: &str = "application/vnd.kubernetes.protobuf,application/json";

/// What client-go's metadata client says it reads.
const METADATA: &str =
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

fn reading(line: &str) -> Ask {
    ask(line).with("accept", ACCEPT)
}

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": { "a": "b" } }, "data": { "k": "v" } })
}

async fn told(connection: &mut Connection, ask: Ask, code: u16) -> Value {
    let answer = check(connection, ask, code, "").await;
    assert_eq!(answer.header("content-type"), MEDIA, "{}", answer.text());
    let (api_version, kind, message) = opened(&answer.body);
    // The oldest document says no version, in JSON neither.
    object(if api_version.is_empty() { "v1" } else { &api_version }, &kind, message)
}

async fn json(connection: &mut Connection, line: &str) -> Answer {
    check(connection, ask(line), 200, "{").await
}

#[tokio::test]
async fn every_verb_answers_in_protobuf() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let mut admin = cluster.admin(protocol).await;
        let path = format!("{MAPS}/a{}", protocol.alpn().len());
        let name = path.rsplit('/').next().unwrap().to_owned();
        let sent =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "k": "v" } });
        let body = protobuf::encode(&sent).unwrap();
        let made =
            told(&mut admin, reading(&format!("POST {MAPS}")).with("content-type", MEDIA).bytes(body), 201).await;
        assert_eq!(made, json(&mut admin, &format!("GET {path}")).await.json());
        assert_eq!((&made["kind"], &made["data"]["k"]), (&json!("ConfigMap"), &json!("v")));
        let patch = reading(&format!("PATCH {path}")).with("content-type", "application/merge-patch+json");
        let patched = told(&mut admin, patch.bytes(r#"{"data":{"k":"w"}}"#), 200).await;
        assert_eq!(patched, told(&mut admin, reading(&format!("GET {path}")), 200).await);
        assert_eq!(patched["data"]["k"], "w");
        let put = told(&mut admin, reading(&format!("PUT {path}")).json(&map(&name)), 200).await;
        assert_eq!(put["metadata"]["labels"]["a"], "b");
        let dry = json!({ "metadata": { "name": name }, "data": { "k": "dry" } });
        let dry = told(&mut admin, reading(&format!("PUT {path}?dryRun=All")).json(&dry), 200).await;
        assert_eq!(dry["data"]["k"], "dry");
        assert_eq!(told(&mut admin, reading(&format!("GET {path}")), 200).await, put);
        let named = format!("GET {MAPS}?fieldSelector=metadata.name%3D{name}");
        assert_eq!(listed(&check(&mut admin, reading(&named), 200, "").await.body, "ConfigMap").0, [put]);
        let stale = json!({ "metadata": { "name": name, "resourceVersion": "1" } });
        let refused = told(&mut admin, reading(&format!("PUT {path}")).json(&stale), 409).await;
        assert_eq!(
            (&refused["kind"], &refused["reason"], &refused["code"]),
            (&json!("Status"), &json!("Conflict"), &json!(409))
        );
        let deleted = told(&mut admin, reading(&format!("DELETE {path}")), 200).await;
        assert_eq!((&deleted["status"], &deleted["details"]["kind"]), (&json!("Success"), &json!("configmaps")));
        let absent = told(&mut admin, reading(&format!("GET {path}")), 404).await;
        assert_eq!(absent["message"], format!("configmaps {name:?} not found"));
    }
}

#[tokio::test]
async fn each_kind_of_answer_has_its_type() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    let dry = "/api/v1/namespaces/default/serviceaccounts/a/token?dryRun=All";
    check(
        &mut admin,
        ask("POST /api/v1/namespaces/default/serviceaccounts").json(&json!({ "metadata": { "name": "a" } })),
        201,
        "",
    )
    .await;
    let review = json!({ "spec": { "resourceAttributes": { "verb": "get", "resource": "pods" } } });
    let template =
        json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    let deployment = json!({ "metadata": { "name": "d" }, "spec": { "replicas": 3,
        "selector": { "matchLabels": { "a": "b" } }, "template": template } });
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let post = |path: &str, body: &Value| reading(&format!("POST {path}")).json(body);
    let get = |path: &str| reading(&format!("GET {path}"));
    let rows = [
        (post(dry, &json!({ "spec": {} })), 201, "TokenRequest", "/spec/expirationSeconds", json!(3600)),
        (
            post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review),
            201,
            "SelfSubjectAccessReview",
            "/status/allowed",
            json!(true),
        ),
        (
            post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})),
            201,
            "SelfSubjectReview",
            "/status/userInfo/username",
            json!("admin"),
        ),
        (post(deployments, &deployment), 201, "Deployment", "/spec/strategy/rollingUpdate/maxSurge", json!("25%")),
        (get(&format!("{deployments}/d/scale")), 200, "Scale", "/spec/replicas", json!(3)),
        (
            get(&format!("{deployments}/d/status")),
            200,
            "Deployment",
            "/spec/template/spec/containers/0/name",
            json!("c"),
        ),
        (get("/api"), 200, "APIVersions", "/versions", json!(["v1"])),
        (get("/apis/apps"), 200, "APIGroup", "/preferredVersion/version", json!("v1")),
        (get("/apis/apps/v1"), 200, "APIResourceList", "/groupVersion", json!("apps/v1")),
        (get("/apis"), 200, "APIGroupList", "/groups/0/versions/0/version", json!("v1")),
        (get("/apis/apps/v1/nothings"), 404, "Status", "/reason", json!("NotFound")),
        (
            post(deployments, &json!({ "metadata": { "name": "e" } })),
            422,
            "Status",
            "/details/causes/0/field",
            json!("spec.selector"),
        ),
        (get(&format!("{MAPS}?limit=x")), 400, "Status", "/status", json!("Failure")),
        (get(&format!("{MAPS}?watch=1&resourceVersion=x")), 400, "Status", "/status", json!("Failure")),
    ];
    for (request, code, kind, pointer, expect) in rows {
        let answer = told(&mut admin, request, code).await;
        assert_eq!((&answer["kind"], answer.pointer(pointer)), (&json!(kind), Some(&expect)), "{answer}");
    }
    let plain = check(&mut admin, get("/version"), 200, "\"major\":\"1\"").await;
    assert_eq!(plain.header("content-type"), "application/json");
    let table =
        "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json;as=Table;g=meta.k8s.io;v=v1";
    check(&mut admin, ask(&format!("GET {MAPS}")).with("accept", table), 200, "\"kind\":\"Table\"").await;
    let yaml = ask(&format!("GET {MAPS}?watch=1")).with("accept", "application/yaml");
    check(&mut admin, yaml, 406, "application/vnd.kubernetes.protobuf;stream=watch").await;
}

#[tokio::test]
async fn a_list_is_joined_of_its_items() {
    let cluster = Cluster::new().await;
    let mut admin = cluster.admin(Protocol::H2).await;
    for (number, size) in [(1, 1), (2, 200 << 10), (3, 1), (4, 200 << 10), (5, 1)] {
        let large = json!({ "metadata": { "name": format!("m{number}") }, "data": { "k": "v".repeat(size) } });
        check(&mut admin, ask(&format!("POST {MAPS}")).json(&large), 201, "").await;
    }
    for query in ["", "?limit=1", "?limit=3", "?labelSelector=none", "?fieldSelector=metadata.name%3Dm2"] {
        let wanted = json(&mut admin, &format!("GET {MAPS}{query}")).await.json();
        let zipped = reading(&format!("GET {MAPS}{query}")).with("accept-encoding", "gzip");
        let zipped = check(&mut admin, zipped, 200, "").await;
        let answer = check(&mut admin, reading(&format!("GET {MAPS}{query}")), 200, "").await;
        assert_eq!(answer.header("content-type"), MEDIA);
        let (items, metadata) = listed(&answer.body, "ConfigMap");
        assert_eq!((&items, &metadata), (wanted["items"].as_array().unwrap(), &wanted["metadata"]), "{query}");
        assert_eq!(zipped.header("content-encoding") == "gzip", answer.body.len() >= 128 << 10, "{query}");
        let partial =
            ask(&format!("GET {MAPS}{query}")).with("accept", &METADATA.replace("Metadata;", "MetadataList;"));
        let answer = check(&mut admin, partial, 200, "").await;
        assert_eq!(opened(&answer.body).0, "meta.k8s.io/v1");
        let raw = opened(&answer.body).2;
        let names =
            fields(raw).into_iter().filter(|(number, _)| *number == 2).map(|(_, item)| object("v1", "ConfigMap", item));
        let expect =
            items.iter().map(|item| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": item["metadata"] }));
        assert_eq!(names.collect::<Vec<_>>(), expect.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn every_event_of_a_watch_is_a_frame() {
    let cluster = Cluster::new().await;
    for protocol in BOTH {
        let mut admin = cluster.admin(Protocol::H2).await;
        let (mut watcher, mut other) = (cluster.admin(protocol).await, cluster.admin(protocol).await);
        let name = format!("a{}", protocol.alpn().len());
        let start = json(&mut admin, &format!("GET {MAPS}")).await.json();
        let from = format!("resourceVersion={}", start["metadata"]["resourceVersion"].as_str().unwrap());
        let mut frames = Frames::open(&mut watcher, &from, ACCEPT).await;
        let mut metadata = Frames::open(&mut other, &from, METADATA).await;
        let made = check(&mut admin, ask(&format!("POST {MAPS}")).json(&map(&name)), 201, "").await.json();
        assert_eq!(frames.event().await, ("ADDED".to_owned(), made.clone()));
        let (kind, partial) = metadata.next().await.unwrap();
        let (api_version, object_kind, raw) = opened(&partial);
        assert_eq!((&*kind, &*api_version, &*object_kind), ("ADDED", "meta.k8s.io/v1", "PartialObjectMetadata"));
        assert_eq!(object("v1", "ConfigMap", raw)["metadata"], made["metadata"]);
        let patch = ask(&format!("PATCH {MAPS}/{name}")).with("content-type", "application/merge-patch+json");
        let patched = check(&mut admin, patch.bytes(r#"{"data":null}"#), 200, "").await.json();
        assert_eq!(frames.event().await, ("MODIFIED".to_owned(), patched));
        check(&mut admin, ask(&format!("DELETE {MAPS}/{name}")), 200, "").await;
        let (kind, gone) = frames.event().await;
        assert_eq!((&*kind, &gone["metadata"]["name"]), ("DELETED", &json!(name)));
        assert_ne!(gone["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    }
}

#[tokio::test]
async fn bookmarks_and_errors_are_frames_too() {
    let cluster = Cluster::new().await;
    let mut watcher = cluster.admin(Protocol::H2).await;
    let parameters =
        "timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut frames = Frames::open(&mut watcher, parameters, ACCEPT).await;
    let mut events = Vec::new();
    while let Some((kind, object)) = frames.next().await {
        events.push((kind, protobuf::decode(&object).unwrap()));
    }
    let [.., (_, initial), (kind, last)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(initial["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!((&**kind, &last["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    assert!(last["metadata"]["resourceVersion"].is_string());
    check(&mut watcher, ask(&format!("POST {MAPS}")).json(&map("seen")), 201, "").await;
    let mut frames = Frames::open(&mut watcher, "resourceVersion=1", ACCEPT).await;
    assert_eq!(frames.event().await.0, "ADDED", "the window reaches back to the start");
    cluster.storage.memory.disconnect_all();
    let last = loop {
        let (kind, object) = frames.event().await;
        if kind == "ERROR" {
            break object;
        }
    };
    assert_eq!((&last["kind"], &last["code"]), (&json!("Status"), &json!(503)));
    assert!(frames.next().await.is_none());
}
