//! Evictions over memory, through the in-process client: what budgets let go, and what they say otherwise.

use api::kinds::{pod::POD, pod_disruption_budget::POD_DISRUPTION_BUDGET as BUDGET};
use apiserver::{ApiError, Client, client::PatchType};
use serde_json::{Value, json};

use crate::cluster::cluster;

const VIOLATION: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// A pod of `app: a` on a node, in a phase, ready or not.
async fn pod(client: &Client, name: &str, phase: &str, ready: &str) {
    let spec = json!({ "nodeName": "node", "containers": [{ "name": "a", "image": "a:1" }] });
    let pod = json!({ "metadata": { "name": name, "labels": { "app": "a" } }, "spec": spec });
    client.create(&POD, "default", &pod).await.unwrap();
    let status = json!({ "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] } });
    client.patch(&POD, "default", name, "status", &status, PatchType::MergePatch).await.unwrap();
}

/// A budget of these pods whose controller has worked it out so.
async fn budget(client: &Client, name: &str, spec: Value, status: Value) {
    let mut budget = json!({ "metadata": { "name": name }, "spec": spec });
    budget["spec"]["selector"] = json!({ "matchLabels": { "app": "a" } });
    client.create(&BUDGET, "default", &budget).await.unwrap();
    client
        .patch(&BUDGET, "default", name, "status", &json!({ "status": status }), PatchType::MergePatch)
        .await
        .unwrap();
}

fn worked_out(allowed: i64, current: i64, desired: i64) -> Value {
    json!({
        "observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": current, "desiredHealthy": desired,
    })
}

async fn evict(client: &Client, name: &str, options: Value) -> Result<Value, ApiError> {
    let eviction = json!({ "metadata": { "name": name }, "deleteOptions": options });
    client.create_part(&POD, "default", name, "eviction", &eviction).await
}

async fn is_leaving(client: &Client, name: &str) -> bool {
    let pod = client.get(&POD, "default", name).await;
    pod.map_or(true, |pod| pod["metadata"]["deletionTimestamp"].is_string())
}

fn refused(error: &ApiError, why: &str, retry_after: Option<u32>) {
    let status = error.to_json();
    assert_eq!((&status["code"], &status["reason"]), (&json!(429), &json!("TooManyRequests")), "{status}");
    assert_eq!(status["message"], VIOLATION);
    assert_eq!(status["details"]["causes"], json!([{ "reason": "DisruptionBudget", "message": why }]));
    assert_eq!(error.retry_after, retry_after);
}

#[tokio::test]
async fn a_pod_without_a_budget_goes_and_says_why() {
    let (_server, admin) = cluster().await;
    pod(&admin, "p", "Running", "True").await;
    evict(&admin, "p", json!({ "dryRun": ["All"] })).await.unwrap();
    assert!(!is_leaving(&admin, "p").await);
    let other = evict(&admin, "p", json!({ "preconditions": { "uid": "other" } })).await.unwrap_err();
    assert_eq!(other.code(), 409);
    assert_eq!(evict(&admin, "p", json!({})).await.unwrap()["status"], "Success");
    let left = admin.get(&POD, "default", "p").await.unwrap();
    let said = left["status"]["conditions"].as_array().unwrap();
    assert!(said.iter().any(|one| one["type"] == "DisruptionTarget" && one["reason"] == "EvictionByEvictionAPI"));
    assert_eq!(evict(&admin, "gone", json!({})).await.unwrap_err().code(), 404);
}

#[tokio::test]
async fn an_eviction_is_taken_from_the_budget_at_once() {
    let (_server, admin) = cluster().await;
    for name in ["p", "q"] {
        pod(&admin, name, "Running", "True").await;
    }
    budget(&admin, "b", json!({ "minAvailable": 1 }), worked_out(1, 2, 1)).await;
    evict(&admin, "p", json!({ "dryRun": ["All"] })).await.unwrap();
    evict(&admin, "p", json!({})).await.unwrap();
    let after = admin.get(&BUDGET, "default", "b").await.unwrap();
    assert_eq!(after["status"]["disruptionsAllowed"], 0);
    assert!(after["status"]["disruptedPods"]["p"].is_string(), "{after}");
    assert_eq!(after["status"]["conditions"][0]["reason"], "InsufficientPods");
    let error = evict(&admin, "q", json!({})).await.unwrap_err();
    refused(&error, "The disruption budget b does not allow evicting pods currently", None);
    assert!(!is_leaving(&admin, "q").await);
    evict(&admin, "p", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_budget_that_is_spent_unknown_or_not_alone_refuses() {
    let (_server, admin) = cluster().await;
    pod(&admin, "p", "Running", "True").await;
    budget(&admin, "b", json!({ "minAvailable": 1 }), worked_out(0, 1, 1)).await;
    let error = evict(&admin, "p", json!({})).await.unwrap_err();
    refused(&error, "The disruption budget b needs 1 healthy pods and has 1 currently", None);
    let more = json!({ "spec": { "minAvailable": 2 } });
    admin.patch(&BUDGET, "default", "b", "", &more, PatchType::MergePatch).await.unwrap();
    let error = evict(&admin, "p", json!({})).await.unwrap_err();
    refused(&error, "The disruption budget b is still being processed by the server.", Some(10));
    budget(&admin, "c", json!({}), json!({})).await;
    let error = evict(&admin, "p", json!({})).await.unwrap_err();
    let words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    assert_eq!((error.code(), error.to_string().as_str()), (500, words));
    assert!(!is_leaving(&admin, "p").await);
}

#[tokio::test]
async fn pods_that_serve_nobody_go_without_being_counted() {
    let check = async |phase: &str, ready: &str, spec: Value, status: Value, expect: bool| {
        let (_server, admin) = cluster().await;
        pod(&admin, "p", phase, ready).await;
        budget(&admin, "b", spec, status.clone()).await;
        assert_eq!(evict(&admin, "p", json!({})).await.is_ok(), expect, "{phase} {ready} {status}");
        let after = admin.get(&BUDGET, "default", "b").await.unwrap();
        assert_eq!(after["status"]["disruptedPods"], Value::Null);
    };
    let (none, always) = (|| worked_out(0, 0, 1), json!({ "unhealthyPodEvictionPolicy": "AlwaysAllow" }));
    for phase in ["Pending", "Succeeded", "Failed"] {
        check(phase, "False", json!({}), none(), true).await;
    }
    check("Running", "True", json!({}), none(), false).await;
    check("Running", "True", always.clone(), none(), false).await;
    check("Running", "False", json!({}), none(), false).await;
    check("Running", "False", always, none(), true).await;
    check("Running", "False", json!({}), worked_out(0, 1, 1), true).await;
    check("Running", "False", json!({}), worked_out(0, 0, 0), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evictions_at_the_same_time_never_take_more_than_there_is() {
    const PODS: usize = 12;
    const ALLOWED: usize = 3;
    let (_server, admin) = cluster().await;
    let names: Vec<String> = (0..PODS).map(|at| format!("p{at}")).collect();
    for name in &names {
        pod(&admin, name, "Running", "True").await;
    }
    budget(&admin, "b", json!({ "maxUnavailable": 3 }), worked_out(3, 12, 9)).await;
    let asked: Vec<_> = names
        .iter()
        .map(|name| {
            let (admin, name) = (admin.clone(), name.clone());
            tokio::spawn(async move { evict(&admin, &name, json!({})).await.is_ok() })
        })
        .collect();
    let mut granted = 0;
    for answer in asked {
        granted += usize::from(answer.await.unwrap());
    }
    let mut leaving = 0;
    for name in &names {
        leaving += usize::from(is_leaving(&admin, name).await);
    }
    assert_eq!((granted, leaving), (ALLOWED, ALLOWED));
    let after = admin.get(&BUDGET, "default", "b").await.unwrap();
    assert_eq!(after["status"]["disruptionsAllowed"], 0);
    assert_eq!(after["status"]["disruptedPods"].as_object().unwrap().len(), ALLOWED);
}
