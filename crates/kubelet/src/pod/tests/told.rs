//! What the status tells in single cases.

use super::*;
use crate::observed::{ContainerState, Exit};

#[test]
fn gates_and_conditions_of_others_are_respected() {
    let mut spec = spec(&[container("a")]);
    spec["readinessGates"] = json!([{"conditionType": "example.com/open"}]);
    let mut world = World::new(spec, |_, _| Act::Serve);
    world.run_to(1);
    let ready = |world: &World| {
        let all = world.status()["conditions"].as_array().cloned().unwrap_or_default();
        let one = all.into_iter().find(|one| one["type"] == "Ready").expect("it is told");
        (one["status"].clone(), one["reason"].clone(), one["message"].clone(), one["observedGeneration"].clone())
    };
    let text = "corresponding condition of pod readiness gate \"example.com/open\" does not exist.";
    assert_eq!(ready(&world), (json!("False"), json!("ReadinessGatesNotReady"), json!(text), json!(1)));
    let set = |world: &mut World, kind: &str, status: &str| {
        let all = world.object.as_mut().unwrap()["status"]["conditions"].as_array_mut().unwrap();
        all.retain(|one| one["type"] != kind);
        all.push(json!({"type": kind, "status": status, "reason": "Theirs"}));
        world.run_to(2);
    };
    set(&mut world, "example.com/open", "False");
    let text = "the status of pod readiness gate \"example.com/open\" is not \"True\", but False";
    assert_eq!(ready(&world).2, json!(text));
    set(&mut world, "example.com/open", "True");
    assert_eq!(ready(&world).0, json!("True"));
    set(&mut world, "DisruptionTarget", "True");
    world.run_to(3);
    let last = world.status()["conditions"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["type"], &last["reason"]), (&json!("DisruptionTarget"), &json!("Theirs")));
}

#[test]
fn ends_have_their_reasons() {
    let check = |code: Option<i32>, oom_killed: bool, expect: (i32, &str)| {
        let mut spec = spec(&[container("a")]);
        spec["restartPolicy"] = "Never".into();
        let mut world = World::new(spec, |_, _| Act::Serve);
        world.run_to(1);
        let at = world.now;
        let exit = Exit { code, oom_killed, started_at: at, finished_at: at, message: None };
        world.observed.containers[0].state = ContainerState::Exited(exit);
        world.run_to(2);
        let ended = &world.status()["containerStatuses"][0]["state"]["terminated"];
        assert_eq!((&ended["exitCode"], &ended["reason"]), (&json!(expect.0), &json!(expect.1)));
        assert_eq!(ended["containerID"], "containerd://a-0");
    };
    check(Some(0), false, (0, "Completed"));
    check(Some(2), false, (2, "Error"));
    check(Some(137), true, (137, "OOMKilled"));
    check(None, false, (255, "Unknown"));
}

#[test]
fn a_container_that_vanished_is_not_forgotten() {
    let check = |policy: &str, phase: &str, expect: &str| {
        let mut spec = spec(&[container("a")]);
        spec["restartPolicy"] = policy.into();
        let mut world = World::new(spec, |_, _| Act::Serve);
        world.run_to(1);
        world.observed.containers.clear();
        world.run_to(2);
        assert_eq!((&world.status()["phase"], state(&world, "a").as_str()), (&json!(phase), expect));
    };
    check("Always", "Running", "running 1 ready");
    check("Never", "Failed", "ContainerStatusUnknown 0 unready");
}

#[test]
fn ephemeral_containers_run_once_and_decide_nothing() {
    let mut world =
        World::new(spec(&[container("a")]), |name, _| if name == "debug" { Act::End(1, 1) } else { Act::Serve });
    world.run_to(1);
    world.object.as_mut().unwrap()["spec"]["ephemeralContainers"] = json!([container("debug")]);
    world.run_to(60);
    assert_eq!((state(&world, "debug").as_str(), state(&world, "a").as_str()), ("Error 0 unready", "running 0 ready"));
    assert!(world.status()["ephemeralContainerStatuses"][0].get("started").is_none());
    assert_eq!(world.status()["phase"], "Running");
}

#[test]
fn an_ephemeral_container_joins_the_processes_of_one_that_is_there() {
    let check = |target: &str, expect: &str| {
        let mut world = World::new(spec(&[container("a")]), |_, _| Act::Serve);
        world.run_to(1);
        let mut debug = container("debug");
        debug["targetContainerName"] = target.into();
        world.object.as_mut().unwrap()["spec"]["ephemeralContainers"] = json!([debug]);
        world.run_to(3);
        let now = &world.status()["ephemeralContainerStatuses"][0]["state"];
        assert!(now.to_string().contains(expect), "{target}: {now}");
    };
    check("a", "running");
    check("gone", "\"unable to find target container gone\",\"reason\":\"CreateContainerConfigError\"");
}

#[test]
fn a_probe_may_have_a_grace_of_its_own() {
    let mut one = container("a");
    one["livenessProbe"] = json!({"tcpSocket": {"port": 1}, "failureThreshold": 1, "terminationGracePeriodSeconds": 3});
    let mut world = World::new(spec(&[one]), |_, attempt| if attempt == 0 { Act::Deaf } else { Act::Serve });
    world.probes = |_, second| second > 0;
    world.run_to(20);
    let one = &world.status()["containerStatuses"][0];
    assert_eq!((&one["restartCount"], &one["lastState"]["terminated"]["exitCode"]), (&json!(1), &json!(137)));
    assert_eq!(one["lastState"]["terminated"]["finishedAt"], "2026-01-01T00:00:03Z");
}

#[test]
fn a_pod_may_use_the_hosts_network() {
    let mut spec = spec(&[container("a")]);
    spec["hostNetwork"] = true.into();
    let mut world = World::new(spec, |_, _| Act::Serve);
    world.run_to(1);
    assert_eq!((&world.status()["podIP"], &world.status()["phase"]), (&json!("192.0.2.1"), &json!("Running")));
    assert!(world.observed.network.is_none() && !world.steps.iter().any(|step| step.ends_with("AttachNetwork")));
}
