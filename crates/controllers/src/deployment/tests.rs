//! Rollouts of a simulated cluster, and decisions as tables.

use std::collections::BTreeMap;

use api::kinds::{pod::POD, workload::count};
use serde_json::{Value, json};

use super::*;
use crate::{replica_set, world::World};

/// Rounds in which a rollout is to end.
const ROUNDS: usize = 100;

fn deployment(replicas: i64, image: &str, change: &Value) -> Value {
    let container = json!({ "name": "c", "image": image });
    let template = json!({ "metadata": { "labels": { "app": "x" } }, "spec": { "containers": [container] } });
    let mut spec = json!({ "replicas": replicas, "selector": { "matchLabels": { "app": "x" } }, "template": template });
    change.as_object().into_iter().flatten().for_each(|(key, value)| spec[key] = value.clone());
    json!({ "metadata": { "name": "web" }, "spec": spec })
}

fn key() -> Key {
    Key::new("n", "web")
}

/// A deployment in a cluster whose pods are ready as soon as they are there.
struct Cluster {
    world: World,
    second: i64,
    /// Events, with sets named by their order.
    news: Vec<String>,
    names: BTreeMap<String, usize>,
}

impl Cluster {
    fn new(deployment: Value) -> Self {
        let mut world = World::default().at(0);
        world.create(&DEPLOYMENT, "n", deployment);
        Self { world, second: 0, news: Vec::new(), names: BTreeMap::new() }
    }

    fn deployment(&self) -> Object {
        self.world.object(&DEPLOYMENT, "n", "web")
    }

    fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let old = Value::clone(&self.deployment());
        self.world.change(&DEPLOYMENT, "n", "web", |object| {
            change(object);
            (DEPLOYMENT.hooks.prepare_update)(object, &old);
        });
    }

    fn set_image(&mut self, image: &str) {
        self.edit(|object| object["spec"]["template"]["spec"]["containers"][0]["image"] = image.into());
    }

    fn sets(&self) -> Vec<Object> {
        let mut sets: Vec<Object> = self.world.list(&REPLICA_SET, "n").collect();
        sets.sort_by_key(|set| meta::creation_timestamp(set).to_owned());
        sets
    }

    fn sizes(&self) -> Vec<i64> {
        self.sets().iter().map(|set| count(set, "/spec/replicas")).collect()
    }

    /// One run of each controller. Tells whether anything was done.
    fn round(&mut self) -> bool {
        self.second += 1;
        self.world = std::mem::take(&mut self.world).at(self.second);
        let mut told = self.world.step(&CONTROLLER, &key());
        for set in self.sets() {
            let at = self.names.len() + 1;
            self.names.entry(meta::name(&set).to_owned()).or_insert(at);
            told.extend(self.world.step(&replica_set::CONTROLLER, &Key::new("n", meta::name(&set))));
        }
        let news = told.iter().filter(|one| one.starts_with("event ScalingReplicaSet"));
        let named = |text: &String| {
            self.names.iter().fold(text.clone(), |text, (name, at)| text.replace(name, &format!("#{at}")))
        };
        let news: Vec<String> = news.map(named).collect();
        self.news.extend(news);
        !told.is_empty()
    }

    /// Until nothing more is done; `each` looks at every state on the way.
    fn settle(&mut self, mut each: impl FnMut(&Self)) {
        for _ in 0..ROUNDS {
            let busy = self.round();
            self.world.run_pods();
            each(self);
            if !busy {
                return;
            }
        }
        panic!("no end after {ROUNDS} rounds: {:?}", self.news);
    }

    fn status(&self, field: &str) -> i64 {
        count(&self.deployment(), &format!("/status/{field}"))
    }

    fn condition(&self, kind: &str) -> String {
        let deployment = self.deployment();
        let status = deployment.get("status").unwrap();
        let found = conditions::find(status, kind).cloned().unwrap_or_default();
        format!("{} {}", text(&found, "/status"), text(&found, "/reason"))
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
            .into_iter()
            .map(|one| one.replace("event ScalingReplicaSet: Scaled ", "").replace("replica set ", ""))
            .collect()
    }
}

#[test]
fn a_new_deployment_gets_its_pods() {
    let mut cluster = Cluster::new(deployment(3, "a:1", &json!({})));
    assert!(cluster.round());
    assert_eq!(cluster.condition("Progressing"), "True NewReplicaSetCreated");
    assert_eq!(cluster.condition("Available"), "False MinimumReplicasUnavailable");
    cluster.settle(|_| {});
    assert_eq!(cluster.told(), ["up #1 from 0 to 3"]);
    assert_eq!(cluster.condition("Progressing"), "True NewReplicaSetAvailable");
    assert_eq!(cluster.condition("Available"), "True MinimumReplicasAvailable");
    let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"];
    assert_eq!(counts.map(|field| cluster.status(field)), [3, 3, 3, 3, 0]);
    let (deployment, set) = (cluster.deployment(), cluster.sets().remove(0));
    assert_eq!(meta::annotation(&deployment, sets::REVISION), Some("1"));
    assert_eq!(meta::annotation(&set, sets::DESIRED), Some("3"));
    let hash = meta::label(&set, "pod-template-hash").unwrap();
    assert_eq!(meta::name(&set), format!("web-{hash}"));
    assert_eq!(set.pointer("/spec/selector/matchLabels/pod-template-hash"), Some(&json!(hash)));
}

