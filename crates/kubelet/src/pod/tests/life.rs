//! From start to end, also with an agent that dies at any step.

use super::*;

fn check_states(world: &World, phase: &str, expect: &[(&str, &str)]) {
    assert_eq!(world.status()["phase"], phase, "{:#}", world.status());
    for (name, expect) in expect {
        assert_eq!(state(world, name), *expect, "{name}");
    }
}

#[test]
fn a_pod_starts_and_says_so() {
    let mut world = World::new(spec(&[container("a"), container("b")]), |_, _| Act::Serve);
    world.run_to(5);
    check_states(&world, "Running", &[("a", "running 0 ready"), ("b", "running 0 ready")]);
    assert_eq!(world.running(), ["a", "b"].into());
    let all = [
        "PodReadyToStartContainers=True",
        "Initialized=True",
        "Ready=True",
        "ContainersReady=True",
        "PodScheduled=True",
    ];
    assert_eq!(conditions(&world), all);
    let status = world.status();
    assert_eq!(
        (&status["podIP"], &status["hostIP"], &status["qosClass"]),
        (&json!("10.0.0.2"), &json!("192.0.2.1"), &json!("BestEffort"))
    );
    let first = &status["containerStatuses"][0];
    assert_eq!((&first["imageID"], &first["containerID"]), (&json!("reg/img@sha256:1"), &json!("containerd://a-0")));
    assert_eq!(
        world.events,
        [
            "0 Pulling spec.containers{a} Pulling image \"img:1\"",
            "0 Pulling spec.containers{b} Pulling image \"img:1\"",
            "0 Pulled spec.containers{a} Successfully pulled image \"img:1\" in 0s (0s including waiting). Image size: 7 bytes.",
            "0 Pulled spec.containers{b} Successfully pulled image \"img:1\" in 0s (0s including waiting). Image size: 7 bytes.",
            "0 Created spec.containers{a} Container created",
            "0 Started spec.containers{a} Container started",
            "0 Created spec.containers{b} Container created",
            "0 Started spec.containers{b} Container started",
        ]
    );
}

#[test]
fn a_status_that_stays_is_written_once() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::Serve);
    world.run_to(5);
    let writes = world.writes;
    world.run_to(600);
    assert_eq!(world.writes, writes);
    // What another wrote is set right.
    world.object.as_mut().unwrap()["status"]["conditions"][2]["status"] = "False".into();
    let since = world.status()["conditions"][1]["lastTransitionTime"].clone();
    world.run_to(601);
    assert_eq!((world.writes, &world.status()["conditions"][2]["status"]), (writes + 1, &json!("True")));
    assert_eq!(world.status()["conditions"][1]["lastTransitionTime"], since);
}

#[test]
fn crashes_wait_longer_each_time() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::End(1, 3));
    world.run_to(1_000);
    let starts: Vec<i64> =
        world.steps.iter().filter_map(|step| step.strip_suffix(" StartContainer")?.parse().ok()).collect();
    let waits: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0] - 1).collect();
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    check_states(&world, "Running", &[("a", "CrashLoopBackOff 8 unready")]);
    let one = &world.status()["containerStatuses"][0];
    assert_eq!(one["state"]["waiting"]["message"], "back-off 5m0s restarting failed container=a pod=p_n(u)");
    let last = &one["lastState"]["terminated"];
    assert_eq!(
        (&last["exitCode"], &last["reason"], &last["message"]),
        (&json!(3), &json!("Error"), &json!("last words of a"))
    );
    assert!(
        world
            .events
            .contains(&"2 BackOff spec.containers{a} Back-off restarting failed container a in pod p_n(u)".to_owned())
    );
    assert!(world.events.contains(&"1 Pulled spec.containers{a} Container image \"img:1\" already present on machine and can be accessed by the pod".to_owned()));
    assert_eq!(world.observed.containers.len(), 1, "older ones are removed");
}

