//! CronJobs through time: when Jobs are made, and what the status tells.

use super::*;
use crate::world::World;

fn at(time: &str) -> i64 {
    meta::parse_time(time).expect("a time").as_second()
}

fn key() -> Key {
    Key::new("n", "c")
}

/// A CronJob made at midnight, with these fields.
fn world(change: &Value) -> World {
    let pods = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "a:1" }] });
    let mut spec = json!({ "schedule": "0 * * * *", "jobTemplate": { "spec": { "template": { "spec": pods } } } });
    api::patch::merge(&mut spec, change.to_string().as_bytes()).expect("a sound change");
    let mut world = World::default().at(at("2026-01-01T00:00:00Z"));
    world.create(&CRON_JOB, "n", json!({ "metadata": { "name": "c" }, "spec": spec }));
    world
}

fn jobs(world: &World) -> Vec<String> {
    world.list(&JOB, "n").map(|job| meta::name(&job).to_owned()).collect()
}

fn status(world: &World) -> Value {
    world.object(&CRON_JOB, "n", "c")["status"].clone()
}

/// What is told by the news of one run, then of another.
fn step(world: &mut World) -> Vec<String> {
    let mut told = world.step(&CONTROLLER, &key());
    told.extend(world.step(&CONTROLLER, &key()));
    told.retain(|one| one.starts_with("event"));
    told
}

fn finish(world: &mut World, name: &str, condition: &str) {
    world.change(&JOB, "n", name, |job| {
        job["status"] = json!({ "startTime": "2026-01-01T01:00:00Z", "completionTime": "2026-01-01T01:00:09Z",
                                "conditions": [{ "type": condition, "status": "True" }] });
    });
}

/// Minutes since 1970 at 01:00 of that day.
const ONE: i64 = 29_453_820;

#[test]
fn a_job_is_made_when_its_time_has_come_and_followed_to_its_end() {
    let mut world = world(&json!({}));
    assert_eq!(world.told(&CONTROLLER, &key()), Vec::<String>::new());
    let wake = world.plan(&CONTROLLER, &key()).wake_at.expect("it waits");
    assert_eq!(wake.as_millisecond(), at("2026-01-01T01:00:00Z") * 1000 + 100);
    world = world.at(at("2026-01-01T01:00:00Z"));
    let name = format!("c-{ONE}");
    assert_eq!(step(&mut world), [format!("event SuccessfulCreate: Created job {name}")]);
    assert_eq!(jobs(&world), std::slice::from_ref(&name));
    let job = world.object(&JOB, "n", &name);
    assert_eq!(meta::annotation(&job, SCHEDULED), Some("2026-01-01T01:00:00Z"));
    let told = status(&world);
    assert_eq!(
        (text(&told, "/lastScheduleTime"), text(&told, "/active/0/name")),
        ("2026-01-01T01:00:00Z", name.as_str())
    );
    assert_eq!(step(&mut world), Vec::<String>::new(), "once");
    finish(&mut world, &name, "Complete");
    assert_eq!(step(&mut world), [format!("event SawCompletedJob: Saw completed job: {name}, status: Complete")]);
    let told = status(&world);
    assert_eq!((told.get("active"), text(&told, "/lastSuccessfulTime")), (None, "2026-01-01T01:00:09Z"));
}

#[test]
fn times_missed_are_made_up_for_once_unless_too_late() {
    let check = |spec: Value, now: &str, made: usize, expect: &[&str]| {
        let mut world = world(&spec).at(at(now));
        assert_eq!(step(&mut world), expect, "{spec} {now}");
        assert_eq!(jobs(&world).len(), made, "{spec} {now}");
    };
    let three = format!("event SuccessfulCreate: Created job c-{}", ONE + 120);
    check(json!({}), "2026-01-01T03:30:00Z", 1, &[&three]);
    check(json!({ "startingDeadlineSeconds": 60 }), "2026-01-01T03:30:00Z", 0, &[]);
    check(json!({ "startingDeadlineSeconds": 3600 }), "2026-01-01T03:30:00Z", 1, &[&three]);
    check(json!({ "suspend": true }), "2026-01-01T03:30:00Z", 0, &[]);
    let many = "event TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
    let last = format!("event SuccessfulCreate: Created job c-{}", ONE + 199 * 60);
    check(json!({}), "2026-01-09T08:30:00Z", 1, &[many, &last]);
    let senseless = "event InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second";
    check(json!({ "schedule": "0 0 31 2 *" }), "2026-01-01T03:30:00Z", 0, &[senseless, senseless]);
}

