//! StatefulSets of a simulated cluster, and decisions as tables.

use api::{kinds::Kind, meta};
use serde_json::{Value, json};

use super::*;
use crate::{Key, world::World};

const TEMPLATE: &str = r#"{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c","image":"a:1"}]}}"#;

fn key() -> Key {
    Key::new("n", "web")
}

/// A set in a cluster, and what happened to its pods.
struct Cluster {
    world: World,
    second: i64,
}

impl Cluster {
    /// A set of so many with this change of its spec.
    fn new(replicas: i64, change: Value) -> Self {
        let template: Value = serde_json::from_str(TEMPLATE).unwrap();
        let selector = json!({ "matchLabels": { "app": "x" } });
        let mut spec = json!({ "replicas": replicas, "selector": selector, "template": template, "serviceName": "s" });
        api::patch::merge(&mut spec, change.to_string().as_bytes()).unwrap();
        let mut world = World::default().at(0);
        world.create(&STATEFUL_SET, "n", json!({ "metadata": { "name": "web" }, "spec": spec }));
        Self { world, second: 0 }
    }

    /// As many, ready.
    fn settled(replicas: i64, change: Value) -> Self {
        let mut cluster = Self::new(replicas, change);
        cluster.settle();
        cluster
    }

    fn set(&self) -> Object {
        self.world.object(&STATEFUL_SET, "n", "web")
    }

    fn edit(&mut self, change: &dyn Fn(&mut Value)) -> &mut Self {
        let old = Value::clone(&self.set());
        self.world.change(&STATEFUL_SET, "n", "web", |object| {
            change(object);
            (STATEFUL_SET.hooks.prepare_update)(object, &old);
        });
        self
    }

    fn set_image(&mut self, image: &str) -> &mut Self {
        self.edit(&|set| set["spec"]["template"]["spec"]["containers"][0]["image"] = image.into())
    }

    fn scale(&mut self, replicas: i64) -> &mut Self {
        self.edit(&|set| set["spec"]["replicas"] = replicas.into())
    }

    fn change(&mut self, pod: &str, change: Value) -> &mut Self {
        self.world.change(&POD, "n", pod, |pod| api::patch::merge(pod, change.to_string().as_bytes()).unwrap());
        self
    }

    /// Something is wrong with a pod.
    fn sicken(&mut self, pod: &str) -> &mut Self {
        self.change(pod, json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } }))
    }

    /// What a run does to pods: `+web-0`, `-web-0`.
    fn step(&mut self) -> String {
        self.second += 1;
        self.world = std::mem::take(&mut self.world).at(self.second);
        let told = self.world.step(&CONTROLLER, &key());
        let verb = |one: &String| {
            let made = one.strip_prefix("create pods n/").map(|name| format!("+{name}"));
            made.or_else(|| one.strip_prefix("delete pods n/").map(|name| format!("-{}", name.trim())))
        };
        told.iter().filter_map(verb).collect::<Vec<_>>().join(" ")
    }

    /// Runs until nothing happens, with pods ready as soon as they are there; what happened to pods, run by run.
    fn settle(&mut self) -> String {
        let mut all = Vec::new();
        // Revision, pods and status each take a run or two for every pod.
        for _ in 0..100 {
            let done = self.step();
            all.push(done);
            self.world.run_pods();
        }
        all.retain(|one| !one.is_empty());
        all.join(", ")
    }

    /// Images of the pods, by number.
    fn images(&self) -> String {
        let image = |pod: Object| text(&pod, "/spec/containers/0/image").to_owned();
        self.world.list(&POD, "n").map(image).collect::<Vec<_>>().join(" ")
    }

    fn status(&self) -> Value {
        self.set()["status"].clone()
    }

    fn revisions(&self) -> Vec<(i64, String)> {
        let mut all: Vec<Object> = self.world.list(&CONTROLLER_REVISION, "n").collect();
        all.sort_by_key(|one| count(one, "/revision"));
        let image = |one: &Object| text(one, "/data/spec/template/spec/containers/0/image").to_owned();
        all.iter().map(|one| (count(one, "/revision"), image(one))).collect()
    }
}

