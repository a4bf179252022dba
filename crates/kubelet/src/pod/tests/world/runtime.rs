//! What steps do to the small world.

use std::collections::BTreeMap;

use super::{Act, World};
use crate::{
    Outcome, Step,
    observed::{Container, ContainerState, Exit, Image, Network, Sandbox, Token, Volumes},
    probe::Answer,
    spec::{ContainerSpec, SandboxSpec},
    step::Target,
    text::{later, seconds},
    volume::{Content, Source, VolumeSet},
};

fn ended(
    code: i32,
    (started_at, finished_at): (jiff::Timestamp, jiff::Timestamp),
    message: Option<String>,
) -> ContainerState {
    ContainerState::Exited(Exit { code: Some(code), oom_killed: false, started_at, finished_at, message })
}

impl World {
    pub(super) fn step(&mut self, step: &Step) -> Outcome {
        let name = format!("{step:?}");
        if self.broken.iter().any(|broken| name.starts_with(broken)) {
            return Outcome::Failed { message: "it is broken".into() };
        }
        match step {
            Step::PrepareVolumes(set) => self.prepare(set),
            Step::AttachNetwork => {
                let network = Network { namespace: "/netns/u".into(), addresses: vec![[10, 0, 0, 2].into()] };
                self.observed.network = Some(network);
            }
            Step::RunSandbox(spec) => self.run_sandbox(spec),
            Step::PullImage { reference, .. } => return self.pull(reference),
            Step::CreateContainer { spec, .. } => self.create(spec),
            Step::StartContainer(target) => return self.start(target),
            Step::StopContainer { target, deadline, grace_min } => {
                let until = (*deadline).max(later(self.now, *grace_min));
                self.stop(target, until);
            }
            Step::RemoveContainer { target, .. } => {
                self.observed.containers.retain(|one| (&one.name, one.attempt) != (&target.name, target.attempt));
            }
            Step::StopSandbox { id } => self.stop_sandbox(id),
            Step::RemoveSandbox { id } => {
                self.observed.sandboxes.retain(|one| one.id != *id);
                self.observed.containers.retain(|one| one.sandbox != *id);
            }
            Step::DetachNetwork => self.observed.network = None,
            Step::RemoveVolumes => self.observed.volumes = Volumes::Absent,
            Step::Confirm { .. } | Step::RunHook { .. } => {}
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

    fn prepare(&mut self, set: &VolumeSet) {
        for volume in &set.volumes {
            let Source::Files { files, .. } = &volume.source else { continue };
            for file in files {
                let Content::Token(request) = &file.content else { continue };
                let token =
                    Token { issued_at: self.now, expires_at: later(self.now, seconds(request.expiration_seconds)) };
                let old = self.observed.tokens.entry(request.key.clone()).or_insert(token);
                if request.renew {
                    *old = token;
                }
            }
        }
        self.observed.volumes = Volumes::Ready { fingerprint: set.fingerprint };
    }

    fn run_sandbox(&mut self, spec: &SandboxSpec) {
        assert!(self.observed.sandboxes.iter().all(|one| one.attempt != spec.attempt && !one.ready), "one at a time");
        let own = self.observed.network.as_ref().map(|network| network.namespace.clone());
        assert_eq!(spec.network, own, "the network it was given");
        let (id, attempt, created_at) = (format!("s{}", spec.attempt), spec.attempt, self.now);
        self.observed.sandboxes.push(Sandbox { id, attempt, ready: true, created_at, labels: BTreeMap::new() });
    }

    fn pull(&mut self, reference: &str) -> Outcome {
        if !self.registry.contains(reference) {
            return Outcome::Failed { message: "not found".into() };
        }
        let (full, digest) = (format!("reg/{reference}"), "sha256:1".to_owned());
        let image = Image { reference: full, digest, size: 7, user: String::new(), withheld: false };
        self.observed.images.insert(reference.to_owned(), image.clone());
        Outcome::Pulled(image)
    }

    fn create(&mut self, spec: &ContainerSpec) {
        let alive = |one: &Container| one.name == spec.name && !matches!(one.state, ContainerState::Exited(_));
        assert!(!self.observed.containers.iter().any(alive), "{} runs twice", spec.name);
        assert!(
            self.observed.sandboxes.iter().any(|one| one.id == spec.sandbox && one.ready),
            "it has ground to stand on"
        );
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

    fn start(&mut self, target: &Target) -> Outcome {
        let (now, script) = (self.now, self.script);
        let one = self.container(target);
        if !matches!(one.state, ContainerState::Created) {
            return Outcome::Done;
        }
        if matches!(script(&target.name, target.attempt), Act::Unstartable) {
            let message = "exec: \"/no\": no such file".to_owned();
            one.state = ended(128, (now, now), Some(message.clone()));
            return Outcome::Failed { message };
        }
        one.state = ContainerState::Running { started_at: now };
        Outcome::Done
    }

    fn stop(&mut self, target: &Target, until: jiff::Timestamp) {
        let deaf = matches!((self.script)(&target.name, target.attempt), Act::Deaf);
        if deaf {
            self.now = until;
        }
        let (code, now) = (if deaf { 137 } else { 0 }, self.now);
        let one = self.container(target);
        if let ContainerState::Running { started_at } = one.state {
            one.state = ended(code, (started_at, now), None);
        }
    }

    fn stop_sandbox(&mut self, id: &str) {
        let now = self.now;
        self.observed.sandboxes.iter_mut().filter(|one| one.id == id).for_each(|one| one.ready = false);
        for one in self.observed.containers.iter_mut().filter(|one| one.sandbox == id) {
            if let ContainerState::Running { started_at } = one.state {
                one.state = ended(137, (started_at, now), None);
            }
        }
    }

    fn container(&mut self, target: &Target) -> &mut Container {
        let is = |one: &&mut Container| one.name == target.name && one.attempt == target.attempt;
        self.observed.containers.iter_mut().find(is).expect("the container is there")
    }
}