#[test]
fn a_clock_that_goes_back_keeps_no_container_from_its_start() {
    let mut world =
        World::new(spec(&[container("a")]), |_, attempt| if attempt == 2 { Act::Serve } else { Act::End(1, 1) });
    world.run_to(5);
    check_states(&world, "Running", &[("a", "CrashLoopBackOff 1 unready")]);
    world.now = world.now.checked_sub(jiff::SignedDuration::from_secs(600)).unwrap();
    world.run_to(0);
    check_states(&world, "Running", &[("a", "running 2 ready")]);
}

#[test]
fn a_long_run_forgets_crashes() {
    let script = |_: &str, attempt: u32| if attempt == 3 { Act::End(601, 1) } else { Act::End(1, 1) };
    let mut world = World::new(spec(&[container("a")]), script);
    world.run_to(700);
    let starts: Vec<i64> =
        world.steps.iter().filter_map(|step| step.strip_suffix(" StartContainer")?.parse().ok()).collect();
    assert_eq!(starts[..6], [0, 1, 12, 33, 634, 645]);
}

#[test]
fn policies_decide_how_a_pod_ends() {
    let check = |policy: &str, script: world::Script, phase: &str, expect: &str| {
        let mut spec = spec(&[container("a")]);
        spec["restartPolicy"] = policy.into();
        let mut world = World::new(spec, script);
        world.run_to(8);
        check_states(&world, phase, &[("a", expect)]);
        let over = phase != "Running";
        assert_eq!(world.observed.network.is_none(), over);
        assert_eq!(world.observed.containers.len(), 1, "kept for its log");
    };
    check("Never", |_, _| Act::End(1, 0), "Succeeded", "Completed 0 unready");
    check("Never", |_, _| Act::End(1, 7), "Failed", "Error 0 unready");
    check("OnFailure", |_, _| Act::End(1, 0), "Succeeded", "Completed 0 unready");
    check("OnFailure", |_, attempt| Act::End(1, i32::from(attempt == 0)), "Succeeded", "Completed 1 unready");
    check("OnFailure", |_, _| Act::End(1, 1), "Running", "CrashLoopBackOff 1 unready");
    check("Always", |_, _| Act::End(1, 0), "Running", "CrashLoopBackOff 1 unready");
    check("Never", |_, _| Act::Unstartable, "Failed", "StartError 0 unready");
}

#[test]
fn init_containers_run_in_order_and_sidecars_beside() {
    let mut spec = spec(&[container("main")]);
    let mut sidecar = container("side");
    sidecar["restartPolicy"] = "Always".into();
    spec["initContainers"] = json!([container("first"), sidecar, container("second")]);
    spec["restartPolicy"] = "Never".into();
    let script = |name: &str, _: u32| match name {
        "first" | "second" => Act::End(2, 0),
        "main" => Act::End(10, 0),
        _ => Act::Serve,
    };
    let mut world = World::new(spec, script);
    world.run_to(1);
    check_states(
        &world,
        "Pending",
        &[("first", "running 0 unready"), ("side", "PodInitializing 0 unready"), ("main", "PodInitializing 0 unready")],
    );
    assert_eq!(world.status()["conditions"][1]["message"], "containers with incomplete status: [first side second]");
    world.run_to(3);
    check_states(
        &world,
        "Pending",
        &[("first", "Completed 0 ready"), ("side", "running 0 ready"), ("second", "running 0 unready")],
    );
    world.run_to(5);
    check_states(&world, "Running", &[("second", "Completed 0 ready"), ("main", "running 0 ready")]);
    world.run_to(20);
    check_states(&world, "Succeeded", &[("main", "Completed 0 unready"), ("side", "Completed 0 unready")]);
    assert!(
        world.events.contains(&"14 Killing spec.initContainers{side} Stopping container side".to_owned()),
        "{:#?}",
        world.events
    );
}

#[test]
fn a_failing_init_container_ends_a_pod_that_never_restarts() {
    let mut spec = spec(&[container("main")]);
    spec["initContainers"] = json!([container("first")]);
    let mut world = World::new(spec.clone(), |_, _| Act::End(1, 1));
    world.run_to(5);
    check_states(&world, "Pending", &[("first", "CrashLoopBackOff 1 unready"), ("main", "PodInitializing 0 unready")]);
    spec["restartPolicy"] = "Never".into();
    let mut world = World::new(spec, |_, _| Act::End(1, 1));
    world.run_to(5);
    check_states(&world, "Failed", &[("first", "Error 0 unready")]);
}