fn parallel() -> Value {
    json!({ "podManagementPolicy": "Parallel" })
}

fn rolling(rolling: Value) -> Value {
    json!({ "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": rolling } })
}

#[test]
fn pods_are_made_in_order_each_once_the_one_before_is_ready() {
    let mut cluster = Cluster::new(3, json!({}));
    assert_eq!([cluster.step(), cluster.step(), cluster.step()], ["", "+web-0", ""], "the revision comes first");
    assert_eq!(cluster.settle(), "+web-1, +web-2");
    let mut later = Cluster::new(2, json!({ "ordinals": { "start": 5 } }));
    assert_eq!(later.settle(), "+web-5, +web-6");
    let mut at_once = Cluster::new(4, parallel());
    assert_eq!(
        [cluster.step(), at_once.step(), at_once.step(), at_once.step(), at_once.step()].join(","),
        ",,+web-0,+web-1 +web-2,+web-3"
    );
}

#[test]
fn pods_are_ended_from_the_highest_on_while_all_are_well() {
    let mut cluster = Cluster::settled(4, json!({}));
    assert_eq!(cluster.scale(1).settle(), "-web-3, -web-2, -web-1");
    let mut ill = Cluster::settled(3, json!({}));
    assert_eq!(ill.scale(1).sicken("web-0").step(), "", "one that stays is not well");
    let mut ill = Cluster::settled(4, json!({}));
    assert_eq!(ill.scale(1).sicken("web-2").sicken("web-3").step(), "", "another one is not well");
    let mut ill = Cluster::settled(3, json!({}));
    assert_eq!(ill.scale(1).sicken("web-2").step(), "-web-2", "the one that goes is the one that is not");
    assert_eq!(Cluster::settled(3, parallel()).scale(0).step(), "-web-2 -web-1 -web-0");
    let mut moved = Cluster::settled(2, json!({}));
    let told = moved.edit(&|set| set["spec"]["ordinals"] = json!({ "start": 1 })).settle();
    assert_eq!(told, "+web-2, -web-0");
}

#[test]
fn a_pod_is_never_there_twice() {
    let going = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    for policy in [json!({}), parallel()] {
        let mut cluster = Cluster::settled(2, policy);
        assert_eq!(cluster.change("web-0", going.clone()).settle(), "", "its node may still run it");
        cluster.world = std::mem::take(&mut cluster.world).without(&POD, "n", "web-0");
        assert_eq!(cluster.settle(), "+web-0");
    }
    let mut foreign = Cluster::new(1, json!({}));
    foreign.world.create(&POD, "n", json!({ "metadata": { "name": "web-0" }, "spec": {} }));
    assert_eq!(foreign.settle(), "", "the name is somebody else's");
    assert!(foreign.world.plan(&CONTROLLER, &key()).wake_at.is_some());
}

#[test]
fn pods_that_ended_are_made_anew() {
    for phase in ["Failed", "Succeeded"] {
        let mut cluster = Cluster::settled(2, json!({}));
        assert_eq!(cluster.change("web-1", json!({ "status": { "phase": phase } })).settle(), "-web-1, +web-1");
    }
    let mut cluster = Cluster::settled(1, json!({}));
    let over = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" }, "status": { "phase": "Failed" } });
    assert_eq!(cluster.change("web-0", over).settle(), "", "it is on its way out");
}

#[test]
fn updates_go_from_the_highest_on() {
    let check = |change: Value, told: &str, images: &str| {
        let mut cluster = Cluster::settled(3, change);
        assert_eq!(cluster.set_image("a:2").settle(), told);
        assert_eq!(cluster.images(), images);
    };
    let all = "-web-2, +web-2, -web-1, +web-1, -web-0, +web-0";
    check(json!({}), all, "a:2 a:2 a:2");
    check(json!({ "updateStrategy": { "type": "RollingUpdate" } }), all, "a:2 a:2 a:2");
    check(parallel(), all, "a:2 a:2 a:2");
    check(rolling(json!({ "partition": 2 })), "-web-2, +web-2", "a:1 a:1 a:2");
    check(rolling(json!({ "partition": 7 })), "", "a:1 a:1 a:1");
    check(json!({ "updateStrategy": { "type": "OnDelete" } }), "", "a:1 a:1 a:1");
    check(rolling(json!({ "maxUnavailable": 2 })), "-web-2 -web-1, +web-1, +web-2, -web-0, +web-0", "a:2 a:2 a:2");
    check(rolling(json!({ "maxUnavailable": "10%" })), all, "a:2 a:2 a:2");
}

