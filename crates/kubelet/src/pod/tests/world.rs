//! A small world that plans act on: a clock, a runtime, an API that keeps the status. Main type: [`World`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    History, Input, LaneKey, Observed, Outcome, Plan, Step, StepResult,
    history::Verdict,
    model::Pod,
    observed::{
        Container, ContainerState, Exit, Image, Network, NodeFacts, Reference, References, Sandbox, Token, Volumes,
    },
    pod::plan,
    probe::Answer,
    text::{later, seconds},
    volume::{Content, Source},
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
        }
    }

    pub(super) fn second(&self) -> i64 {
        self.now.duration_since(self.start).as_secs()
    }

    pub(super) fn status(&self) -> &Value {
        &self.object.as_ref().expect("the pod is there")["status"]
    }

    pub(super) fn running(&self) -> Vec<&str> {
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
            if self.act(&plan) {
                continue;
            }
            let next = self.next(plan.wake_at).unwrap_or(Timestamp::MAX);
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
        let input = Input {
            pod: &pod,
            observed: &self.observed,
            history: &self.memory,
            results: &results,
            in_flight: &BTreeSet::new(),
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

    /// Does the steps; says whether there were any that change something.
    fn act(&mut self, plan: &Plan) -> bool {
        let mut acted = false;
        for lane in &plan.lanes {
            for step in &lane.steps {
                acted = true;
                let outcome = self.step(step);
                let failed = matches!(outcome, Outcome::Failed { .. });
                let name = format!("{step:?}");
                let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
                self.steps.push(format!("{} {name}", self.second()));
                self.results.push(StepResult {
                    step: step.clone(),
                    started_at: self.now,
                    finished_at: self.now,
                    outcome,
                });
                if let Some(left) = &mut self.dies_after {
                    *left -= 1;
                    if *left == 0 {
                        self.dies_after = None;
                        self.restart();
                        return true;
                    }
                }
                if failed {
                    break;
                }
            }
        }
        acted
    }

    fn step(&mut self, step: &Step) -> Outcome {
        let name = format!("{step:?}");
        if self.broken.iter().any(|broken| name.starts_with(broken)) {
            return Outcome::Failed { message: "it is broken".into() };
        }
        match step {
            Step::PrepareVolumes(set) => {
                for volume in &set.volumes {
                    let Source::Files { files, .. } = &volume.source else { continue };
                    for file in files {
                        let Content::Token(request) = &file.content else { continue };
                        let token = Token {
                            issued_at: self.now,
                            expires_at: later(self.now, seconds(request.expiration_seconds)),
                        };
                        let old = self.observed.tokens.entry(request.key.clone()).or_insert(token);
                        if request.renew {
                            *old = token;
                        }
                    }
                }
                self.observed.volumes = Volumes::Ready { fingerprint: set.fingerprint };
            }
            Step::AttachNetwork => {
                let network = Network { namespace: "/netns/u".into(), addresses: vec![[10, 0, 0, 2].into()] };
                self.observed.network = Some(network);
            }
            Step::RunSandbox(spec) => {
                assert!(self.observed.sandboxes.iter().all(|one| one.attempt != spec.attempt && !one.ready));
                assert_eq!(spec.network.as_deref(), Some(std::path::Path::new("/netns/u")));
                let id = format!("s{}", spec.attempt);
                let created_at = self.now;
                self.observed.sandboxes.push(Sandbox {
                    id,
                    attempt: spec.attempt,
                    ready: true,
                    created_at,
                    labels: BTreeMap::new(),
                });
            }
            Step::PullImage { reference, .. } => {
                if !self.registry.contains(reference) {
                    return Outcome::Failed { message: "not found".into() };
                }
                let image = Image {
                    reference: format!("reg/{reference}"),
                    digest: "sha256:1".into(),
                    size: 7,
                    user: String::new(),
                };
                self.observed.images.insert(reference.clone(), image.clone());
                return Outcome::Pulled(image);
            }
            Step::CreateContainer { spec, .. } => {
                let alive = |one: &Container| one.name == spec.name && !matches!(one.state, ContainerState::Exited(_));
                assert!(!self.observed.containers.iter().any(alive), "{} runs twice", spec.name);
                assert!(self.observed.sandboxes.iter().any(|one| one.id == spec.sandbox && one.ready));
                self.observed.containers.push(Container {
                    id: format!("{}-{}", spec.name, spec.attempt),
                    sandbox: spec.sandbox.clone(),
                    name: spec.name.clone(),
                    attempt: spec.attempt,
                    image: spec.image.clone(),
                    image_digest: "sha256:1".into(),
                    created_at: self.now,
                    state: ContainerState::Created,
                    labels: spec.labels.clone(),
                });
            }
            Step::StartContainer(target) => {
                let (now, script) = (self.now, self.script);
                let one = self.container(&target.name, target.attempt);
                if matches!(one.state, ContainerState::Created) {
                    if matches!(script(&target.name, target.attempt), Act::Unstartable) {
                        let message = "exec: \"/no\": no such file".to_owned();
                        let exit = Exit {
                            code: Some(128),
                            oom_killed: false,
                            started_at: now,
                            finished_at: now,
                            message: Some(message.clone()),
                        };
                        one.state = ContainerState::Exited(exit);
                        return Outcome::Failed { message };
                    }
                    one.state = ContainerState::Running { started_at: now };
                }
            }
            Step::StopContainer { target, deadline, grace_min } => {
                let (now, script) = (self.now, self.script);
                let deaf = matches!(script(&target.name, target.attempt), Act::Deaf);
                if deaf {
                    self.now = (*deadline).max(later(now, *grace_min));
                }
                let (code, finished_at) = (if deaf { 137 } else { 0 }, self.now);
                let one = self.container(&target.name, target.attempt);
                if let ContainerState::Running { started_at } = one.state {
                    one.state = ContainerState::Exited(Exit {
                        code: Some(code),
                        oom_killed: false,
                        started_at,
                        finished_at,
                        message: None,
                    });
                }
            }
            Step::RemoveContainer { target, .. } => {
                self.observed.containers.retain(|one| (&one.name, one.attempt) != (&target.name, target.attempt));
            }
            Step::StopSandbox { id } => {
                let now = self.now;
                self.observed.sandboxes.iter_mut().filter(|one| one.id == *id).for_each(|one| one.ready = false);
                for one in self.observed.containers.iter_mut().filter(|one| one.sandbox == *id) {
                    if let ContainerState::Running { started_at } = one.state {
                        one.state = ContainerState::Exited(Exit {
                            code: Some(137),
                            oom_killed: false,
                            started_at,
                            finished_at: now,
                            message: None,
                        });
                    }
                }
            }
            Step::RemoveSandbox { id } => {
                self.observed.sandboxes.retain(|one| one.id != *id);
                self.observed.containers.retain(|one| one.sandbox != *id);
            }
            Step::DetachNetwork => self.observed.network = None,
            Step::RemoveVolumes => self.observed.volumes = Volumes::Absent,
            Step::RemoveLogs { .. } | Step::Confirm { .. } | Step::RunHook { .. } => {}
            Step::Probe { target, .. } => {
                let good = (self.probes)(&target.name, self.second());
                return Outcome::Probed(if good { Answer::Success } else { Answer::Failure("no".into()) });
            }
            Step::ReadTerminationMessage { target, .. } => {
                return Outcome::Text(format!("last words of {}", target.name));
            }
        }
        Outcome::Done
    }

    fn container(&mut self, name: &str, attempt: u32) -> &mut Container {
        let found = self.observed.containers.iter_mut().find(|one| one.name == name && one.attempt == attempt);
        found.expect("the container is there")
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
