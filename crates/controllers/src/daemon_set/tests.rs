//! DaemonSets of a simulated cluster, and decisions as tables.

use api::kinds::{read::text, workload::count};
use serde_json::json;

use super::*;
use crate::world::World;

const TEMPLATE: &str = r#"{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c","image":"a:1"}]}}"#;

fn key() -> Key {
    Key::new("n", "agent")
}

/// A set in a cluster of some nodes.
struct Cluster {
    world: World,
    second: i64,
}

impl Cluster {
    fn new(nodes: &[&str], change: &Value) -> Self {
        let template: Value = serde_json::from_str(TEMPLATE).unwrap();
        let mut spec = json!({ "selector": { "matchLabels": { "app": "x" } }, "template": template });
        api::patch::merge(&mut spec, change.to_string().as_bytes()).unwrap();
        let mut world = nodes.iter().fold(World::default().at(0), |all, name| all.with(&NODE, "", name, json!({})));
        world.create(&DAEMON_SET, "n", json!({ "metadata": { "name": "agent" }, "spec": spec }));
        Self { world, second: 0 }
    }

    fn settled(nodes: &[&str], change: &Value) -> Self {
        let mut cluster = Self::new(nodes, change);
        cluster.settle();
        cluster
    }

    fn set(&self) -> Object {
        self.world.object(&DAEMON_SET, "n", "agent")
    }