#[test]
fn a_pod_below_the_partition_comes_back_as_it_was() {
    let mut cluster = Cluster::settled(3, rolling(json!({ "partition": 2 })));
    cluster.set_image("a:2").settle();
    for pod in ["web-0", "web-2"] {
        cluster.world = std::mem::take(&mut cluster.world).without(&POD, "n", pod);
    }
    assert_eq!((cluster.settle().as_str(), cluster.images().as_str()), ("+web-0, +web-2", "a:1 a:1 a:2"));
    let told = cluster.edit(&|set| set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0.into()).settle();
    assert_eq!((told.as_str(), cluster.images().as_str()), ("-web-1, +web-1, -web-0, +web-0", "a:2 a:2 a:2"));
    let mut deleted = Cluster::settled(2, json!({ "updateStrategy": { "type": "OnDelete" } }));
    deleted.set_image("a:2").settle();
    deleted.world = std::mem::take(&mut deleted.world).without(&POD, "n", "web-0");
    deleted.settle();
    assert_eq!(deleted.images(), "a:2 a:1");
}

#[test]
fn a_broken_revision_stops_an_update_and_can_be_left() {
    let mut cluster = Cluster::settled(3, parallel());
    cluster.set_image("a:2").step();
    assert_eq!(cluster.step(), "-web-2");
    assert_eq!([cluster.step(), cluster.step()], ["+web-2", ""], "it never gets ready");
    assert_eq!(cluster.set_image("a:3").settle(), "-web-2, +web-2, -web-1, +web-1, -web-0, +web-0");
    let mut several = Cluster::new(3, rolling(json!({ "maxUnavailable": 1 })));
    several.edit(&|set| set["spec"]["podManagementPolicy"] = "Parallel".into());
    (0..4).for_each(|_| _ = several.step());
    assert_eq!(several.set_image("a:3").images(), "a:1 a:1 a:1");
    several.step();
    assert_eq!(several.step(), "-web-2", "old ones that are not well do not stand in the way");
}

#[test]
fn a_pod_has_a_name_that_lasts() {
    let cluster = Cluster::settled(2, json!({}));
    let pod = cluster.world.object(&POD, "n", "web-1");
    let label = |key: &str| meta::label(&pod, key).unwrap_or_default().to_owned();
    assert_eq!(
        (label("statefulset.kubernetes.io/pod-name"), label("apps.kubernetes.io/pod-index")),
        ("web-1".into(), "1".into())
    );
    assert_eq!(label("controller-revision-hash"), text(&cluster.set(), "/status/updateRevision"));
    assert_eq!((text(&pod, "/spec/hostname"), text(&pod, "/spec/subdomain")), ("web-1", "s"));
    assert_eq!(meta::text(&pod, "generateName"), "web-");
    let stripped = json!({ "metadata": { "labels": { "statefulset.kubernetes.io/pod-name": null } } });
    let mut cluster = cluster;
    cluster.change("web-1", stripped).settle();
    assert_eq!(
        meta::label(&cluster.world.object(&POD, "n", "web-1"), "statefulset.kubernetes.io/pod-name"),
        Some("web-1")
    );
}

#[test]
fn only_names_of_its_own_are_its_pods() {
    let check = |name: &str, expect: Option<i64>| {
        let named = |name: &str| json!({ "metadata": { "name": name } });
        assert_eq!(identity::ordinal_of(&named("web"), &named(name)), expect, "{name}");
    };
    check("web-0", Some(0));
    check("web-12", Some(12));
    for name in ["web", "web-", "web-x", "web--1", "web-+1", "web-01", "webb-1", "web-1-2", "web-99999999999"] {
        check(name, None);
    }
}

