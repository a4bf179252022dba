//! Quotas and ranges over memory, through the in-process client.

use api::kinds::{
    config_map::CONFIG_MAP, limit_range::LIMIT_RANGE, pod::POD, resource_quota::RESOURCE_QUOTA, service::SERVICE,
};
use apiserver::Client;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cluster::cluster;

/// A quota whose controller has counted: nothing yet.
async fn limit(admin: &Client, hard: Value) {
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": hard } });
    let mut quota = admin.create(&RESOURCE_QUOTA, "default", &quota).await.unwrap();
    let none = hard.as_object().unwrap().keys().map(|name| (name.clone(), json!("0"))).collect();
    quota["status"] = json!({ "hard": hard, "used": Value::Object(none) });
    admin.update(&RESOURCE_QUOTA, "status", &quota).await.unwrap();
}

async fn used(admin: &Client) -> Value {
    admin.get(&RESOURCE_QUOTA, "default", "q").await.unwrap()["status"]["used"].clone()
}

fn named(name: &str) -> Value {
    json!({ "metadata": { "name": name } })
}

#[tokio::test]
async fn no_number_of_clients_at_once_gets_past_a_quota() {
    let (_server, admin) = cluster().await;
    limit(&admin, json!({ "configmaps": "10" })).await;
    let objects: Vec<Value> = (0..40).map(|number| named(&format!("c{number}"))).collect();
    let made = join_all(objects.iter().map(|object| admin.create(&CONFIG_MAP, "default", object))).await;
    let (fine, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!((fine.len(), used(&admin).await), (10, json!({ "configmaps": "10" })));
    for error in refused.into_iter().map(Result::unwrap_err) {
        let words = "exceeded quota: q, requested: configmaps=1, used: configmaps=10, limited: configmaps=10";
        assert!(error.code() == 403 && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_quota_that_is_not_counted_yet_refuses() {
    let (_server, admin) = cluster().await;
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "configmaps": "1" } } });
    admin.create(&RESOURCE_QUOTA, "default", &quota).await.unwrap();
    let error = admin.create(&CONFIG_MAP, "default", &named("c")).await.unwrap_err();
    let words = "configmaps \"c\" is forbidden: status unknown for quota: q, resources: configmaps";
    assert_eq!((error.code(), error.to_string().as_str()), (403, words));
}

#[tokio::test]
async fn a_service_that_opens_ports_is_counted_anew() {
    let (_server, admin) = cluster().await;
    limit(&admin, json!({ "services": "2", "services.nodeports": "0" })).await;
    let service = json!({ "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 80 }] } });
    let mut made = admin.create(&SERVICE, "default", &service).await.unwrap();
    assert_eq!(used(&admin).await, json!({ "services": "1", "services.nodeports": "0" }));
    made["spec"]["type"] = "NodePort".into();
    let error = admin.update(&SERVICE, "", &made).await.unwrap_err();
    assert!(error.to_string().contains("exceeded quota: q, requested: services.nodeports=1"), "{error}");
}

#[tokio::test]
async fn a_range_fills_in_and_refuses() {
    let (_server, admin) = cluster().await;
    let item = json!({ "type": "Container", "max": { "cpu": "1" }, "defaultRequest": { "cpu": "100m" } });
    let range = json!({ "metadata": { "name": "r" }, "spec": { "limits": [item] } });
    let range = admin.create(&LIMIT_RANGE, "default", &range).await.unwrap();
    assert_eq!(range["spec"]["limits"][0]["default"], json!({ "cpu": "1" }));
    let pod = |resources: Value| json!({ "metadata": { "name": "p" }, "spec": { "containers": [{ "name": "c", "image": "a:1", "resources": resources }] } });
    let error = admin.create(&POD, "default", &pod(json!({ "limits": { "cpu": "2" } }))).await.unwrap_err();
    let words = "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 2";
    assert_eq!((error.code(), error.to_string().as_str()), (403, words));
    let made = admin.create(&POD, "default", &pod(json!({}))).await.unwrap();
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(*resources, json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "100m" } }));
    assert_eq!(made["status"]["qosClass"], "Burstable");
}
