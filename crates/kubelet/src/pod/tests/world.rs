//! A small world that plans act on: a clock, a runtime, an API that keeps the status. Main type: [`World`].

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    History, Input, Lane, LaneKey, Observed, Outcome, Plan, Step, StepResult,
    history::Verdict,
    model::Pod,
    observed::{Container, ContainerState, Exit, NodeFacts, Reference, References, Volumes},
    pod::plan,
    text::{later, seconds},
};

/// Most plans of one test: a world that does not settle is a bug.
const PLANS_MAX: usize = 5_000;

/// What an attempt of a container does once started.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// It runs until it is stopped, and then ends with 0.
    Serve,
    /// It ends so many seconds after its start, with this code.
    End(i64, i32),
    /// It runs and does not listen to signals.
    Deaf,
    /// Its program cannot be started.
    Unstartable,
}

/// Decides what an attempt of a container does.
pub(super) type Script = fn(&str, u32) -> Act;

/// Decides what a probe answers, at a second since the beginning.
pub(super) type Probes = fn(&str, i64) -> bool;

mod runtime;

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) start: Timestamp,
    pub(super) object: Option<Value>,
    pub(super) observed: Observed,
    /// As on disk.
    pub(super) history: History,
    memory: History,
    results: Vec<StepResult>,
    pub(super) references: References,
    pub(super) node: NodeFacts,
    pub(super) refused: Option<Verdict>,
    pub(super) script: Script,
    pub(super) probes: Probes,
    /// References that the registry has.
    pub(super) registry: BTreeSet<String>,
    /// `second reason field_path message`, told in order.
    pub(super) events: Vec<String>,
    /// `second step`, done in order.
    pub(super) steps: Vec<String>,
    /// Names of steps that fail.
    pub(super) broken: BTreeSet<&'static str>,
    /// Statuses written.
    pub(super) writes: usize,
    /// The agent dies after so many more steps, once.
    pub(super) dies_after: Option<usize>,
    planned: usize,
    /// Lanes under way.
    flights: Vec<Flight>,
    /// Steps of lanes under way come by lot; none: one lane after the other.
    pub(super) seed: Option<u64>,
}

/// A lane under way.
struct Flight {
    key: LaneKey,
    deadline: Option<Timestamp>,
    steps: VecDeque<Step>,
    results: Vec<StepResult>,
}