#[test]
fn a_deleted_pod_leaves_nothing() {
    let check = |script: world::Script, grace: i64, second: i64, phase: &str| {
        let mut spec = spec(&[container("a")]);
        let mut sidecar = container("side");
        sidecar["restartPolicy"] = "Always".into();
        spec["initContainers"] = json!([sidecar]);
        let mut world = World::new(spec, script);
        world.run_to(5);
        world.delete(grace);
        let before = world.object.clone();
        world.run_to(100);
        assert!(world.object.is_none() && before.is_some());
        assert_eq!(world.second(), second);
        assert!(
            world.observed.sandboxes.is_empty()
                && world.observed.containers.is_empty()
                && world.observed.network.is_none()
        );
        let last = world.history.last_status.clone().unwrap();
        assert_eq!(last["phase"], phase);
        let stops: Vec<&String> = world.events.iter().filter(|event| event.contains("Killing")).collect();
        assert_eq!(stops.len(), 2, "{stops:?}");
        assert!(world.steps.last().unwrap().ends_with("Confirm"));
    };
    check(|_, _| Act::Serve, 30, 5, "Succeeded");
    check(|name, _| if name == "a" { Act::Deaf } else { Act::Serve }, 30, 35, "Failed");
    check(|name, _| if name == "a" { Act::Deaf } else { Act::Serve }, 0, 7, "Failed");
}

#[test]
fn what_never_ran_is_lost_with_its_pod_unless_its_turn_had_not_come() {
    let check = |inits: &[&str], broken: &'static str, expect: &[(&str, &str)]| {
        let mut spec = spec(&[container("a")]);
        spec["initContainers"] = inits.iter().map(|name| container(name)).collect();
        let mut world = World::new(spec, |name, _| if name == "a" { Act::Serve } else { Act::End(1, 0) });
        world.broken.insert(broken);
        world.run_to(3);
        world.delete(1);
        world.run_to(100);
        let status = world.history.last_status.clone().unwrap();
        let all = ["initContainerStatuses", "containerStatuses"].iter().flat_map(|list| status[list].as_array());
        let reason = |one: &Value| {
            let state = one["state"].as_object().unwrap().iter().next().unwrap();
            (one["name"].as_str().unwrap().to_owned(), state.1["reason"].as_str().unwrap_or(state.0).to_owned())
        };
        let told: Vec<(String, String)> = all.flatten().map(reason).collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(name, word)| (name.as_str(), word.as_str())).collect();
        assert_eq!((&status["phase"], told.as_slice()), (&json!("Failed"), expect));
    };
    const LOST: &str = "ContainerStatusUnknown";
    check(&[], "PullImage", &[("a", LOST)]);
    check(&["i", "j"], "PullImage", &[("i", LOST), ("j", "PodInitializing"), ("a", "PodInitializing")]);
}