    fn set_image(&mut self, image: &str) -> &mut Self {
        let old = Value::clone(&self.set());
        self.world.change(&DAEMON_SET, "n", "agent", |set| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
            (DAEMON_SET.hooks.prepare_update)(set, &old);
        });
        self
    }

    fn node(&mut self, name: &str, node: Value) -> &mut Self {
        self.world = std::mem::take(&mut self.world).with(&NODE, "", name, node);
        self
    }

    /// Its pods with their nodes, as far as these are known.
    fn pods(&self) -> Vec<(String, Object)> {
        let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0";
        let node = |pod: &Value| text(pod, &format!("{terms}/matchFields/0/values/0")).to_owned();
        self.world.list(&POD, "n").map(|pod| (node(&pod), pod)).collect()
    }

    /// Changes the pods on a node.
    fn change(&mut self, node: &str, change: &Value) -> &mut Self {
        for (_, pod) in self.pods().into_iter().filter(|(on, _)| on == node) {
            let merge = |pod: &mut Value| api::patch::merge(pod, change.to_string().as_bytes()).unwrap();
            self.world.change(&POD, "n", meta::name(&pod), merge);
        }
        self
    }

    /// Pods that wait are bound and ready, but for those on some nodes.
    fn run_pods(&mut self, broken: &[&str]) {
        let since = meta::time(Timestamp::from_second(self.second).unwrap());
        let waiting = |pod: &Value| pod.pointer("/status/conditions").is_none();
        for (node, pod) in self.pods().into_iter().filter(|(_, pod)| waiting(pod)) {
            let ready = json!([{ "type": "Ready", "status": "True", "lastTransitionTime": since }]);
            self.world.change(&POD, "n", meta::name(&pod), |pod| {
                pod["spec"]["nodeName"] = node.as_str().into();
                pod["status"]["phase"] = "Running".into();
                if !broken.contains(&node.as_str()) {
                    pod["status"]["conditions"] = ready;
                }
            });
        }
    }

    /// What a run does, by node: `+a -b`.
    fn step(&mut self) -> String {
        self.second += 1;
        self.world = std::mem::take(&mut self.world).at(self.second);
        let mut all = self.pods();
        let told = self.world.step(&CONTROLLER, &key());
        all.extend(self.pods());
        let node =
            |name: &str| all.iter().find(|(_, pod)| meta::name(pod) == name.trim()).map(|(node, _)| node.clone());
        let verb = |one: &String| {
            let made = one.strip_prefix("create pods n/").and_then(node).map(|node| format!("+{node}"));
            made.or_else(|| Some(format!("-{}", node(one.strip_prefix("delete pods n/")?)?)))
        };
        told.iter().filter_map(verb).collect::<Vec<_>>().join(" ")
    }

    /// Runs for a while, with pods ready as soon as they are there but for some nodes; what each run did.
    fn settle_but(&mut self, broken: &[&str]) -> String {
        let mut all = Vec::new();
        for _ in 0..40 {
            all.push(self.step());
            self.run_pods(broken);
        }
        all.retain(|one| !one.is_empty());
        all.join(", ")
    }

    fn settle(&mut self) -> String {
        self.settle_but(&[])
    }
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({ "updateStrategy": { "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } } })
}

#[test]
fn each_node_gets_a_pod_in_batches_that_double() {
    let mut cluster = Cluster::new(&["a", "b", "c", "d"], &json!({}));
    assert_eq!(cluster.settle(), "+a, +b +c, +d");
    assert_eq!(cluster.node("e", json!({})).settle(), "+e");
    cluster.world = std::mem::take(&mut cluster.world).without(&NODE, "", "a");
    assert_eq!(cluster.settle(), "", "what ran on a node that is gone is for others to put away");
}

#[test]
fn a_pod_is_for_its_node_and_bears_what_befalls_it() {
    let mut cluster = Cluster::settled(&["a"], &json!({ "template": { "spec": { "hostNetwork": true } } }));
    let (node, pod) = cluster.pods().remove(0);
    assert_eq!(node, "a");
    let revision = cluster.world.list(&CONTROLLER_REVISION, "n").next().expect("a revision");
    assert_eq!(meta::label(&pod, HASH_LABEL), meta::label(&revision, HASH_LABEL));
    assert_eq!(meta::label(&pod, "pod-template-generation"), Some("1"));
    let borne = |pod: &Value| pod["spec"]["tolerations"].as_array().expect("some").len();
    assert_eq!(borne(&pod), 7);
    cluster = Cluster::settled(&["a"], &json!({}));
    assert_eq!(borne(&cluster.pods().remove(0).1), 6);
}

#[test]
fn nodes_are_chosen_by_labels_and_taints() {
    let tainted = |effect: &str| json!({ "spec": { "taints": [{ "key": "k", "effect": effect }] } });
    let labelled = json!({ "metadata": { "labels": { "disk": "ssd" } } });
    let check = |spec: Value, node: Value, expect: (bool, bool)| {
        let cluster = Cluster::new(&[], &json!({ "template": { "spec": spec } }));
        let world = cluster.world.with(&NODE, "", "a", node.clone());
        let run = Daemons::new(&world, &cluster_set(&world), Timestamp::UNIX_EPOCH, "h", Vec::new()).nodes["a"];
        assert_eq!((run.runs, run.stays), expect, "{spec} on {node}");
    };
    check(json!({}), json!({}), (true, true));
    check(json!({}), tainted("NoSchedule"), (false, true));
    check(json!({}), tainted("NoExecute"), (false, false));
    check(json!({}), tainted("PreferNoSchedule"), (true, true));
    check(json!({ "tolerations": [{ "operator": "Exists" }] }), tainted("NoExecute"), (true, true));
    let cordoned = json!({ "spec": { "unschedulable": true, "taints": [{ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" }] } });
    check(json!({}), cordoned, (true, true));
    check(json!({ "nodeSelector": { "disk": "ssd" } }), labelled.clone(), (true, true));
    check(json!({ "nodeSelector": { "disk": "ssd" } }), json!({}), (false, false));
    check(json!({ "nodeName": "b" }), json!({}), (false, false));
    check(json!({ "nodeName": "a" }), json!({}), (true, true));
    let required = |key: &str| {
        let terms = json!([{ "matchExpressions": [{ "key": key, "operator": "Exists" }] }]);
        json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } } })
    };
    check(required("disk"), labelled.clone(), (true, true));
    check(required("gpu"), labelled, (false, false));
}

fn cluster_set(world: &World) -> Object {
    world.object(&DAEMON_SET, "n", "agent")
}

#[test]
fn pods_leave_nodes_that_are_no_longer_meant() {
    let chosen = json!({ "template": { "spec": { "nodeSelector": { "disk": "ssd" } } } });
    let ssd = || json!({ "metadata": { "labels": { "disk": "ssd" } } });
    let mut cluster = Cluster::new(&["a", "b"], &chosen);
    assert_eq!(cluster.node("a", ssd()).settle(), "+a");
    assert_eq!(cluster.node("b", ssd()).node("a", json!({})).settle(), "+b -a");
    let mut tainted = Cluster::settled(&["a"], &json!({}));
    let taint = |effect: &str| json!({ "spec": { "taints": [{ "key": "k", "effect": effect }] } });
    assert_eq!(tainted.node("a", taint("NoSchedule")).settle(), "", "it stays where it is");
    assert_eq!(count(&tainted.set(), "/status/numberMisscheduled"), 1);
    assert_eq!(tainted.node("a", taint("NoExecute")).settle(), "-a");
}

#[test]
fn old_pods_go_first_where_nothing_surges() {
    let check = |unavailable: Value, told: &str| {
        let mut cluster = Cluster::settled(&["a", "b", "c"], &rolling(json!(0), unavailable));
        assert_eq!(cluster.set_image("a:2").settle(), told);
        assert!(cluster.pods().iter().all(|(_, pod)| text(pod, "/spec/containers/0/image") == "a:2"));
    };
    check(json!(1), "-a, +a, -b, +b, -c, +c");
    check(json!(2), "-a -b, +a +b, -c, +c");
    check(json!("34%"), "-a -b, +a +b, -c, +c");
    let mut stuck = Cluster::settled(&["a", "b", "c"], &json!({}));
    assert_eq!(stuck.set_image("a:2").settle_but(&["a"]), "-a, +a", "a new one that is not available counts");
    let broken = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
    let mut ill = Cluster::settled(&["a", "b", "c"], &json!({}));
    assert_eq!(ill.change("c", &broken).set_image("a:2").settle(), "-c, +c, -a, +a, -b, +b", "it is no loss");
    let mut deleted =
        Cluster::settled(&["a"], &json!({ "updateStrategy": { "type": "OnDelete", "rollingUpdate": null } }));
    assert_eq!(deleted.set_image("a:2").settle(), "");
}

#[test]
fn new_pods_come_first_where_they_surge() {
    let mut cluster = Cluster::settled(&["a", "b", "c"], &rolling(json!(1), json!(0)));
    assert_eq!(cluster.set_image("a:2").settle(), "+a, -a, +b, -b, +c, -c");
    let mut two = Cluster::settled(&["a", "b", "c"], &rolling(json!("50%"), json!(0)));
    assert_eq!(two.set_image("a:2").settle(), "+a +b, -a -b, +c, -c");
    let mut stuck = Cluster::settled(&["a", "b"], &rolling(json!(1), json!(0)));
    assert_eq!(stuck.set_image("a:2").settle_but(&["a"]), "+a", "the old one serves on");
    assert_eq!(stuck.change("a", &json!({ "status": { "conditions": null } })).step(), "-a", "neither serves");
}

#[test]
fn pods_that_failed_are_replaced_less_and_less_often() {
    let failed = json!({ "status": { "phase": "Failed" } });
    let mut cluster = Cluster::settled(&["a"], &json!({}));
    let mut at = Vec::new();
    for _ in 0..40 {
        cluster.change("a", &failed);
        if cluster.step() == "+a -a" {
            at.push(cluster.second);
        }
    }
    let waits: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16], "seconds between them");
    assert!(cluster.world.plan(&CONTROLLER, &key()).wake_at.is_some(), "the next one is waited for");
    let mut done = Cluster::settled(&["a"], &json!({}));
    assert_eq!(done.change("a", &json!({ "status": { "phase": "Succeeded" } })).settle(), "-a, +a");
}

#[test]
fn of_several_pods_the_oldest_stays() {
    let mut cluster = Cluster::settled(&["a"], &json!({}));
    let (_, first) = cluster.pods().remove(0);
    let mut second = Value::clone(&first);
    meta::set_creation_timestamp(&mut second, "2026-01-01T00:00:00Z");
    cluster.world = std::mem::take(&mut cluster.world).with(&POD, "n", "agent-zzzzz", second.clone());
    let told = cluster.world.told(&CONTROLLER, &key());
    assert!(told.iter().any(|one| one.trim() == "delete pods n/agent-zzzzz"), "{told:?}");
    second["spec"]["nodeName"] = json!("");
    cluster.world = std::mem::take(&mut cluster.world).with(&POD, "n", "agent-zzzzz", second).without(&NODE, "", "a");
    let told = cluster.world.told(&CONTROLLER, &key());
    assert!(
        told.iter().any(|one| one.trim() == "delete pods n/agent-zzzzz"),
        "it waits for a node that is gone: {told:?}"
    );
}

#[test]
fn the_status_counts_nodes() {
    let mut cluster = Cluster::settled(&["a", "b", "c"], &json!({ "minReadySeconds": 5 }));
    let fields = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "observedGeneration",
    ];
    let counts = |cluster: &Cluster| fields.map(|field| count(&cluster.set(), &format!("/status/{field}")));
    assert_eq!(counts(&cluster), [3, 3, 3, 3, 3, 0, 1]);
    cluster.set_image("a:2");
    (0..3).for_each(|_| _ = cluster.step());
    assert_eq!(counts(&cluster), [3, 2, 2, 0, 2, 1, 2]);
    cluster.step();
    cluster.run_pods(&[]);
    cluster.step();
    assert_eq!(counts(&cluster), [3, 3, 3, 1, 2, 1, 2]);
    assert!(cluster.world.plan(&CONTROLLER, &key()).wake_at.is_some(), "the new one is available later");
}

