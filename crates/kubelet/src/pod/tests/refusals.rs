//! What goes wrong, and how it is told; probes.

use super::*;
use crate::history::Verdict;

#[test]
fn an_image_that_is_not_there_is_waited_for() {
    let mut one = container("a");
    one["image"] = "gone:1".into();
    let mut world = World::new(spec(&[one]), |_, _| Act::Serve);
    world.run_to(1);
    assert_eq!(state(&world, "a"), "ErrImagePull 0 unready");
    world.run_to(5);
    assert_eq!(state(&world, "a"), "ImagePullBackOff 0 unready");
    let waiting = &world.status()["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["message"], "Back-off pulling image \"gone:1\": ErrImagePull: not found");
    assert_eq!(
        world.events,
        [
            "0 Pulling spec.containers{a} Pulling image \"gone:1\"",
            "0 Failed spec.containers{a} Failed to pull image \"gone:1\": not found",
            "0 Failed spec.containers{a} Error: ErrImagePull",
            "2 BackOff spec.containers{a} Back-off pulling image \"gone:1\"",
            "2 Failed spec.containers{a} Error: ImagePullBackOff",
        ]
    );
    world.registry.insert("gone:1".into());
    world.run_to(11);
    assert_eq!(state(&world, "a"), "running 0 ready");
}

#[test]
fn what_cannot_be_started_says_why() {
    let check = |change: fn(&mut Value), expect: &str, message: &str, event: &str| {
        let mut one = container("a");
        change(&mut one);
        let mut world = World::new(spec(&[one]), |_, _| Act::Serve);
        world.config_map("cm", None);
        world.run_to(3);
        assert_eq!(state(&world, "a"), expect);
        assert_eq!(world.status()["containerStatuses"][0]["state"]["waiting"]["message"], message);
        assert!(world.events.iter().any(|one| one == event), "{:#?}", world.events);
        assert_eq!(world.status()["phase"], "Pending");
    };
    check(
        |one| one["envFrom"] = json!([{"configMapRef": {"name": "cm"}}]),
        "CreateContainerConfigError 0 unready",
        "configmap \"cm\" not found",
        "0 Failed spec.containers{a} Error: configmap \"cm\" not found",
    );
    check(
        |one| one["securityContext"] = json!({"runAsNonRoot": true}),
        "CreateContainerConfigError 0 unready",
        "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: a)",
        "0 Failed spec.containers{a} Error: container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: a)",
    );
    check(
        |one| one["image"] = "A B".into(),
        "InvalidImageName 0 unready",
        "Failed to apply default image tag \"A B\": couldn't parse image name \"A B\": invalid reference format",
        "0 Failed spec.containers{a} Error: InvalidImageName",
    );
    check(
        |one| {
            one["image"] = "x:1".into();
            one["imagePullPolicy"] = "Never".into();
        },
        "ErrImageNeverPull 0 unready",
        "Container image \"x:1\" is not present with pull policy of Never",
        "0 ErrImageNeverPull spec.containers{a} Container image \"x:1\" is not present with pull policy of Never",
    );
}

#[test]
fn a_program_that_does_not_start_is_an_error() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::Unstartable);
    world.run_to(5);
    assert_eq!(state(&world, "a"), "CrashLoopBackOff 1 unready");
    let last = &world.status()["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(128), &json!("StartError")));
    assert!(world.events.contains(&"0 Failed spec.containers{a} Error: exec: \"/no\": no such file".to_owned()));
}

#[test]
fn a_missing_volume_is_told_and_comes() {
    let mut spec = spec(&[container("a")]);
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "cm"}}]);
    let mut world = World::new(spec, |_, _| Act::Serve);
    world.config_map("cm", None);
    world.run_to(5);
    assert_eq!(state(&world, "a"), "ContainerCreating 0 unready");
    assert_eq!(
        world.events[0],
        "0 FailedMount  MountVolume.SetUp failed for volume \"v\" : configmap \"cm\" not found"
    );
    assert_eq!(conditions(&world)[0], "PodReadyToStartContainers=False");
    world.config_map("cm", Some(json!({"k": "1"})));
    world.run_to(20);
    assert_eq!(state(&world, "a"), "running 0 ready");
    let before = world.observed.volumes;
    world.config_map("cm", Some(json!({"k": "2"})));
    world.run_to(21);
    assert_ne!(world.observed.volumes, before, "files follow the object");
}

#[test]
fn tokens_are_renewed_while_a_pod_runs() {
    let mut spec = spec(&[container("a")]);
    spec["volumes"] = json!([{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 1000}}]}}]);
    let mut world = World::new(spec, |_, _| Act::Serve);
    world.run_to(2_000);
    let renewed: Vec<&String> = world.steps.iter().filter(|step| step.ends_with("PrepareVolumes")).collect();
    assert_eq!(
        renewed.len(),
        5,
        "made at 0, renewed at 800 and 1600, each with the set that has nothing to renew after: {renewed:?}"
    );
    assert_eq!(world.observed.tokens["t/t"].issued_at, crate::text::later(world.start, crate::text::seconds(1_600)));
}