/// A pod with most of what a pod can have; what became of it after a minute, and after its deletion.
fn whole_life(dies_after: Option<usize>, seed: Option<u64>) -> (Vec<String>, usize) {
    let mut spec = spec(&[container("a"), container("b")]);
    spec["restartPolicy"] = "OnFailure".into();
    let mut sidecar = container("side");
    sidecar["restartPolicy"] = "Always".into();
    sidecar["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 1}}, "postStart": {"sleep": {"seconds": 1}}});
    spec["initContainers"] = json!([sidecar, container("first")]);
    spec["containers"][1]["readinessProbe"] = json!({"tcpSocket": {"port": 1}});
    let token = json!({"sources": [{"serviceAccountToken": {"path": "t"}}]});
    spec["volumes"] = json!([{"name": "c", "configMap": {"name": "cm"}}, {"name": "t", "projected": token}]);
    let script = |name: &str, attempt: u32| match (name, attempt) {
        ("first", _) => Act::End(1, 0),
        ("a", 0) => Act::End(2, 1),
        ("a", _) => Act::End(4, 0),
        _ => Act::Serve,
    };
    let mut world = World::new(spec, script);
    world.config_map("cm", Some(json!({"k": "v"})));
    (world.dies_after, world.seed) = (dies_after, seed);
    world.run_to(60);
    let mut found = vec![world.status()["phase"].to_string()];
    found.extend(["side", "first", "a", "b"].iter().map(|name| state(&world, name)));
    found.extend(conditions(&world));
    world.delete(10);
    world.run_to(120);
    let observed = &world.observed;
    let gone = world.object.is_none()
        && observed.sandboxes.is_empty()
        && observed.containers.is_empty()
        && observed.network.is_none();
    found.push(format!("gone: {gone}, {}", world.history.last_status.as_ref().unwrap()["phase"]));
    (found, world.steps.len())
}

#[test]
fn an_agent_that_dies_at_any_step_reaches_the_same_end() {
    let (expect, steps) = whole_life(None, None);
    assert_eq!(
        expect[..5],
        ["\"Running\"", "running 0 ready", "Completed 0 ready", "Completed 1 unready", "running 0 ready"]
    );
    assert_eq!(expect.last().unwrap(), "gone: true, \"Succeeded\"");
    for at in 1..=steps {
        assert_eq!(whole_life(Some(at), None).0, expect, "the agent died after step {at}");
    }
}

#[test]
fn lanes_in_any_order_and_an_agent_that_dies_reach_the_same_end() {
    let (expect, steps) = whole_life(None, None);
    for seed in 1..=80 {
        let dies_after = (seed % 3 != 0).then(|| usize::try_from(seed * 7).unwrap() % steps + 1);
        assert_eq!(whole_life(dies_after, Some(seed)).0, expect, "seed {seed}");
    }
}

#[test]
fn a_reboot_starts_what_ran_and_ends_what_must_not_run_again() {
    let check = |policy: &str, phase: &str, expect: &str| {
        let mut spec = spec(&[container("a")]);
        spec["restartPolicy"] = policy.into();
        let mut world = World::new(spec, |_, _| Act::Serve);
        world.run_to(5);
        world.reboot();
        world.run_to(10);
        check_states(&world, phase, &[("a", expect)]);
        world
    };
    let world = check("Always", "Running", "running 1 ready");
    let last = &world.status()["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(255), &json!("Unknown")));
    assert!(
        world.events.contains(&"5 SandboxChanged  Pod sandbox changed, it will be killed and re-created.".to_owned())
    );
    check("OnFailure", "Running", "running 1 ready");
    check("Never", "Failed", "Unknown 0 unready");
}

#[test]
fn a_reboot_at_any_time_comes_back() {
    for second in 0..8 {
        for seed in 1..4 {
            let mut spec = spec(&[container("a"), container("b")]);
            spec["initContainers"] = json!([container("first")]);
            let script = |name: &str, _: u32| if name == "first" { Act::End(2, 0) } else { Act::Serve };
            let mut world = World::new(spec, script);
            world.seed = Some(seed);
            world.run_to(second);
            world.reboot();
            world.run_to(60);
            assert_eq!(
                (world.running(), &world.status()["phase"]),
                (["a", "b"].into(), &json!("Running")),
                "{second} {seed}"
            );
            assert_eq!(world.observed.sandboxes.iter().filter(|one| one.ready).count(), 1);
        }
    }
}

#[test]
fn a_deadline_ends_a_pod() {
    let mut spec = spec(&[container("a")]);
    spec["activeDeadlineSeconds"] = 7.into();
    let mut world = World::new(spec, |_, _| Act::Serve);
    world.run_to(6);
    check_states(&world, "Running", &[]);
    world.run_to(8);
    check_states(&world, "Failed", &[("a", "Completed 0 unready")]);
    assert_eq!(world.status()["reason"], "DeadlineExceeded");
    world.restart();
    world.run_to(100);
    check_states(&world, "Failed", &[]);
    assert!(world.running().is_empty());
}
