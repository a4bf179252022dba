//! Jobs in a small world: whole lives step by step, each step from what is stored alone, and single decisions.

use api::kinds::{
    job::{INDEX, INDEX_FAILURES},
    read::items,
};

use super::*;
use crate::world::World;

/// Steps after which a life that does not rest is a fault.
const STEPS: usize = 40;

fn key() -> Key {
    Key::new("n", "j")
}

/// A world with a Job of this spec, at a time.
fn world(change: &Value) -> World {
    let pods = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "a:1" }] });
    let mut spec = json!({ "template": { "spec": pods } });
    api::patch::merge(&mut spec, change.to_string().as_bytes()).expect("a sound change");
    let mut world = World::default().at(1000);
    let mut job = json!({ "metadata": { "name": "j", "uid": "u-j" }, "spec": spec });
    meta::set_generation(&mut job, 1);
    world.create(&JOB, "n", job);
    world
}

fn job(world: &World) -> Object {
    world.object(&JOB, "n", "j")
}

fn pods(world: &World) -> Vec<Object> {
    world.list(&POD, "n").collect()
}

/// Runs until nothing is wanted; what the API refuses of a status fails.
fn settle(world: &mut World) -> Vec<String> {
    let mut told = Vec::new();
    for _ in 0..STEPS {
        let before = job(world);
        let mut news = world.step(&CONTROLLER, &key());
        let mut errors = api::field::Errors::new();
        (JOB.hooks.validate_part.expect("it has parts"))("status", &job(world), &before, &mut errors);
        assert!(errors.is_empty(), "{errors}");
        if news.is_empty() {
            return told;
        }
        told.append(&mut news);
    }
    panic!("it does not come to rest: {told:?}");
}

/// Pods that run end so, at this time.
fn end(world: &mut World, phase: &str, only: impl Fn(&Value) -> bool, second: i64) {
    let at = Timestamp::from_second(second).expect("a time");
    for pod in pods(world).iter().filter(|pod| text(pod, "/status/phase") == "Pending" && only(pod)) {
        world.change(&POD, "n", meta::name(pod), |pod| {
            let code = i64::from(phase == "Failed");
            let ended = json!({ "exitCode": code, "finishedAt": meta::time(at) });
            pod["spec"]["nodeName"] = "node".into();
            pod["status"] =
                json!({ "phase": phase, "containerStatuses": [{ "name": "c", "state": { "terminated": ended } }] });
        });
    }
}

fn conditions(world: &World) -> Vec<String> {
    let tell = |one: &Value| format!("{}={} {}", text(one, "/type"), text(one, "/status"), text(one, "/reason"));
    items(&job(world), "/status/conditions").iter().map(tell).collect()
}

/// The numbers of the status: active, succeeded, failed.
fn counts(world: &World) -> [i64; 3] {
    ["active", "succeeded", "failed"].map(|field| api::kinds::workload::count(&job(world), &format!("/status/{field}")))
}

fn tracked(world: &World) -> usize {
    pods(world).iter().filter(|pod| is_tracked(pod)).count()
}

#[test]
fn a_job_runs_until_enough_have_succeeded() {
    let mut world = world(&json!({ "completions": 3, "parallelism": 2 }));
    settle(&mut world);
    assert_eq!((counts(&world), tracked(&world)), ([2, 0, 0], 2));
    end(&mut world, "Succeeded", |_| true, 1001);
    settle(&mut world);
    assert_eq!((counts(&world), tracked(&world)), ([1, 2, 0], 1));
    end(&mut world, "Succeeded", |_| true, 1002);
    let told = settle(&mut world);
    assert_eq!((counts(&world), tracked(&world)), ([0, 3, 0], 0));
    let reason = "CompletionsReached";
    assert_eq!(conditions(&world), [format!("SuccessCriteriaMet=True {reason}"), format!("Complete=True {reason}")]);
    assert_eq!(told.last().map(String::as_str), Some("event Completed: Job completed"));
    assert_eq!(job(&world)["status"]["uncountedTerminatedPods"], json!({}));
}