impl World {
    pub(super) fn new(spec: Value, script: Script) -> Self {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let object = json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec, "status": {"phase": "Pending"},
        });
        let node = NodeFacts {
            name: "n1".into(),
            addresses: vec![[192, 0, 2, 1].into()],
            pods_dir: "/pods".into(),
            logs_dir: "/logs".into(),
            cgroup_root: "/kubepods".into(),
            memory_bytes: 8 << 30,
            runtime: "containerd".into(),
            ..NodeFacts::default()
        };
        Self {
            now: start,
            start,
            object: Some(object),
            observed: Observed::default(),
            history: History::default(),
            memory: History::default(),
            results: Vec::new(),
            references: References { services: Some(Vec::new()), ..References::default() },
            node,
            refused: None,
            script,
            probes: |_, _| true,
            registry: BTreeSet::from(["img:1".to_owned(), "img:2".to_owned()]),
            events: Vec::new(),
            steps: Vec::new(),
            broken: BTreeSet::new(),
            writes: 0,
            dies_after: None,
            planned: 0,
            flights: Vec::new(),
            seed: None,
        }
    }

    pub(super) fn second(&self) -> i64 {
        self.now.duration_since(self.start).as_secs()
    }

    pub(super) fn status(&self) -> &Value {
        &self.object.as_ref().expect("the pod is there")["status"]
    }

    pub(super) fn running(&self) -> BTreeSet<&str> {
        let runs = |one: &&Container| matches!(one.state, ContainerState::Running { .. });
        self.observed.containers.iter().filter(runs).map(|one| one.name.as_str()).collect()
    }

    /// kubectl delete.
    pub(super) fn delete(&mut self, grace: i64) {
        let at = api::meta::time(later(self.now, seconds(grace)));
        let meta = &mut self.object.as_mut().expect("the pod is there")["metadata"];
        meta["deletionTimestamp"] = at.into();
        meta["deletionGracePeriodSeconds"] = grace.into();
    }

    /// The machine goes down and comes up: nothing runs, and nobody saw the ends.
    pub(super) fn reboot(&mut self) {
        self.restart();
        let now = self.now;
        self.observed.network = None;
        self.observed.sandboxes.iter_mut().for_each(|one| one.ready = false);
        for one in &mut self.observed.containers {
            if let ContainerState::Running { started_at } = one.state {
                one.state = ContainerState::Exited(Exit {
                    code: None,
                    oom_killed: false,
                    started_at,
                    finished_at: now,
                    message: None,
                });
            }
        }
    }

    /// The agent dies and comes back.
    pub(super) fn restart(&mut self) {
        self.memory = self.history.clone();
        self.results.clear();
        self.flights.clear();
        self.observed.volumes = Volumes::Absent;
        self.observed.tokens.clear();
    }

    /// Plans and acts until a second of the clock has nothing left to do; then goes on to what comes next, until `until`.
    pub(super) fn run_to(&mut self, until: i64) {
        while self.object.is_some() {
            let plan = self.plan();
            if plan.finished {
                self.object = None;
                return;
            }
            let (wake_at, wrote) = (plan.wake_at, plan.status.is_some());
            self.fly(plan.lanes);
            if !self.flights.is_empty() {
                self.act();
                continue;
            }
            if wrote {
                // The written status is seen.
                continue;
            }
            let next = self.next(wake_at).unwrap_or(Timestamp::MAX);
            let end = later(self.start, seconds(until));
            self.now = next.clamp(self.now, end);
            self.let_end();
            if self.now >= end {
                return;
            }
        }
    }

    fn plan(&mut self) -> Plan {
        self.planned += 1;
        assert!(
            self.planned < PLANS_MAX,
            "it does not settle: {:#?}",
            &self.steps[self.steps.len().saturating_sub(20)..]
        );
        let pod = Pod::read(self.object.as_ref().expect("the pod is there")).unwrap();
        let results = std::mem::take(&mut self.results);
        let in_flight: BTreeSet<LaneKey> = self.flights.iter().map(|flight| flight.key.clone()).collect();
        let input = Input {
            pod: &pod,
            observed: &self.observed,
            history: &self.memory,
            results: &results,
            in_flight: &in_flight,
            references: &self.references,
            node: &self.node,
            refused: self.refused.as_ref(),
            now: self.now,
        };
        let plan = plan(&input);
        self.memory = plan.history.clone();
        if plan.persist {
            let text = serde_json::to_string(&plan.history).unwrap();
            self.history = serde_json::from_str(&text).unwrap();
            assert_eq!(self.history, plan.history, "a history survives the disk");
        }
        let second = self.second();
        for event in &plan.events {
            self.events.push(format!("{second} {} {} {}", event.reason, event.field_path, event.message));
        }
        if let Some(status) = &plan.status {
            self.writes += 1;
            self.object.as_mut().expect("the pod is there")["status"] = status.clone();
        }
        plan
    }

    /// Starts lanes as an actor does.
    fn fly(&mut self, lanes: Vec<Lane>) {
        for lane in lanes {
            let running = self.flights.iter().position(|flight| flight.key == lane.key);
            let stays = |flight: &Flight| match (flight.deadline, lane.deadline) {
                (_, None) => true,
                (running, Some(wanted)) => running.is_some_and(|running| running <= wanted),
            };
            match running {
                Some(at) if stays(&self.flights[at]) => continue,
                Some(at) => _ = self.flights.remove(at),
                None => {}
            }
            let flight =
                Flight { key: lane.key, deadline: lane.deadline, steps: lane.steps.into(), results: Vec::new() };
            self.flights.push(flight);
        }
    }

    /// Does the next step of a lane: of the first, or by lot. The results are told when the lane ends.
    fn act(&mut self) {
        let at = self.lot(self.flights.len());
        let step = self.flights[at].steps.pop_front();
        let mut ended = self.flights[at].steps.is_empty();
        if let Some(step) = step {
            let started_at = self.now;
            let outcome = self.step(&step);
            ended |= matches!(outcome, Outcome::Failed { .. });
            let name = format!("{step:?}");
            let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
            self.steps.push(format!("{} {name}", self.second()));
            self.flights[at].results.push(StepResult { step, started_at, finished_at: self.now, outcome });
        }
        if ended {
            let flight = self.flights.remove(at);
            self.results.extend(flight.results);
        }
        if let Some(left) = &mut self.dies_after {
            *left -= 1;
            if *left == 0 {
                self.dies_after = None;
                self.restart();
            }
        }
    }

    /// A number below `count`; 0 where nothing is left to chance.
    fn lot(&mut self, count: usize) -> usize {
        let Some(seed) = &mut self.seed else { return 0 };
        // xorshift
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        usize::try_from(*seed % count.max(1) as u64).unwrap_or_default()
    }

    /// When something happens next.
    fn next(&self, wake: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(wake) = wake {
            assert!(wake > self.now, "it wakes in the past and has nothing to do");
        }
        let ends = self.observed.containers.iter().filter_map(|one| self.end_of(one).map(|(at, _)| at));
        ends.chain(wake).min()
    }

    fn end_of(&self, one: &Container) -> Option<(Timestamp, i32)> {
        match (&one.state, (self.script)(&one.name, one.attempt)) {
            (ContainerState::Running { started_at }, Act::End(after, code)) => {
                Some((later(*started_at, seconds(after)), code))
            }
            _ => None,
        }
    }

    fn let_end(&mut self) {
        for at in 0..self.observed.containers.len() {
            let one = &self.observed.containers[at];
            let (Some((end, code)), ContainerState::Running { started_at }) = (self.end_of(one), one.state.clone())
            else {
                continue;
            };
            if end <= self.now {
                let exit = Exit { code: Some(code), oom_killed: false, started_at, finished_at: end, message: None };
                self.observed.containers[at].state = ContainerState::Exited(exit);
            }
        }
    }

    /// A ConfigMap is made or changed.
    pub(super) fn config_map(&mut self, name: &str, data: Option<Value>) {
        let found = data.map_or(Reference::Missing, |data| Reference::Found(json!({"data": data})));
        self.references.config_maps.insert(name.to_owned(), found);
    }
}

/// Lanes are told apart.
pub(super) fn container_key(name: &str) -> LaneKey {
    LaneKey::Container(name.to_owned())
}
