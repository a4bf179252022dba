//! The kubelet over twins: the API, the runtime and the network in memory, volumes in a folder.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::kubelet::observed::NodeFacts;
use api::kinds::{pod::POD, service::SERVICE, service_account::SERVICE_ACCOUNT};
use net::seal::SealKey;
use parking_lot::RwLock;
use runtime::{ContainerRuntime, ImageConfig, MemoryRuntime, Program};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::events::Recorder;
use super::listing::Listing;
use super::machine::Places;
use super::network::{Network, twin::NoNetwork};
use super::pulled::Pulled;
use super::references::Watched;
use super::store::PodStore;
use super::*;
use crate::node_api::Mirror;
use crate::node_api::testing::Cluster;

const PATIENCE: Duration = Duration::from_secs(30);

/// A node in memory but for its folder.
struct Node {
    cluster: Cluster,
    runtime: MemoryRuntime,
    kubelet: Kubelet,
    _feed: tokio::task::JoinSet<()>,
    _dir: tempfile::TempDir,
}

async fn node() -> Node {
    let cluster = Cluster::start().await;
    for namespace in ["default"] {
        let account = json!({ "metadata": { "name": "default", "namespace": namespace } });
        let _ = cluster.admin.create(&SERVICE_ACCOUNT, namespace, &account).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let runtime = MemoryRuntime::default();
    runtime.add_image("busybox", ImageConfig { command: vec!["sh".into()], ..ImageConfig::default() });
    let (api, shared) = (cluster.here(), Arc::new(runtime.clone()) as Arc<dyn ContainerRuntime>);
    let places = Places::within(dir.path());
    let services = Mirror::start(api.clone(), &SERVICE, "", &[]);
    let facts = NodeFacts {
        name: "n1".into(),
        addresses: vec!["10.0.0.1".parse().unwrap()],
        pods_dir: places.pods.clone(),
        logs_dir: places.logs.clone(),
        cgroup_root: "/mesh/n1/pods".into(),
        memory_bytes: 1 << 30,
        cluster_domain: "cluster.local".into(),
        runtime: "containerd".into(),
        ..NodeFacts::default()
    };
    let last_known = Arc::new(PodStore::open(dir.path().join("pods.sealed"), SealKey::from_bytes([1; 32])));
    let machine = Machine {
        name: "n1".into(),
        pods: Mirror::start(api.clone(), &POD, "", &[("fieldSelector", "spec.nodeName=n1")]),
        references: Watched::new(api.clone(), services, last_known.clone()),
        last_known,
        recorder: Recorder::start(api.clone(), "n1"),
        api,
        listing: Listing::new(shared.clone()),
        pulled: Arc::new(Pulled::open(dir.path().join("pulled.sealed"), SealKey::from_bytes([1; 32]))),
        shelves: None,
        runtime: shared,
        network: watch::Sender::new(Some(Arc::new(NoNetwork::default()) as Arc<dyn Network>)),
        network_error: RwLock::default(),
        node: watch::Sender::new(None),
        facts: RwLock::new(Arc::new(facts)),
        places,
        handle: OnceLock::new(),
        ending: AtomicBool::new(false),
    };
    let machine = Arc::new(machine);
    let mut feed = tokio::task::JoinSet::new();
    feed.spawn(feed::run(machine.clone()));
    Node { cluster, runtime, kubelet: Kubelet::new(machine), _feed: feed, _dir: dir }
}

impl Node {
    /// Runs the pod until something about it holds.
    async fn until(&self, name: &str, holds: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let waited = async {
            loop {
                for pod in self.kubelet.machine.pods.list() {
                    let _ = self.kubelet.run(meta::uid(&pod).to_owned()).await;
                }
                let found = self.cluster.admin.get(&POD, "default", name).await.ok();
                if holds(found.as_ref()) {
                    return found;
                }
                // awaited: an object of the API, which tells nobody here
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(PATIENCE, waited).await {
            Ok(found) => found,
            Err(_) => panic!("{name}: {:#?}", self.cluster.admin.get(&POD, "default", name).await),
        }
    }

    async fn create(&self, name: &str, command: &str, more: Value) {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": "default" },
            "spec": {
                "nodeName": "n1",
                "containers": [{ "name": "c", "image": "busybox", "imagePullPolicy": "Never", "command": [command] }],
                "terminationGracePeriodSeconds": 1,
                // No controller makes the ConfigMap of the cluster's CA here.
                "automountServiceAccountToken": false,
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            pod["spec"][key] = value.clone();
        }
        self.cluster.create(&POD, "default", &pod).await;
    }
}

fn phase(pod: Option<&Value>) -> &str {
    pod.map_or("", |pod| text(pod, "/status/phase"))
}

#[tokio::test]
async fn a_pod_runs_and_ends_with_its_deletion() {
    let node = node().await;
    node.create("web", "serve", Value::Null).await;
    let pod = node.until("web", |pod| phase(pod) == "Running").await.unwrap();
    assert_eq!(text(&pod, "/status/podIP"), "10.42.0.2");
    assert!(text(&pod, "/status/containerStatuses/0/containerID").starts_with("containerd://"));
    node.cluster.admin.delete(&POD, "default", "web", &Value::Null).await.unwrap();
    node.until("web", |pod| pod.is_none()).await;
    let uid = meta::uid(&pod).to_owned();
    let cleaned = timeout(PATIENCE, async {
        while !node.runtime.sandboxes().await.unwrap().is_empty() || node.kubelet.machine.pod_dir(&uid).exists() {
            let _ = node.kubelet.run(uid.clone()).await;
            // awaited: a folder's end, which tells nobody
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    cleaned.await.expect("nothing is left of it");
}

#[tokio::test]
async fn a_container_that_ends_is_started_again_and_one_that_may_not_is_told() {
    let node = node().await;
    node.runtime.teach(&["once"], Program { exits: Some(3), ..Program::default() });
    node.create("again", "serve", Value::Null).await;
    node.create("never", "once", json!({ "restartPolicy": "Never" })).await;
    node.until("again", |pod| phase(pod) == "Running").await;
    let running = node.runtime.containers().await.unwrap().into_iter().find(|one| one.pod.name == "again").unwrap();
    node.runtime.exit(&running.id, 1);
    let restarted = |pod: Option<&Value>| {
        pod.and_then(|pod| pod.pointer("/status/containerStatuses/0/restartCount")?.as_u64()) == Some(1)
    };
    node.until("again", restarted).await;
    let failed = node.until("never", |pod| phase(pod) == "Failed").await.unwrap();
    assert_eq!(failed.pointer("/status/containerStatuses/0/state/terminated/exitCode"), Some(&json!(3)));
}