#[test]
fn a_rolling_update_stays_within_its_fences() {
    let mut cluster = Cluster::new(deployment(10, "a:1", &json!({})));
    cluster.settle(|_| {});
    cluster.told();
    cluster.set_image("a:2");
    cluster.settle(|cluster| {
        let pods = cluster.world.list(&POD, "n").count();
        assert!(pods <= 13 && cluster.sizes().iter().sum::<i64>() <= 13, "{pods}");
        assert!(cluster.status("availableReplicas") >= 8);
    });
    assert_eq!(cluster.sizes(), [0, 10]);
    let told = cluster.told();
    assert_eq!(told[..2], ["up #2 from 0 to 3", "down #1 from 10 to 8"]);
    assert_eq!(meta::annotation(&cluster.deployment(), sets::REVISION), Some("2"));
    assert_eq!(cluster.condition("Progressing"), "True NewReplicaSetAvailable");
}

#[test]
fn an_old_template_taken_up_again_is_the_newest_revision() {
    let mut cluster = Cluster::new(deployment(2, "a:1", &json!({})));
    for image in ["a:1", "a:2", "a:1"] {
        cluster.set_image(image);
        cluster.settle(|_| {});
    }
    assert_eq!(cluster.sizes(), [2, 0]);
    let first = cluster.sets().remove(0);
    assert_eq!(meta::annotation(&first, sets::REVISION), Some("3"));
    assert_eq!(meta::annotation(&first, "deployment.kubernetes.io/revision-history"), Some("1"));
}

#[test]
fn recreating_stops_all_before_it_starts_any() {
    let mut cluster = Cluster::new(deployment(3, "a:1", &json!({ "strategy": { "type": "Recreate" } })));
    cluster.settle(|_| {});
    cluster.told();
    cluster.set_image("a:2");
    cluster.settle(|cluster| {
        let images = cluster.world.list(&POD, "n").map(|pod| text(&pod, "/spec/containers/0/image").to_owned());
        let images: std::collections::BTreeSet<String> = images.collect();
        assert!(images.len() <= 1, "{images:?}");
    });
    assert_eq!(cluster.told(), ["down #1 from 3 to 0", "up #2 from 0 to 3"]);
}

#[test]
fn a_paused_deployment_is_scaled_but_not_rolled() {
    let mut cluster = Cluster::new(deployment(2, "a:1", &json!({})));
    cluster.settle(|_| {});
    cluster.told();
    cluster.edit(|object| object["spec"]["paused"] = true.into());
    cluster.set_image("a:2");
    cluster.edit(|object| object["spec"]["replicas"] = 4.into());
    cluster.settle(|_| {});
    assert_eq!((cluster.told(), cluster.sizes()), (vec!["up #1 from 2 to 4".to_owned()], vec![4]));
    assert_eq!(cluster.condition("Progressing"), "Unknown DeploymentPaused");
    cluster.edit(|object| object["spec"]["paused"] = false.into());
    cluster.round();
    assert_eq!(cluster.condition("Progressing"), "True NewReplicaSetCreated");
    cluster.settle(|_| {});
    assert_eq!(cluster.sizes(), [0, 4]);
}

#[test]
fn old_sets_beyond_the_history_go() {
    let mut cluster = Cluster::new(deployment(1, "a:1", &json!({ "revisionHistoryLimit": 2 })));
    for image in ["a:1", "a:2", "a:3", "a:4", "a:5"] {
        cluster.set_image(image);
        cluster.settle(|_| {});
    }
    let revisions: Vec<String> =
        cluster.sets().iter().filter_map(|set| meta::annotation(set, sets::REVISION).map(str::to_owned)).collect();
    assert_eq!(revisions, ["3", "4", "5"]);
}

#[test]
fn a_rollout_without_progress_is_late_after_its_deadline() {
    let mut cluster = Cluster::new(deployment(1, "a:1", &json!({ "progressDeadlineSeconds": 60 })));
    (0..8).for_each(|_| _ = cluster.round());
    assert!(cluster.condition("Progressing").starts_with("True"));
    let wake_at = cluster.world.plan(&CONTROLLER, &key()).wake_at.map(Timestamp::as_second);
    assert!(wake_at.is_some_and(|at| (60..80).contains(&at)), "{wake_at:?}");
    cluster.second = 100;
    cluster.round();
    assert_eq!(cluster.condition("Progressing"), "False ProgressDeadlineExceeded");
    cluster.world.run_pods();
    cluster.settle(|_| {});
    assert_eq!(cluster.condition("Progressing"), "True NewReplicaSetAvailable");
}