#[test]
fn a_job_that_runs_is_left_waited_for_or_replaced() {
    let check = |policy: &str, names: &[i64], expect: &str| {
        let mut world = world(&json!({ "concurrencyPolicy": policy })).at(at("2026-01-01T01:00:00Z"));
        step(&mut world);
        world = world.at(at("2026-01-01T02:00:00Z"));
        let told = step(&mut world);
        assert!(told.iter().any(|one| one == expect), "{policy}: {told:?}");
        assert_eq!(jobs(&world), names.iter().map(|minute| format!("c-{minute}")).collect::<Vec<_>>(), "{policy}");
    };
    let made = format!("event SuccessfulCreate: Created job c-{}", ONE + 60);
    check("Allow", &[ONE, ONE + 60], &made);
    let waits =
        "event JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid";
    check("Forbid", &[ONE], waits);
    check("Replace", &[ONE + 60], &format!("event SuccessfulDelete: Deleted job c-{ONE}"));
}

#[test]
fn the_oldest_that_ended_go() {
    let mut world = world(&json!({ "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0 }));
    let owner = json!([{ "kind": "CronJob", "apiVersion": "batch/v1", "name": "c", "uid": "u-c", "controller": true }]);
    let ended = |start: &str, condition: &str| {
        json!({ "metadata": { "ownerReferences": owner },
                "status": { "startTime": start, "conditions": [{ "type": condition, "status": "True" }] } })
    };
    world = world
        .with(&JOB, "n", "b-old", ended("2026-01-01T00:00:01Z", "Complete"))
        .with(&JOB, "n", "a-new", ended("2026-01-01T00:00:02Z", "Complete"))
        .with(&JOB, "n", "bad", ended("2026-01-01T00:00:03Z", "Failed"));
    step(&mut world);
    assert_eq!(jobs(&world), ["a-new"]);
}

#[test]
fn strangers_and_the_missing_are_told_of() {
    let mut world = world(&json!({})).at(at("2026-01-01T01:00:00Z"));
    step(&mut world);
    world = world.without(&JOB, "n", &format!("c-{ONE}"));
    assert_eq!(
        world.step(&CONTROLLER, &key()).last().unwrap(),
        &format!("event MissingJob: Active job went missing: c-{ONE}")
    );
    let owner = json!([{ "kind": "CronJob", "apiVersion": "batch/v1", "name": "c", "uid": "u-c", "controller": true }]);
    world = world.with(&JOB, "n", "hand", json!({ "metadata": { "ownerReferences": owner } }));
    let unexpected = "event UnexpectedJob: Saw a job that the controller did not create or forgot: hand";
    assert_eq!(world.told(&CONTROLLER, &key()), [unexpected]);
}

#[test]
fn times_are_by_the_clocks_of_the_zone() {
    let mut world = world(&json!({ "schedule": "0 9 * * *", "timeZone": "Europe/Berlin" }));
    world = world.at(at("2026-01-01T08:00:00Z"));
    step(&mut world);
    let job = world.object(&JOB, "n", &jobs(&world)[0]);
    assert_eq!(meta::annotation(&job, SCHEDULED), Some("2026-01-01T09:00:00+01:00"));
    assert_eq!(text(&status(&world), "/lastScheduleTime"), "2026-01-01T08:00:00Z");
}