/// A pod's end is noted before the pod is let go, and counted after.
#[test]
fn an_end_is_counted_once_whoever_stops_when() {
    let mut world = world(&json!({ "completions": 2, "parallelism": 1 }));
    settle(&mut world);
    end(&mut world, "Succeeded", |_| true, 1001);
    let noted = |world: &World| items(&job(world), "/status/uncountedTerminatedPods/succeeded").len();
    let seen = |world: &World| (noted(world), tracked(world).min(1), counts(world)[1]);
    let mut order = vec![seen(&world)];
    // Only actions of one kind at a time are carried out: the rest is lost with its leader.
    for _ in 0..STEPS {
        let plan = world.plan(&CONTROLLER, &key());
        let keep = |action: &Action| !matches!(action, Action::Then(..));
        plan.actions.into_iter().filter(keep).take(1).for_each(|action| world.carry_out(action));
        if order.last() != Some(&seen(&world)) {
            order.push(seen(&world));
        }
    }
    assert_eq!(order, [(0, 1, 0), (1, 1, 0), (1, 0, 0), (0, 0, 1)]);
}

#[test]
fn failures_wait_twice_as_long_up_to_the_limit() {
    let mut world = world(&json!({ "backoffLimit": 2 }));
    settle(&mut world);
    for (failed, wait) in [(1, 10), (2, 20)] {
        let now = 1000 * failed;
        world = world.at(now);
        end(&mut world, "Failed", |_| true, now);
        settle(&mut world);
        assert_eq!(counts(&world), [0, 0, failed]);
        let woken = world.plan(&CONTROLLER, &key()).wake_at.expect("it waits");
        assert_eq!(woken.as_second(), now + wait);
        world = world.at(now + wait);
        settle(&mut world);
        assert_eq!(counts(&world), [1, 0, failed]);
    }
    world = world.at(9000);
    end(&mut world, "Failed", |_| true, 9000);
    let told = settle(&mut world);
    assert_eq!(counts(&world), [0, 0, 3]);
    let reason = "BackoffLimitExceeded";
    assert_eq!(conditions(&world), [format!("FailureTarget=True {reason}"), format!("Failed=True {reason}")]);
    let news = "event BackoffLimitExceeded: Job has reached the specified backoff limit";
    assert_eq!(told.last().map(String::as_str), Some(news));
}

#[test]
fn what_runs_when_a_job_fails_is_stopped_and_counts_as_failed() {
    let mut world = world(&json!({ "parallelism": 2, "completions": 2, "activeDeadlineSeconds": 60 }));
    settle(&mut world);
    let plan = world.plan(&CONTROLLER, &key());
    assert_eq!(plan.wake_at.map(|at| at.as_second()), Some(1060));
    world = world.at(1060);
    let told = settle(&mut world);
    assert_eq!(conditions(&world)[0], "FailureTarget=True DeadlineExceeded");
    assert_eq!(told.iter().filter(|one| one.starts_with("event SuccessfulDelete")).count(), 2);
    assert_eq!(pods(&world).len(), 0);
}

#[test]
fn each_index_has_one_pod_that_knows_it() {
    let mut world = world(&json!({ "completionMode": "Indexed", "completions": 3, "parallelism": 3 }));
    settle(&mut world);
    let told = |pod: &Object| {
        let env = text(pod, "/spec/containers/0/env/0/name").to_owned();
        (meta::annotation(pod, INDEX).map(str::to_owned), text(pod, "/spec/hostname").to_owned(), env)
    };
    let expect = |index: i64| (Some(index.to_string()), format!("j-{index}"), "JOB_COMPLETION_INDEX".to_owned());
    assert_eq!(pods(&world).iter().map(told).collect::<Vec<_>>(), (0..3).map(expect).collect::<Vec<_>>());
    assert!(pods(&world).iter().all(|pod| meta::label(pod, INDEX) == meta::annotation(pod, INDEX)));
    end(&mut world, "Succeeded", |pod| meta::annotation(pod, INDEX) == Some("1"), 1001);
    settle(&mut world);
    assert_eq!(job(&world)["status"]["completedIndexes"], "1");
    end(&mut world, "Succeeded", |_| true, 1002);
    settle(&mut world);
    assert_eq!((counts(&world), text(&job(&world), "/status/completedIndexes")), ([0, 3, 0], "0-2"));
    assert_eq!(conditions(&world).len(), 2);
}