#[test]
fn what_the_api_says_of_a_set_that_cannot_be_made_is_told() {
    let mut cluster = Cluster::new(deployment(1, "a:1", &json!({})));
    cluster.world = std::mem::take(&mut cluster.world).failed("quota");
    let told = cluster.world.told(&CONTROLLER, &key());
    let failed = told.iter().find(|one| one.starts_with("event ReplicaSetCreateError")).unwrap();
    assert!(failed.starts_with("event ReplicaSetCreateError: Failed to create new replica set \"web-"), "{failed}");
    assert!(failed.ends_with("\": quota"), "{failed}");
}

#[test]
fn a_hash_that_another_set_has_is_counted() {
    let mut cluster = Cluster::new(deployment(1, "a:1", &json!({})));
    cluster.round();
    let name = meta::name(&cluster.sets()[0]).to_owned();
    let mut other = Cluster::new(deployment(1, "a:1", &json!({})));
    other.world = std::mem::take(&mut other.world).with(&REPLICA_SET, "n", &name, json!({ "spec": {} }));
    other.round();
    assert_eq!(other.status("collisionCount"), 1);
    other.round();
    assert_eq!(other.sets().len(), 2);
}

/// Sizes of sets (size, of how many at most) after the deployment wants another number in the midst of a rollout.
fn check_shares(wanted: i64, before: i64, sets: &[i64], expect: &[i64]) {
    let mut cluster = Cluster::new(deployment(
        wanted,
        "a:new",
        &json!({ "strategy": { "rollingUpdate": { "maxSurge": 2, "maxUnavailable": 2 } } }),
    ));
    cluster.edit(|object| object["status"] = json!({ "observedGeneration": 1 }));
    let owner = crate::workload::owner_reference(&cluster.deployment());
    for (at, size) in sets.iter().enumerate() {
        let newest = at == sets.len() - 1;
        let image = if newest { "a:new".to_owned() } else { format!("a:{at}") };
        let mut spec = deployment(*size, &image, &json!({}))["spec"].clone();
        spec["template"]["metadata"]["labels"]["pod-template-hash"] = at.to_string().into();
        let annotations = json!({ sets::DESIRED: before.to_string(), sets::MOST: (before + 2).to_string() });
        let labels = json!({ "app": "x" });
        let metadata = json!({ "name": format!("web-{at}"), "labels": labels, "annotations": annotations, "ownerReferences": [owner] });
        cluster.world = std::mem::take(&mut cluster.world).at(i64::try_from(at).unwrap());
        cluster.world.create(&REPLICA_SET, "n", json!({ "metadata": metadata, "spec": spec }));
    }
    cluster.world.step(&CONTROLLER, &key());
    assert_eq!(cluster.sizes(), expect, "{wanted} {sets:?}");
}

#[test]
fn sets_are_scaled_in_proportion_in_the_midst_of_a_rollout() {
    check_shares(10, 10, &[8, 4], &[8, 4]);
    check_shares(20, 10, &[8, 4], &[15, 7]);
    check_shares(5, 10, &[8, 4], &[5, 2]);
    check_shares(12, 10, &[6, 6], &[7, 7]);
    check_shares(11, 10, &[6, 6], &[6, 7]);
    check_shares(0, 10, &[8, 4], &[0, 0]);
    check_shares(20, 10, &[12, 0], &[20, 0]);
}

#[test]
fn orphans_are_adopted_and_strangers_let_go() {
    let orphan = || json!({ "metadata": { "labels": { "app": "x" } }, "spec": { "replicas": 0 } });
    let world = || World::default().with(&DEPLOYMENT, "n", "web", deployment(1, "a:1", &json!({})));
    let told = world().with(&REPLICA_SET, "n", "rs", orphan()).told(&CONTROLLER, &Key::new("n", "orphan/rs"));
    assert!(told[0].starts_with("patch replicasets n/rs") && told[0].contains("\"uid\":\"u-web\""), "{told:?}");
    let told = world().with(&REPLICA_SET, "n", "rs", orphan()).told(&CONTROLLER, &key());
    assert!(told[0].starts_with("patch replicasets n/rs") && told[0].contains("\"uid\":\"u-web\""), "{told:?}");
    let mut stranger = orphan();
    stranger["metadata"] = json!({ "labels": { "app": "y" }, "ownerReferences": [
        { "kind": "Deployment", "name": "web", "uid": "u-web", "controller": true }] });
    let told = world().with(&REPLICA_SET, "n", "rs", stranger).told(&CONTROLLER, &key());
    assert_eq!(told[0], r#"patch replicasets n/rs {"metadata":{"ownerReferences":null}}"#);
}
