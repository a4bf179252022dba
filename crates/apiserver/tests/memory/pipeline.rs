//! The pipeline over memory, through the in-process client: what is asked, and what comes of it.

use api::kinds::{
    Kind, config_map::CONFIG_MAP, namespace::NAMESPACE, rbac, secret::SECRET, service_account::SERVICE_ACCOUNT,
};
use apiserver::{
    ApiError, Config,
    client::PatchType,
    verbs::watch::{Change, Feed},
};
use auth::User;
use serde_json::{Value, json};
use store::{MemoryStorage, State};

use crate::cluster::{cluster, cluster_on};

fn config_map(name: &str, data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "app": name } }, "data": data })
}

fn told(result: Result<Value, ApiError>) -> (u16, String) {
    result.map_or_else(
        |error| (error.code(), error.to_string()),
        |value| (200, value["kind"].as_str().unwrap_or_default().to_owned()),
    )
}

#[tokio::test]
async fn refuses_in_the_words_of_kubernetes() {
    let (_server, admin) = cluster().await;
    let create =
        async |kind: &'static Kind, namespace: &str, object: Value| told(admin.create(kind, namespace, &object).await);
    let cases = [
        (create(&CONFIG_MAP, "default", config_map("a", &json!({}))).await, 200, "ConfigMap"),
        (create(&CONFIG_MAP, "default", config_map("a", &json!({}))).await, 409, "configmaps \"a\" already exists"),
        (create(&CONFIG_MAP, "nowhere", config_map("a", &json!({}))).await, 404, "namespaces \"nowhere\" not found"),
        (
            create(&CONFIG_MAP, "default", json!({ "kind": "Secret", "metadata": { "name": "b" } })).await,
            400,
            "Secret in version \"v1\" cannot be handled as a ConfigMap",
        ),
        (
            create(&CONFIG_MAP, "default", json!({ "metadata": {} })).await,
            422,
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        (told(admin.get(&CONFIG_MAP, "default", "none").await), 404, "configmaps \"none\" not found"),
        (
            told(admin.delete(&NAMESPACE, "", "default", &Value::Null).await),
            403,
            "namespaces \"default\" is forbidden: this namespace may not be deleted",
        ),
        (
            told(admin.delete(&CONFIG_MAP, "default", "a", &json!({ "preconditions": { "uid": "x" } })).await),
            409,
            "Operation cannot be fulfilled on configmaps \"a\": Precondition failed: UID in precondition: x",
        ),
    ];
    for ((code, message), expect_code, expect) in cases {
        assert_eq!(code, expect_code, "{message}");
        assert!(message.starts_with(expect), "{message}");
    }
}

#[tokio::test]
async fn a_write_that_says_nothing_new_makes_no_revision() {
    let (_server, admin) = cluster().await;
    let made = admin.create(&CONFIG_MAP, "default", &config_map("a", &json!({ "k": "v" }))).await.unwrap();
    let same = admin.update(&CONFIG_MAP, "", &made).await.unwrap();
    assert_eq!(made, same);
    let patch = json!({ "data": { "k": "w" } });
    let changed = admin.patch(&CONFIG_MAP, "default", "a", "", &patch, PatchType::MergePatch).await.unwrap();
    assert_ne!(changed["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let stale = told(admin.update(&CONFIG_MAP, "", &made).await);
    assert_eq!(stale.0, 409, "{}", stale.1);
}

#[tokio::test]
async fn many_writers_of_one_object_all_get_through() {
    let (_server, admin) = cluster().await;
    admin.create(&CONFIG_MAP, "default", &config_map("a", &json!({}))).await.unwrap();
    let writes = (0..16).map(|i| {
        let admin = admin.clone();
        tokio::spawn(async move {
            let patch = json!({ "data": { format!("k{i}"): "v" } });
            admin.patch(&CONFIG_MAP, "default", "a", "", &patch, PatchType::MergePatch).await
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let all = admin.get(&CONFIG_MAP, "default", "a").await.unwrap();
    assert_eq!(all["data"].as_object().unwrap().len(), 16);
}

#[tokio::test]
async fn finalizers_put_off_the_end() {
    let (_server, admin) = cluster().await;
    let mut object = config_map("a", &json!({}));
    object["metadata"]["finalizers"] = json!(["example.com/wait"]);
    admin.create(&CONFIG_MAP, "default", &object).await.unwrap();
    let dying = admin.delete(&CONFIG_MAP, "default", "a", &Value::Null).await.unwrap();
    assert!(dying["metadata"]["deletionTimestamp"].is_string());
    let free = json!({ "metadata": { "finalizers": null } });
    admin.patch(&CONFIG_MAP, "default", "a", "", &free, PatchType::MergePatch).await.unwrap();
    assert_eq!(told(admin.get(&CONFIG_MAP, "default", "a").await).0, 404);
}

#[tokio::test]
async fn a_page_can_be_had_from_any_server_while_the_window_reaches_back() {
    let storage = MemoryStorage::new(State::default());
    let ((_one, admin), (_two, other)) =
        (cluster_on(&storage, Config::default()).await, cluster_on(&storage, Config::default()).await);
    for i in 0..5 {
        admin.create(&SECRET, "default", &json!({ "metadata": { "name": format!("s{i}") } })).await.unwrap();
    }
    let first = admin.list(&SECRET, "default", &[("limit", "2")]).await.unwrap();
    assert_eq!((first.records.len(), first.remaining), (2, Some(3)));
    admin.create(&SECRET, "default", &json!({ "metadata": { "name": "s9" } })).await.unwrap();
    admin.delete(&SECRET, "default", "s3", &Value::Null).await.unwrap();
    let names = |items: &apiserver::pipeline::Items| {
        items.records.iter().map(|r| apiserver::object::name_of(&r.key).to_owned()).collect::<Vec<_>>()
    };
    let more = [("continue", first.continue_token.as_str())];
    let rest = other.list(&SECRET, "default", &more).await.unwrap();
    assert_eq!((names(&rest), rest.revision), (vec!["s2".into(), "s3".into(), "s4".into()], first.revision));
    let revision = first.revision.0.to_string();
    let exact = [("resourceVersion", revision.as_str()), ("resourceVersionMatch", "Exact")];
    assert_eq!(other.list(&SECRET, "default", &exact).await.unwrap().records.len(), 5);

    for i in 0..=store::WINDOW_EVENTS {
        let op = store::Op::Put {
            key: "busy/x/y".into(),
            body: store::Body { head: i.to_string().into(), tail: "".into() },
            labels: vec![],
            fields: vec![],
            indexes: vec![],
        };
        storage.apply(&store::Command { request: store::RequestId(i as u128), guards: vec![], ops: vec![op] });
    }
    let gone = other.list(&SECRET, "default", &more).await.unwrap_err();
    assert_eq!(gone.code(), 410);
    let inconsistent = gone.continue_token.unwrap();
    let rest = other.list(&SECRET, "default", &[("continue", &inconsistent)]).await.unwrap();
    assert_eq!(names(&rest), ["s2", "s4", "s9"]);
}

async fn next(feed: &mut Feed) -> Vec<String> {
    let changes = feed.next().await.unwrap();
    let name = |record: &store::Record| apiserver::object::name_of(&record.key).to_owned();
    let told = changes.iter().map(|change| match change {
        Change::Added(record) => format!("added {}", name(record)),
        Change::Modified(record) => format!("modified {}", name(record)),
        Change::Deleted(record, _) => format!("deleted {}", name(record)),
        Change::Bookmark { initial, .. } => format!("bookmark {initial}"),
        Change::Failed(error) => format!("failed {error}"),
    });
    told.collect()
}

#[tokio::test]
async fn a_selecting_watch_sees_objects_come_and_go() {
    let (_server, admin) = cluster().await;
    admin.create(&SECRET, "default", &json!({ "metadata": { "name": "a", "labels": { "x": "1" } } })).await.unwrap();
    let parameters = [
        ("labelSelector", "x=1"),
        ("sendInitialEvents", "true"),
        ("resourceVersionMatch", "NotOlderThan"),
        ("allowWatchBookmarks", "true"),
    ];
    let mut feed = admin.watch(&SECRET, "default", &parameters).await.unwrap();
    assert_eq!(next(&mut feed).await, ["added a", "bookmark true"]);
    let relabel = async |value: &str| {
        let patch = json!({ "metadata": { "labels": { "x": value } } });
        admin.patch(&SECRET, "default", "a", "", &patch, PatchType::MergePatch).await.unwrap();
    };
    relabel("2").await;
    assert_eq!(next(&mut feed).await, ["deleted a"]);
    relabel("1").await;
    assert_eq!(next(&mut feed).await, ["added a"]);
    admin.delete(&SECRET, "default", "a", &Value::Null).await.unwrap();
    assert_eq!(next(&mut feed).await, ["deleted a"]);
}

#[tokio::test]
async fn nobody_does_what_no_role_grants() {
    let (server, admin) = cluster().await;
    let follower = tokio::spawn(async move { server.follow().await });
    let account = admin.of(User::service_account("default", "s", ""), "test");
    assert_eq!(told(account.get(&SECRET, "default", "a").await).0, 403);
    let role = json!({ "metadata": { "name": "r" }, "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }] });
    admin.create(&rbac::ROLE, "default", &role).await.unwrap();
    let binding = json!({
        "metadata": { "name": "b" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" },
        "subjects": [{ "kind": "ServiceAccount", "name": "s", "namespace": "default" }],
    });
    admin.create(&rbac::ROLE_BINDING, "default", &binding).await.unwrap();
    let allowed = async {
        while told(account.get(&SECRET, "default", "a").await).0 == 403 {
            tokio::task::yield_now().await;
        }
        told(account.get(&SECRET, "default", "a").await).0
    };
    assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(10), allowed).await.unwrap(), 404);
    assert_eq!(told(account.get(&SERVICE_ACCOUNT, "default", "default").await).0, 403);
    follower.abort();
}

#[tokio::test]
async fn every_writer_owns_what_it_wrote() {
    let (_server, admin) = cluster().await;
    let made = admin.create(&CONFIG_MAP, "default", &config_map("a", &json!({ "k": "v" }))).await.unwrap();
    let entry = &made["metadata"]["managedFields"][0];
    assert_eq!((entry["manager"].as_str(), entry["operation"].as_str()), (Some("test"), Some("Update")));
    assert_eq!(entry["fieldsV1"]["f:data"]["f:k"], json!({}));
}

#[tokio::test]
async fn a_right_is_there_as_soon_as_it_is_granted_whichever_server_is_asked() {
    let storage = MemoryStorage::new(State::default());
    let (one, admin) = cluster_on(&storage, Config::default()).await;
    let (two, _) = cluster_on(&storage, Config::default()).await;
    let followers = [one, two.clone()].map(|server| tokio::spawn(async move { server.follow().await }));
    for number in 0..50 {
        let (name, user) = (format!("r{number}"), format!("u{number}"));
        let asks = two.client().of(User::new(&user, &["system:authenticated"]), "test");
        assert_eq!(asks.get(&CONFIG_MAP, "default", "none").await.unwrap_err().code(), 403);
        let rule = json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"] });
        let role = json!({ "metadata": { "name": name }, "rules": [rule] });
        admin.create(&rbac::ROLE, "default", &role).await.unwrap();
        let of = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name });
        let to = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user });
        let binding = json!({ "metadata": { "name": name }, "roleRef": of, "subjects": [to] });
        admin.create(&rbac::ROLE_BINDING, "default", &binding).await.unwrap();
        assert_eq!(asks.get(&CONFIG_MAP, "default", "none").await.unwrap_err().code(), 404, "{user}");
    }
    followers.into_iter().for_each(|follower| follower.abort());
}
