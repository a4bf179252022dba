//! Workloads over memory, through the in-process client: generations, statuses, and their part `scale`.

use api::kinds::{deployment::DEPLOYMENT, replica_set::REPLICA_SET};
use apiserver::client::PatchType;
use serde_json::{Value, json};

use crate::cluster::cluster;

fn workload(replicas: i64) -> Value {
    let container = json!({ "name": "c", "image": "a:1" });
    let template = json!({ "metadata": { "labels": { "app": "x" } }, "spec": { "containers": [container] } });
    let spec = json!({ "replicas": replicas, "selector": { "matchLabels": { "app": "x" } }, "template": template });
    json!({ "metadata": { "name": "web" }, "spec": spec })
}

#[tokio::test]
async fn a_scale_is_read_and_written_like_an_object() {
    let (_server, admin) = cluster().await;
    for kind in [&DEPLOYMENT, &REPLICA_SET] {
        let made = admin.create(kind, "default", &workload(2)).await.unwrap();
        let change = json!({ "spec": { "replicas": 5 } });
        let scale = admin.patch(kind, "default", "web", "scale", &change, PatchType::MergePatch).await.unwrap();
        assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
        assert_eq!((&scale["spec"], &scale["status"]["selector"]), (&json!({ "replicas": 5 }), &json!("app=x")));
        let stored = admin.get(kind, "default", "web").await.unwrap();
        assert_eq!((&stored["spec"]["replicas"], &stored["metadata"]["generation"]), (&json!(5), &json!(2)));
        assert_eq!(stored["spec"]["template"], made["spec"]["template"]);
        let mut old = scale.clone();
        old["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
        assert_eq!(admin.update(kind, "scale", &old).await.unwrap_err().code(), 409);
        let mut next = scale.clone();
        next["spec"]["replicas"] = 0.into();
        assert_eq!(admin.update(kind, "scale", &next).await.unwrap()["spec"], json!({}));
        let negative = json!({ "spec": { "replicas": -1 } });
        let error = admin.patch(kind, "default", "web", "scale", &negative, PatchType::MergePatch).await.unwrap_err();
        let words = "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or \
                     equal to 0";
        assert_eq!((error.code(), error.to_string().as_str()), (422, words));
    }
}

#[tokio::test]
async fn a_status_is_no_new_generation_and_carries_annotations() {
    let (_server, admin) = cluster().await;
    let mut object = admin.create(&DEPLOYMENT, "default", &workload(2)).await.unwrap();
    object["spec"]["replicas"] = 9.into();
    object["status"] = json!({ "observedGeneration": 1, "replicas": 2 });
    object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
    object["metadata"]["labels"]["a"] = "b".into();
    let stored = admin.update(&DEPLOYMENT, "status", &object).await.unwrap();
    assert_eq!((&stored["spec"]["replicas"], &stored["metadata"]["generation"]), (&json!(2), &json!(1)));
    assert_eq!(stored["status"], object["status"]);
    assert_eq!(stored["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(stored["metadata"]["labels"], Value::Null);
}
