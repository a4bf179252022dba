//! A node's questions through the real pipeline: in process, and through voters that come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use ::api::kinds::{config_map::CONFIG_MAP, node::NODE, secret::SECRET};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::testing::{Cluster, Line};
use super::{Api, Face, Mirror};

const PATIENCE: Duration = Duration::from_secs(20);

fn node(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } })
}

fn map(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "k": value } })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what}"));
}

/// The same in process and through a voter.
async fn check(api: Api) {
    let made = api.create(&NODE, "", &node("n1")).await.unwrap();
    assert_ne!(made["metadata"]["uid"], Value::Null);
    let error = api.create(&NODE, "", &node("n2")).await.unwrap_err();
    assert_eq!(error.code(), 403);
    assert!(error.to_string().ends_with(r#"node "n1" is not allowed to modify node "n2""#), "{error}");
    let patch = json!({ "status": { "nodeInfo": { "kernelVersion": "6" } } });
    let strategic = apiserver::client::PatchType::StrategicPatch;
    let changed = api.patch(&NODE, "", "n1", "status", &patch, strategic).await.unwrap();
    assert_eq!(changed["status"]["nodeInfo"]["kernelVersion"], "6");
    assert_eq!(api.get(&SECRET, "default", "s").await.unwrap_err().code(), 403);
    let listed = api.list(&NODE, "", &[("fieldSelector", "metadata.name=n1")]).await.unwrap();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.of(Face::Proxy).list(&NODE, "", &[]).await.unwrap()["kind"], "NodeList");
}

#[tokio::test]
async fn a_node_asks_as_itself_in_process() {
    check(Cluster::start().await.here()).await;
}

#[tokio::test]
async fn a_node_asks_as_itself_through_a_voter_and_passes_one_that_serves_nothing() {
    let cluster = Cluster::start().await;
    check(Line::new(vec![None, Some(cluster.server.clone())]).api()).await;
}

#[tokio::test(start_paused = true)]
async fn no_voter_is_told_as_503() {
    let error = Line::new(vec![None]).api().get(&NODE, "", "n1").await.unwrap_err();
    assert_eq!(error.code(), 503, "{error}");
}

#[tokio::test]
async fn a_mirror_follows_over_the_loss_of_voters_and_forgets_what_went_meanwhile() {
    let cluster = Cluster::start().await;
    let create = async |name: &str| cluster.create(&CONFIG_MAP, "default", &map(name, "v")).await;
    create("a").await;
    create("b").await;
    // The administrator's own eyes: a node may not see all ConfigMaps.
    let line = Line::new(vec![Some(cluster.server.clone()), Some(cluster.server.clone())]);
    let mirror = Mirror::start(line.api().of(Face::Proxy), &NODE, "", &[]);
    timeout(PATIENCE, mirror.wait_synced()).await.unwrap();
    assert!(mirror.list().is_empty());
    let mut changes = mirror.changes();
    cluster.create(&NODE, "", &node("n1")).await;
    cluster.create(&NODE, "", &node("n2")).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        seen.extend(timeout(PATIENCE, changes.next()).await.unwrap());
    }
    line.set(0, None);
    line.cut();
    cluster.admin.delete(&NODE, "", "n1", &Value::Null).await.unwrap();
    until("n1 is forgotten", || mirror.get("", "n1").is_none()).await;
    let (changed, _) = (timeout(PATIENCE, changes.next()).await.unwrap(), ());
    assert!(changed.contains(&(String::new(), "n1".to_owned())));
    assert!(mirror.get("", "n2").is_some() && mirror.synced());
    // With no voter what was known stays.
    line.set(1, None);
    line.cut();
    assert_eq!(mirror.list().len(), 1);
    line.set(0, Some(cluster.server.clone()));
    cluster.create(&NODE, "", &node("n3")).await;
    until("n3 is seen", || mirror.get("", "n3").is_some()).await;
}