#[test]
fn the_status_tells_how_far_an_update_is() {
    let mut cluster = Cluster::settled(2, rolling(json!({ "partition": 1 })));
    let first = text(&cluster.set(), "/status/currentRevision").to_owned();
    let counts = |cluster: &Cluster| {
        let status = cluster.status();
        ["replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas"]
            .map(|field| status[field].as_i64().unwrap_or_default())
    };
    assert_eq!(counts(&cluster), [2, 2, 2, 2, 2]);
    assert_eq!(cluster.status()["collisionCount"], 0);
    cluster.set_image("a:2").settle();
    assert_eq!(counts(&cluster), [2, 2, 2, 1, 1]);
    let status = cluster.status();
    assert_eq!((&status["currentRevision"], &status["observedGeneration"]), (&json!(first), &json!(2)));
    assert_ne!(status["updateRevision"], status["currentRevision"]);
    cluster.edit(&|set| set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0.into()).settle();
    assert_eq!(counts(&cluster), [2, 2, 2, 2, 2]);
    assert_eq!(cluster.status()["currentRevision"], cluster.status()["updateRevision"]);
    cluster.sicken("web-1").step();
    assert_eq!(counts(&cluster), [2, 1, 1, 2, 2]);
}

#[test]
fn templates_are_kept_to_go_back_to() {
    let mut cluster = Cluster::settled(1, json!({ "revisionHistoryLimit": 1 }));
    let kept = |cluster: &Cluster| {
        cluster.revisions().iter().map(|(number, image)| format!("{number}={image}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kept(&cluster), "1=a:1");
    cluster.set_image("a:2").settle();
    assert_eq!(kept(&cluster), "1=a:1 2=a:2");
    cluster.set_image("a:1").settle();
    assert_eq!(kept(&cluster), "2=a:2 3=a:1", "one that comes back is numbered anew");
    cluster.set_image("a:3").settle();
    assert_eq!(kept(&cluster), "3=a:1 4=a:3", "the oldest beyond the limit goes");
    let revision = cluster.world.list(&CONTROLLER_REVISION, "n").next().expect("a revision");
    assert_eq!(revision["data"]["spec"]["template"]["$patch"], "replace");
    assert_eq!(meta::label(&revision, "app"), Some("x"));
}

#[test]
fn a_name_that_is_taken_makes_another() {
    let name = text(&Cluster::settled(1, json!({})).set(), "/status/updateRevision").to_owned();
    let stranger = json!({ "metadata": { "name": name }, "data": {}, "revision": 1 });
    let mut other = Cluster::new(1, json!({}));
    other.world.create(&CONTROLLER_REVISION, "n", stranger);
    other.settle();
    assert_eq!((other.status()["collisionCount"].clone(), other.revisions().len()), (json!(1), 2));
    assert_ne!(text(&other.set(), "/status/updateRevision"), name);
}

/// A set with two templates of claims and this policy (`whenDeleted`, `whenScaled`).
fn claiming(replicas: i64, deleted: &str, scaled: &str) -> Cluster {
    let template = |name: &str| json!({ "metadata": { "name": name, "labels": { "own": "1" } }, "spec": { "x": 1 } });
    let policy = json!({ "whenDeleted": deleted, "whenScaled": scaled });
    Cluster::new(
        replicas,
        json!({
            "volumeClaimTemplates": [template("data"), template("log")],
            "persistentVolumeClaimRetentionPolicy": policy,
            "template": { "spec": { "volumes": [{ "name": "log", "emptyDir": {} }, { "name": "tmp", "emptyDir": {} }] } },
        }),
    )
}

fn claims(cluster: &Cluster) -> Vec<Object> {
    cluster.world.list(&PERSISTENT_VOLUME_CLAIM, "n").collect()
}

/// Claims and the names of their owners.
fn owned(cluster: &Cluster) -> String {
    let owners = |one: &Object| {
        let names = meta::owner_references(one).iter().map(|owner| text(owner, "/name")).collect::<Vec<_>>().join("+");
        format!("{}={names}", meta::name(one))
    };
    claims(cluster).iter().map(owners).collect::<Vec<_>>().join(" ")
}

#[test]
fn claims_come_before_their_pod_and_outlast_it() {
    let mut cluster = claiming(2, "Retain", "Retain");
    assert_eq!([cluster.step(), cluster.step()], ["", ""], "the revision, then the claims");
    assert_eq!(owned(&cluster), "data-web-0= log-web-0=");
    let made = &claims(&cluster)[0];
    assert_eq!(
        (meta::label(made, "own"), meta::label(made, "app"), &made["spec"]["x"]),
        (Some("1"), Some("x"), &json!(1))
    );
    assert_eq!(cluster.settle(), "+web-0, +web-1");
    let volumes = cluster.world.object(&POD, "n", "web-1")["spec"]["volumes"].clone();
    let claim = |name: &str| json!({ "name": name, "persistentVolumeClaim": { "claimName": format!("{name}-web-1") } });
    assert_eq!(volumes, json!([claim("data"), claim("log"), { "name": "tmp", "emptyDir": {} }]));
    assert_eq!(cluster.scale(1).settle(), "-web-1");
    assert_eq!(owned(&cluster), "data-web-0= data-web-1= log-web-0= log-web-1=");
    let woken = |name: &str, after: Option<Value>| {
        cluster.world.woken(&CONTROLLER, &PERSISTENT_VOLUME_CLAIM, "n", name, Some(json!({})), after)
    };
    assert_eq!(woken("data-web-7", None), [key()]);
    assert_eq!(woken("data-web-7", Some(json!({}))), []);
    assert_eq!(woken("other-web-7", None), []);
}

#[test]
fn claims_go_with_what_their_policy_says() {
    let check = |deleted: &str, scaled: &str, whole: &str, less: &str| {
        let mut cluster = claiming(2, deleted, scaled);
        cluster.settle();
        assert_eq!(owned(&cluster), whole, "{deleted} {scaled}");
        cluster.scale(1);
        while cluster.step().is_empty() {}
        assert_eq!(owned(&cluster), less, "{deleted} {scaled}");
    };
    let none = "data-web-0= data-web-1= log-web-0= log-web-1=";
    let all = "data-web-0=web data-web-1=web log-web-0=web log-web-1=web";
    check("Retain", "Retain", none, none);
    check("Delete", "Retain", all, all);
    check("Retain", "Delete", none, "data-web-0= data-web-1=web-1 log-web-0= log-web-1=web-1");
    check("Delete", "Delete", all, "data-web-0=web data-web-1=web-1 log-web-0=web log-web-1=web-1");
    let mut other = claiming(1, "Delete", "Delete");
    other.settle();
    let kept = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
    other.edit(&|set| set["spec"]["persistentVolumeClaimRetentionPolicy"] = kept.clone()).settle();
    assert_eq!(owned(&other), "data-web-0= log-web-0=", "the policy may change");
}

#[test]
fn claims_of_others_are_left_alone() {
    let owner = |kind: &str, name: &str, uid: &str| {
        let version = if kind == "Pod" { "v1" } else { "apps/v1" };
        json!([{ "apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true }])
    };
    let check = |owners: Value, expect: &str| {
        let mut cluster = claiming(1, "Delete", "Delete");
        let claim = json!({ "metadata": { "name": "data-web-0", "ownerReferences": owners }, "spec": {} });
        cluster.world.create(&PERSISTENT_VOLUME_CLAIM, "n", claim);
        let pods = cluster.settle();
        assert_eq!(format!("{pods} {}", owned(&cluster)), expect);
    };
    check(json!([]), "+web-0 data-web-0=web log-web-0=web");
    check(owner("StatefulSet", "web", "before"), "+web-0 data-web-0=web log-web-0=web");
    check(owner("Deployment", "other", "o"), "+web-0 data-web-0=other log-web-0=web");
    // It goes with the pod that had the name before.
    check(owner("Pod", "web-0", "before"), " data-web-0=web-0");
}

#[test]
fn a_claim_that_goes_holds_its_pod_back() {
    let mut cluster = claiming(1, "Retain", "Retain");
    let going = json!({ "metadata": { "name": "log-web-0", "deletionTimestamp": "2026-01-01T00:00:00Z" }, "spec": {} });
    cluster.world.create(&PERSISTENT_VOLUME_CLAIM, "n", going);
    assert_eq!((cluster.settle().as_str(), owned(&cluster).as_str()), ("", "data-web-0= log-web-0="));
    let told = cluster.world.told(&CONTROLLER, &key());
    let why = "event FailedCreate: create Pod web-0 in StatefulSet web failed error: pvc log-web-0 is being deleted";
    assert_eq!(told, [why]);
    cluster.world = std::mem::take(&mut cluster.world).without(&PERSISTENT_VOLUME_CLAIM, "n", "log-web-0");
    assert_eq!((cluster.settle().as_str(), owned(&cluster).as_str()), ("+web-0", "data-web-0= log-web-0="));
}

#[test]
fn a_claim_that_was_refused_is_told() {
    let mut cluster = claiming(1, "Retain", "Retain");
    cluster.step();
    cluster.world = std::mem::take(&mut cluster.world).failed("exceeded quota");
    let told = cluster.world.told(&CONTROLLER, &key());
    let why =
        "event FailedCreate: create Claim data-web-0 for Pod web-0 in StatefulSet web failed error: exceeded quota";
    assert!(told.iter().any(|one| one == why), "{told:?}");
    assert!(told.iter().any(|one| one == "create persistentvolumeclaims n/log-web-0"), "{told:?}");
}

#[test]
fn what_was_refused_is_told() {
    let mut cluster = Cluster::new(1, json!({}));
    cluster.step();
    cluster.world = std::mem::take(&mut cluster.world).failed("exceeded quota");
    let told = cluster.world.told(&CONTROLLER, &key());
    let why = "event FailedCreate: create Pod web-0 in StatefulSet web failed error: exceeded quota";
    assert!(told.iter().any(|one| one == why), "{told:?}");
}

#[test]
fn pods_are_available_only_after_a_while() {
    let mut cluster = Cluster::new(2, json!({ "minReadySeconds": 30 }));
    (0..2).for_each(|_| _ = cluster.step());
    cluster.world.run_pods();
    assert_eq!(cluster.step(), "", "web-0 is ready, and not yet available");
    let wake_at = cluster.world.plan(&CONTROLLER, &key()).wake_at;
    assert_eq!(wake_at, Timestamp::from_second(32).ok());
    cluster.second = 40;
    assert_eq!(cluster.step(), "+web-1");
}

#[test]
fn a_set_that_is_deleted_does_nothing_to_its_pods() {
    let mut cluster = Cluster::settled(2, json!({}));
    let dying = json!("2026-01-01T00:00:00Z");
    cluster.edit(&|set| set["metadata"]["deletionTimestamp"] = dying.clone()).set_image("a:2").scale(0);
    assert_eq!(cluster.settle(), "");
    assert_eq!(cluster.revisions().len(), 1);
}

#[test]
fn changes_of_what_it_has_wake_it() {
    let owner =
        json!([{ "kind": "StatefulSet", "apiVersion": "apps/v1", "name": "web", "uid": "u", "controller": true }]);
    let check = |kind: &'static Kind, object: Value, expect: &[&str]| {
        let keys = World::keys(&CONTROLLER, kind, "n", "web-0", None, Some(object));
        assert_eq!(keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), expect);
    };
    let owned = json!({ "metadata": { "ownerReferences": owner, "labels": { "app": "x" } } });
    check(&POD, owned.clone(), &["web"]);
    check(&CONTROLLER_REVISION, owned, &["web"]);
    check(&CONTROLLER_REVISION, json!({}), &[]);
    check(&POD, json!({ "metadata": { "labels": { "app": "x" } } }), &["orphan/web-0"]);
    let orphan = |name: &str| {
        Cluster::settled(1, json!({})).world.with(&POD, "n", name, json!({ "metadata": { "labels": { "app": "x" } } }))
    };
    let taken = |name: &str| orphan(name).told(&CONTROLLER, &Key::new("n", format!("orphan/{name}"))).len();
    assert_eq!((taken("web-1"), taken("other-1")), (1, 0));
}
