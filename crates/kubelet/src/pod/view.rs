//! A container of the spec beside what is observed of it. Main type: [`View`].

use jiff::Timestamp;

use super::Input;
use crate::{
    History,
    model::{Container, Kind, Pod, RestartPolicy},
    observed::{self, ContainerState, Exit},
    step::Target,
};

/// Exit code where nobody saw the end; as containerd's.
pub(crate) const UNSEEN: i32 = 255;

/// Exit code of a container that is gone without a trace; as upstream's.
pub(crate) const LOST: i32 = 137;

/// What the newest attempt of a container does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now<'a> {
    /// There never was one.
    Absent,
    /// There was one.
    Lost,
    /// Made, not started.
    Created,
    /// It runs, since then.
    Running(Timestamp),
    /// It has ended, and its last words are yet to be read. To all others it still runs.
    Reading(&'a Exit),
    /// It has ended.
    Exited(&'a Exit),
}

/// A container of the spec beside what is observed of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) kind: Kind,
    pub(crate) spec: &'a Container,
    pub(crate) newest: Option<&'a observed::Container>,
    /// The newest that ended, besides the newest of all.
    pub(crate) before: Option<(&'a observed::Container, &'a Exit)>,
    pub(crate) now: Now<'a>,
    /// It was stopped since its image has changed.
    replaced: bool,
}

impl<'a> View<'a> {
    pub(crate) fn of(input: &Input<'a>, history: &History, kind: Kind, spec: &'a Container) -> Self {
        let all = input.observed.containers.iter().filter(|one| one.name == spec.name);
        let newest = all.clone().max_by_key(|one| one.attempt);
        let older = all.filter(|one| newest.is_some_and(|newest| one.attempt < newest.attempt));
        let ended = older.filter_map(|one| match &one.state {
            ContainerState::Exited(exit) => Some((one, exit)),
            _ => None,
        });
        let remembered = history.containers.get(&spec.name);
        let now = match newest.map(|one| (one.attempt, &one.state)) {
            None if remembered.is_some_and(|one| one.attempts > 0) => Now::Lost,
            None => Now::Absent,
            Some((_, ContainerState::Created)) => Now::Created,
            Some((_, ContainerState::Running { started_at })) => Now::Running(*started_at),
            Some((attempt, ContainerState::Exited(exit))) => {
                let read = exit.message.is_some() || remembered.is_some_and(|one| one.messages.contains_key(&attempt));
                if read { Now::Exited(exit) } else { Now::Reading(exit) }
            }
        };
        let stopped = remembered.and_then(|one| one.stop.as_ref()).map(|stop| stop.attempt);
        let replaced = newest.is_some_and(|one| stopped == Some(one.attempt) && is_other(one, spec));
        Self { kind, spec, newest, before: ended.max_by_key(|(one, _)| one.attempt), now, replaced }
    }

    pub(crate) fn name(&self) -> &'a str {
        &self.spec.name
    }

    pub(crate) fn is_sidecar(&self) -> bool {
        self.kind == Kind::Init && self.spec.is_sidecar()
    }

    /// What an event about it names.
    pub(crate) fn place(&self) -> (Kind, &'a str) {
        (self.kind, &self.spec.name)
    }

    /// The newest attempt's number.
    pub(crate) fn attempt(&self) -> Option<u32> {
        self.newest.map(|one| one.attempt)
    }

    pub(crate) fn target(&self) -> Target {
        let id = self.newest.map(|one| one.id.clone());
        Target { name: self.spec.name.clone(), attempt: self.attempt().unwrap_or_default(), id }
    }

    pub(crate) fn is_in(&self, sandbox: &observed::Sandbox) -> bool {
        self.newest.is_some_and(|one| one.sandbox == sandbox.id)
    }

    /// Since when it runs; also while its last words are read.
    pub(crate) fn running_since(&self) -> Option<Timestamp> {
        match self.now {
            Now::Running(since) => Some(since),
            Now::Reading(exit) => Some(exit.started_at),
            _ => None,
        }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&self) -> Option<i32> {
        match self.now {
            Now::Exited(exit) => Some(exit.code.unwrap_or(UNSEEN)),
            Now::Lost => Some(LOST),
            _ => None,
        }
    }

    /// Whether it is to be started again after it ended with this code.
    pub(crate) fn restarts(&self, pod: &Pod, code: i32) -> bool {
        let spec = self.spec;
        if self.kind == Kind::Ephemeral {
            return false;
        }
        if self.is_sidecar() || self.replaced {
            return true;
        }
        if spec.restart_policy_rules.iter().any(|rule| rule.action == "Restart" && matches(&rule.exit_codes, code)) {
            return true;
        }
        match spec.restart_policy.unwrap_or(pod.spec.restart_policy) {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => code != 0,
            RestartPolicy::Always => self.kind == Kind::Main || code != 0,
        }
    }

    /// Whether it serves as far as its start goes: its startup probe has succeeded and its hook has ended.
    pub(crate) fn started(&self, input: &Input<'_>, history: &History) -> bool {
        let Some(attempt) = self.attempt().filter(|_| self.running_since().is_some()) else { return false };
        let probed = crate::probe::Sort::Startup.of(self.spec).is_none()
            || result(history, self.name(), crate::probe::Sort::Startup, attempt) == Some(true);
        probed && !self.hook_runs(input, history)
    }

    /// Whether its postStart hook is under way.
    pub(crate) fn hook_runs(&self, input: &Input<'_>, history: &History) -> bool {
        let key = crate::LaneKey::Container(self.spec.name.clone());
        let ended = history.containers.get(self.name()).is_some_and(|one| one.started_hook == self.attempt());
        self.spec.lifecycle.post_start.is_some() && !ended && input.in_flight.contains(&key)
    }

    /// Whether it is ready, as far as it and its probes go.
    pub(crate) fn ready(&self, input: &Input<'_>, history: &History) -> bool {
        let regular_init = self.kind == Kind::Init && !self.is_sidecar();
        if regular_init {
            return self.ended() == Some(0);
        }
        let sort = crate::probe::Sort::Readiness;
        let probed = sort.of(self.spec).is_none()
            || self.attempt().is_some_and(|attempt| result(history, self.name(), sort, attempt) == Some(true));
        (self.kind == Kind::Main || self.is_sidecar()) && probed && self.started(input, history)
    }
}

/// Whether a container was made from another image than the spec has now.
pub(crate) fn is_other(one: &observed::Container, spec: &Container) -> bool {
    one.labels.get(super::launch::IMAGE_LABEL).is_some_and(|image| *image != spec.image)
}

/// What counts now of a probe of an attempt.
pub(crate) fn result(history: &History, name: &str, sort: crate::probe::Sort, attempt: u32) -> Option<bool> {
    let state = history.containers.get(name)?.probes.get(&sort)?;
    state.result.filter(|_| state.attempt == attempt)
}

fn matches(rule: &serde_json::Value, code: i32) -> bool {
    let listed = api::kinds::read::items(rule, "/values").iter().any(|one| one.as_i64() == Some(code.into()));
    match api::kinds::read::text(rule, "/operator") {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}
