//! Single plans: hooks, lanes in flight, what is left of a pod that is gone.

use std::collections::BTreeSet;

use super::{world::container_key, *};
use crate::{
    History, Input, Lane, LaneKey, Outcome, Step, StepResult,
    model::Pod,
    pod::{plan, plan_orphan},
    step::Hook,
};

/// One plan for a world as it is, with these lanes in flight and results.
fn once(world: &World, history: &History, in_flight: &[LaneKey], results: &[StepResult]) -> crate::Plan {
    let pod = Pod::read(world.object.as_ref().unwrap()).unwrap();
    let in_flight: BTreeSet<LaneKey> = in_flight.iter().cloned().collect();
    plan(&Input {
        pod: &pod,
        observed: &world.observed,
        history,
        results,
        in_flight: &in_flight,
        references: &world.references,
        node: &world.node,
        refused: None,
        now: world.now,
    })
}

fn steps(lanes: &[Lane]) -> Vec<String> {
    let name = |step: &Step| format!("{step:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    lanes.iter().map(|lane| lane.steps.iter().map(name).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_hook_comes_before_the_stop_and_shares_its_grace() {
    let mut one = container("a");
    one["lifecycle"] = json!({"preStop": {"exec": {"command": ["bye"]}}});
    let mut world = World::new(spec(&[one]), |_, _| Act::Serve);
    world.run_to(1);
    world.delete(20);
    let first = once(&world, &world.history, &[], &[]);
    assert_eq!(steps(&first.lanes), ["RunHook"]);
    let deadline = first.lanes[0].deadline.unwrap();
    assert_eq!(crate::text::between(world.now, deadline).as_secs(), 20);
    // The grace is shortened: the same lane, sooner.
    world.delete(5);
    let second = once(&world, &first.history, &[container_key("a")], &[]);
    assert!(second.lanes[0].deadline.unwrap() < deadline);
    let Step::RunHook { hook, .. } = &second.lanes[0].steps[0] else { panic!("{:?}", second.lanes) };
    assert_eq!(*hook, Hook::PreStop);
    let step = second.lanes[0].steps[0].clone();
    let failed = StepResult {
        step,
        started_at: world.now,
        finished_at: world.now,
        outcome: Outcome::Failed { message: "x".into() },
    };
    let third = once(&world, &second.history, &[], &[failed]);
    assert_eq!(steps(&third.lanes), ["StopContainer"]);
    assert_eq!((third.events[0].reason, third.events[0].message.as_str()), ("FailedPreStopHook", "PreStopHook failed"));
    assert_eq!(third.lanes[0].deadline, second.lanes[0].deadline);
}

#[test]
fn a_container_is_not_up_before_its_hook_has_ended() {
    let mut one = container("a");
    one["lifecycle"] = json!({"postStart": {"exec": {"command": ["hi"]}}});
    let mut world = World::new(spec(&[one]), |_, _| Act::Serve);
    world.run_to(1);
    let mut history = world.history.clone();
    history.containers.get_mut("a").unwrap().started_hook = None;
    let during = once(&world, &history, &[container_key("a")], &[]);
    assert_eq!(during.status.unwrap()["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
    let target = crate::step::Target { name: "a".into(), attempt: 0, id: Some("a-0".into()) };
    let action = crate::step::HookAction::Sleep(Default::default());
    let step = Step::RunHook { target, hook: Hook::PostStart, action, timeout: None };
    let failed = StepResult {
        step,
        started_at: world.now,
        finished_at: world.now,
        outcome: Outcome::Failed { message: "secret".into() },
    };
    let after = once(&world, &history, &[], &[failed]);
    let told: Vec<_> = after.events.iter().map(|event| (event.reason, event.message.as_str())).collect();
    assert_eq!(told, [("FailedPostStartHook", "PostStartHook failed"), ("Killing", "FailedPostStartHook")]);
    assert_eq!(steps(&after.lanes), ["StopContainer"]);
}

#[test]
fn a_pull_under_way_is_given_up_when_the_pod_is_deleted() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::Serve);
    world.broken.insert("PullImage");
    world.run_to(1);
    world.delete(30);
    let during = once(&world, &world.history, &[container_key("a")], &[]);
    assert_eq!((steps(&during.lanes), during.lanes[0].deadline.is_some()), (vec![String::new()], true));
    let after = once(&world, &during.history, &[], &[]);
    assert_eq!(steps(&after.lanes), ["StopSandbox RemoveSandbox DetachNetwork RemoveVolumes"]);
}

#[test]
fn an_orphan_is_taken_away() {
    let mut world = World::new(spec(&[container("a")]), |_, _| Act::Serve);
    world.run_to(1);
    let none = BTreeSet::new();
    let first = plan_orphan(&world.observed, &world.history, &none, world.now);
    assert_eq!(steps(&first.lanes), ["StopContainer"]);
    world.observed.containers.clear();
    let second = plan_orphan(&world.observed, &first.history, &none, world.now);
    assert_eq!(steps(&second.lanes), ["StopSandbox RemoveSandbox DetachNetwork RemoveVolumes"]);
    let during = plan_orphan(&Default::default(), &second.history, &BTreeSet::from([LaneKey::Pod]), world.now);
    assert!(!during.finished);
    let last = plan_orphan(&Default::default(), &second.history, &none, world.now);
    assert!(last.finished && last.lanes.is_empty());
}