#[test]
fn templates_are_kept_to_go_back_to() {
    let mut cluster = Cluster::settled(&["a"], &json!({ "revisionHistoryLimit": 1 }));
    for image in ["a:2", "a:1", "a:3"] {
        cluster.set_image(image).settle();
    }
    let mut kept: Vec<String> = cluster
        .world
        .list(&CONTROLLER_REVISION, "n")
        .map(|one| format!("{}={}", one["revision"], text(&one, "/data/spec/template/spec/containers/0/image")))
        .collect();
    kept.sort();
    assert_eq!(kept, ["3=a:1", "4=a:3"]);
}

#[test]
fn what_was_refused_is_told() {
    let mut cluster = Cluster::new(&["a", "b", "c"], &json!({}));
    cluster.step();
    cluster.world = std::mem::take(&mut cluster.world).failed("pods \"agent-bcdfg\" is forbidden: exceeded quota");
    let told = cluster.world.told(&CONTROLLER, &key());
    assert_eq!(told.iter().filter(|one| one.starts_with("create pods")).count(), 1);
    let why = "event FailedCreate: Error creating: pods \"agent-\" is forbidden: exceeded quota";
    assert!(told.iter().any(|one| one == why), "{told:?}");
}

#[test]
fn a_node_concerns_every_set_where_it_has_changed() {
    let cluster = Cluster::new(&["a"], &json!({}));
    let check = |old: Option<Value>, new: Option<Value>, expect: &[Key]| {
        assert_eq!(cluster.world.woken(&CONTROLLER, &NODE, "", "a", old, new), expect);
    };
    let labelled = || json!({ "metadata": { "labels": { "a": "b" } } });
    check(None, Some(json!({})), &[key()]);
    check(Some(json!({})), None, &[key()]);
    check(Some(json!({})), Some(labelled()), &[key()]);
    check(Some(labelled()), Some(json!({ "metadata": { "labels": { "a": "b" } }, "status": { "x": 1 } })), &[]);
}