#[test]
fn an_index_that_fails_alone_takes_its_failures_along() {
    let spec = json!({ "completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 1 });
    let mut world = world(&spec);
    settle(&mut world);
    let is_one = |pod: &Value| meta::annotation(pod, INDEX) == Some("1");
    end(&mut world, "Failed", is_one, 1000);
    settle(&mut world);
    assert_eq!(tracked(&world), 2, "the failed one is kept until another has its number");
    assert_eq!(world.plan(&CONTROLLER, &key()).wake_at.map(|at| at.as_second()), Some(1010));
    world = world.at(1010);
    settle(&mut world);
    let second = pods(&world).into_iter().find(|pod| is_one(pod) && is_tracked(pod)).expect("another");
    assert_eq!(meta::annotation(&second, INDEX_FAILURES), Some("1"));
    end(&mut world, "Failed", is_one, 1020);
    settle(&mut world);
    assert_eq!(job(&world)["status"]["failedIndexes"], "1");
    end(&mut world, "Succeeded", |_| true, 1030);
    settle(&mut world);
    assert_eq!((counts(&world), conditions(&world)[1].as_str()), ([0, 1, 2], "Failed=True FailedIndexes"));
}

#[test]
fn a_success_policy_ends_a_job_early_and_the_rest_is_no_failure() {
    let rules = json!({ "rules": [{ "succeededIndexes": "0,2", "succeededCount": 1 }] });
    let mut world =
        world(&json!({ "completionMode": "Indexed", "completions": 3, "parallelism": 3, "successPolicy": rules }));
    settle(&mut world);
    end(&mut world, "Succeeded", |pod| meta::annotation(pod, INDEX) == Some("2"), 1001);
    settle(&mut world);
    assert_eq!(conditions(&world), ["SuccessCriteriaMet=True SuccessPolicy", "Complete=True SuccessPolicy"]);
    assert_eq!((counts(&world), pods(&world).len()), ([0, 1, 0], 1));
}

#[test]
fn rules_of_failure_ignore_fail_and_count() {
    let check = |rule: Value, status: Value, limit: i64, failed: i64, expect: &[&str]| {
        let policy = json!({ "rules": [rule] });
        let mut world = world(&json!({ "podFailurePolicy": policy, "backoffLimit": limit }));
        settle(&mut world);
        let name = meta::name(&pods(&world)[0]).to_owned();
        world.change(&POD, "n", &name, |pod| {
            pod["spec"]["nodeName"] = "node".into();
            pod["status"] = status.clone();
        });
        settle(&mut world);
        assert_eq!(
            (counts(&world)[2], conditions(&world)),
            (failed, expect.iter().map(|one| (*one).to_owned()).collect())
        );
    };
    let exited = |code: i64| {
        let ended = json!({ "exitCode": code, "finishedAt": "1970-01-01T00:16:40Z" });
        json!({ "phase": "Failed", "containerStatuses": [{ "name": "c", "state": { "terminated": ended } }] })
    };
    let codes = |action: &str, operator: &str| json!({ "action": action, "onExitCodes": { "operator": operator, "values": [3] } });
    let fails = ["FailureTarget=True PodFailurePolicy", "Failed=True PodFailurePolicy"];
    check(codes("FailJob", "In"), exited(3), 6, 1, &fails);
    check(codes("FailJob", "In"), exited(4), 6, 1, &[]);
    check(codes("FailJob", "NotIn"), exited(4), 6, 1, &fails);
    check(codes("Ignore", "In"), exited(3), 0, 0, &[]);
    check(codes("Count", "In"), exited(3), 6, 1, &[]);
    let condition = json!([{ "type": "DisruptionTarget", "status": "True" }]);
    let ignore = json!({ "action": "Ignore", "onPodConditions": condition });
    check(ignore, json!({ "phase": "Failed", "conditions": condition }), 0, 0, &[]);
}

#[test]
fn a_job_rests_and_goes_on() {
    let mut world = world(&json!({ "parallelism": 2, "completions": 2 }));
    settle(&mut world);
    world.change(&JOB, "n", "j", |job| job["spec"]["suspend"] = true.into());
    let told = settle(&mut world);
    assert!(told.contains(&"event Suspended: Job suspended".to_owned()), "{told:?}");
    assert_eq!((pods(&world).len(), counts(&world)), (0, [0, 0, 0]));
    assert_eq!(job(&world)["status"].get("startTime"), None);
    world = world.at(2000);
    world.change(&JOB, "n", "j", |job| job["spec"]["suspend"] = false.into());
    let told = settle(&mut world);
    assert!(told.contains(&"event Resumed: Job resumed".to_owned()), "{told:?}");
    assert_eq!((counts(&world), conditions(&world)), ([2, 0, 0], vec!["Suspended=False JobResumed".to_owned()]));
    assert_eq!(text(&job(&world), "/status/startTime"), "1970-01-01T00:33:20Z");
}

#[test]
fn fewer_at_once_are_taken_back_without_counting() {
    let mut world = world(&json!({ "parallelism": 3, "completions": 9 }));
    settle(&mut world);
    world.change(&JOB, "n", "j", |job| job["spec"]["parallelism"] = 1.into());
    settle(&mut world);
    assert_eq!((pods(&world).len(), counts(&world)), (1, [1, 0, 0]));
}

#[test]
fn a_pod_on_its_way_out_is_replaced_as_the_policy_says() {
    let check = |policy: &str, active: i64, failed: i64| {
        let mut world = world(&json!({ "podReplacementPolicy": policy }));
        settle(&mut world);
        let name = meta::name(&pods(&world)[0]).to_owned();
        world.change(&POD, "n", &name, |pod| {
            pod["spec"]["nodeName"] = "node".into();
            pod["status"]["phase"] = "Running".into();
            pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:01Z".into();
        });
        settle(&mut world);
        assert_eq!(counts(&world), [active, 0, failed], "{policy}");
    };
    check("TerminatingOrFailed", 1, 1);
    check("Failed", 0, 0);
}

#[test]
fn pods_without_their_job_are_let_go() {
    let pod = |owner: &str, uid: &str| {
        let owner = json!([{ "kind": owner, "apiVersion": "batch/v1", "name": "j", "uid": uid, "controller": true }]);
        json!({ "metadata": { "finalizers": [TRACKING, "a.io/b"], "ownerReferences": owner } })
    };
    let check = |world: World, pod: Value, goes: bool| {
        let world = world.with(&POD, "n", "p", pod);
        let expect = ["patch pods n/p {\"metadata\":{\"finalizers\":[\"a.io/b\"]}}"];
        assert_eq!(world.told(&CONTROLLER, &orphan_key("n", "p")), expect[..usize::from(goes)]);
    };
    check(World::default(), pod("Job", "u-j"), true);
    check(world(&json!({})), pod("Job", "u-j"), false);
    check(world(&json!({})), pod("Job", "another"), true);
    check(World::default(), pod("Other", "u-j"), false);
    check(World::default(), json!({ "metadata": { "finalizers": [TRACKING, "a.io/b"] } }), true);
    check(world(&json!({ "managedBy": "a.io/b" })), pod("Job", "u-j"), false);
    let old = pod("Job", "u-j");
    let keys =
        World::default().with(&POD, "n", "p", old.clone()).woken(&CONTROLLER, &JOB, "n", "j", Some(json!({})), None);
    assert_eq!(keys, [key(), orphan_key("n", "p")], "a Job that is gone wakes its pods");
    assert_eq!(World::keys(&CONTROLLER, &POD, "n", "p", None, Some(old)), [key(), orphan_key("n", "p")]);
}

#[test]
fn a_job_adopts_what_it_selects() {
    let labels = json!({ "app": "x" });
    let spec = json!({ "manualSelector": true, "selector": { "matchLabels": labels }, "template": { "metadata": { "labels": labels } } });
    let mut world = world(&spec).with(
        &POD,
        "n",
        "p",
        json!({ "metadata": { "labels": labels }, "status": { "phase": "Succeeded" } }),
    );
    settle(&mut world);
    assert_eq!((pods(&world).len(), counts(&world)), (1, [0, 1, 0]));
}

#[test]
fn others_jobs_are_left_alone() {
    assert_eq!(world(&json!({ "managedBy": "a.io/b" })).told(&CONTROLLER, &key()), Vec::<String>::new());
}