#[test]
fn a_sandbox_that_cannot_be_made_is_tried_again() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::Serve);
    world.broken.insert("RunSandbox");
    world.run_to(20);
    assert_eq!(world.events[0], "0 FailedCreatePodSandBox  Failed to create pod sandbox: it is broken");
    let tries: Vec<&String> = world.steps.iter().filter(|step| step.ends_with("RunSandbox")).collect();
    assert_eq!(tries, ["0 RunSandbox", "1 RunSandbox", "3 RunSandbox", "7 RunSandbox", "15 RunSandbox"]);
    world.broken.clear();
    world.run_to(30);
    assert_eq!(state(&world, "a"), "running 0 ready");
}

#[test]
fn a_refused_pod_fails_and_never_runs() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::Serve);
    world.refused = Some(Verdict { reason: "NodeAffinity".into(), message: "Pod was rejected: no".into() });
    world.run_to(5);
    assert_eq!((&world.status()["phase"], &world.status()["reason"]), (&json!("Failed"), &json!("NodeAffinity")));
    assert_eq!((&world.status()["containerStatuses"], &world.status()["podIP"]), (&json!(null), &json!(null)));
    assert!(world.observed.sandboxes.is_empty());
}

#[test]
fn probes_make_ready_and_restart() {
    let mut one = container("a");
    one["readinessProbe"] = json!({"tcpSocket": {"port": 1}, "periodSeconds": 5, "initialDelaySeconds": 2});
    one["livenessProbe"] = json!({"tcpSocket": {"port": 1}, "periodSeconds": 10, "failureThreshold": 2});
    let mut world = World::new(spec(&[one]), |_, _| Act::Serve);
    world.probes = |_, second| !(20..50).contains(&second);
    world.run_to(1);
    assert_eq!(state(&world, "a"), "running 0 unready");
    assert_eq!(world.status()["conditions"][2]["message"], "containers with unready status: [a]");
    world.run_to(3);
    assert_eq!(state(&world, "a"), "running 0 ready");
    world.run_to(31);
    assert_eq!(state(&world, "a"), "running 1 unready");
    let of = |reason: &str| world.events.iter().filter(|event| event.contains(reason)).cloned().collect::<Vec<_>>();
    assert_eq!(of("Killing"), ["30 Killing spec.containers{a} Container a failed liveness probe, will be restarted"]);
    assert!(of("Unhealthy").contains(&"20 Unhealthy spec.containers{a} Liveness probe failed: no".to_owned()));
    world.run_to(60);
    assert_eq!(state(&world, "a"), "running 2 ready");
}

#[test]
fn a_startup_probe_holds_back_the_others() {
    let mut one = container("a");
    one["startupProbe"] = json!({"exec": {"command": ["x"]}, "periodSeconds": 3, "failureThreshold": 10});
    one["livenessProbe"] = json!({"tcpSocket": {"port": 1}, "failureThreshold": 1});
    let mut world = World::new(spec(&[one]), |_, _| Act::Serve);
    world.probes = |_, second| second >= 9;
    world.run_to(8);
    assert_eq!(world.status()["containerStatuses"][0]["started"], false);
    world.run_to(10);
    assert_eq!(
        (state(&world, "a").as_str(), &world.status()["containerStatuses"][0]["started"]),
        ("running 0 ready", &json!(true))
    );
}

#[test]
fn a_resize_waits_for_the_next_start_and_says_so() {
    let mut world =
        World::new(spec(&[container("a")]), |_, attempt| if attempt == 0 { Act::End(10, 1) } else { Act::Serve });
    world.run_to(1);
    world.object.as_mut().unwrap()["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    world.run_to(5);
    assert_eq!(conditions(&world).last().unwrap(), "PodResizePending=True");
    assert_eq!(world.status()["containerStatuses"][0]["resources"], json!({}));
    world.run_to(20);
    assert_eq!(conditions(&world).last().unwrap(), "PodScheduled=True");
    assert_eq!(world.status()["containerStatuses"][0]["allocatedResources"], json!({"cpu": "1"}));
}

#[test]
fn another_image_makes_another_container() {
    let mut spec = spec(&[container("a")]);
    spec["restartPolicy"] = "Never".into();
    let mut world = World::new(spec, |_, _| Act::Serve);
    world.run_to(1);
    world.object.as_mut().unwrap()["spec"]["containers"][0]["image"] = "img:2".into();
    world.run_to(5);
    assert_eq!(
        (state(&world, "a").as_str(), &world.status()["containerStatuses"][0]["image"]),
        ("running 1 ready", &json!("reg/img:2"))
    );
    assert!(
        world
            .events
            .contains(&"1 Killing spec.containers{a} Container a definition changed, will be restarted".to_owned())
    );
}
