//! The status of a deployment: counts, and how a rollout goes.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status>.

use api::{
    kinds::{
        deployment::DEPLOYMENT,
        read::{items, text},
        workload::count,
    },
    meta,
};
use jiff::SignedDuration;
use serde_json::Value;

use super::{
    conditions::{self, DONE, PROGRESSING, Progress, TIMED_OUT},
    sets::{REVISION, Rollout},
};
use crate::{Action, workload::set_count};

/// The condition that says that pods could not be made or deleted.
const FAILURE: &str = "ReplicaFailure";

impl Rollout<'_> {
    /// Says how many pods there are, and whether they are enough.
    pub(super) fn tell_status(&mut self) {
        let available = self.total_status("availableReplicas");
        let updated = self.new_set().map_or(0, |set| set.status("replicas"));
        for (field, number) in [
            ("observedGeneration", meta::generation(self.deployment)),
            ("replicas", self.total_status("replicas")),
            ("updatedReplicas", updated),
            ("readyReplicas", self.total_status("readyReplicas")),
            ("availableReplicas", available),
            ("unavailableReplicas", (self.total() - available).max(0)),
        ] {
            set_count(&mut self.status, field, number);
        }
        self.tell_terminating();
        let (status, reason, message) = match available >= self.wanted - self.max_unavailable() {
            true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
            false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        };
        self.say(&Progress::of("Available", status, reason, message));
    }

    /// Known only where all sets know it.
    fn tell_terminating(&mut self) {
        let of = |set: &super::sets::Set| set.object.as_ref()?.pointer("/status/terminatingReplicas")?.as_i64();
        let all: Option<Vec<i64>> = self.sets.iter().map(of).collect();
        let Some(status) = self.status.as_object_mut() else { return };
        match all {
            Some(all) => _ = status.insert("terminatingReplicas".into(), all.into_iter().sum::<i64>().into()),
            None => _ = status.remove("terminatingReplicas"),
        }
    }

    /// As [`Rollout::tell_status`], and how the rollout goes.
    pub(super) fn tell_rollout(&mut self) {
        self.tell_status();
        if !self.has_deadline() {
            conditions::remove(&mut self.status, PROGRESSING);
        }
        let done = self.progress().is_some_and(|known| text(known, "/reason") == DONE);
        let settled = done && self.counted("replicas") == self.counted("updatedReplicas");
        if self.has_deadline() && !settled {
            self.tell_progress();
        }
        match self.failure() {
            Some(failure) => self.say(&failure),
            None => conditions::remove(&mut self.status, FAILURE),
        }
        self.wake_at_deadline();
    }

    fn tell_progress(&mut self) {
        let who = match self.new_set() {
            Some(set) => format!("ReplicaSet {:?}", set.name),
            None => format!("Deployment {:?}", meta::name(self.deployment)),
        };
        if self.is_complete() {
            self.say(&Progress::going(DONE, format!("{who} has successfully progressed.")));
        } else if self.progresses() {
            self.tell_step(format!("{who} is progressing."));
        } else if self.is_late() {
            self.say(&Progress::stopped(TIMED_OUT, format!("{who} has timed out progressing.")));
        }
    }

    /// Each step counts anew against the deadline, so that its time is noted although the words are the same.
    fn tell_step(&mut self, message: String) {
        let known = self.progress().filter(|known| text(known, "/status") == "True");
        let since = known.map(|known| text(known, "/lastTransitionTime").to_owned());
        conditions::remove(&mut self.status, PROGRESSING);
        self.say(&Progress::going("ReplicaSetUpdated", message));
        let Some(since) = since else { return };
        let list = self.status.get_mut("conditions").and_then(Value::as_array_mut);
        let new = list.and_then(|list| list.iter_mut().find(|known| text(known, "/type") == PROGRESSING));
        if let Some(new) = new {
            new["lastTransitionTime"] = since.into();
        }
    }

    /// A number of the status as this run says it.
    fn counted(&self, field: &str) -> i64 {
        count(&self.status, &format!("/{field}"))
    }

    /// Whether all pods are new and available, as this run sees it.
    fn is_complete(&self) -> bool {
        let all = ["updatedReplicas", "replicas", "availableReplicas"];
        all.iter().all(|field| self.counted(field) == self.wanted)
    }

    /// The same, as the stored status says it.
    pub(super) fn is_complete_as_told(&self) -> bool {
        let all = ["updatedReplicas", "replicas", "availableReplicas"];
        all.iter().all(|field| self.reported(field) == self.wanted)
            && self.reported("observedGeneration") >= meta::generation(self.deployment)
    }

    /// Whether there is more of what is wanted, or less of what is not, than the stored status says.
    fn progresses(&self) -> bool {
        let more = |field: &str| self.counted(field) > self.reported(field);
        let old = self.counted("replicas") - self.counted("updatedReplicas");
        let old_before = self.reported("replicas") - self.reported("updatedReplicas");
        more("updatedReplicas") || more("readyReplicas") || more("availableReplicas") || old < old_before
    }

    fn is_late(&self) -> bool {
        let reason = self.progress().map_or("", |known| text(known, "/reason"));
        reason == TIMED_OUT || reason != DONE && self.deadline(&self.status).is_some_and(|deadline| deadline < self.now)
    }

    fn wake_at_deadline(&mut self) {
        let reason = self.progress().map_or("", |known| text(known, "/reason"));
        if self.is_complete() || reason == TIMED_OUT || reason == DONE {
            return;
        }
        if let Some(deadline) = self.deadline(&self.status) {
            let a_little_later = deadline.saturating_add(SignedDuration::from_secs(1)).unwrap_or(deadline);
            self.wake(a_little_later);
        }
    }

    /// What a set says of pods that could not be made: the newest, else any.
    fn failure(&self) -> Option<Progress> {
        let of = |set: &super::sets::Set| {
            let list = items(set.object.as_ref()?, "/status/conditions");
            list.iter().find(|known| text(known, "/type") == FAILURE).map(Progress::of_set)
        };
        self.new_set().and_then(of).or_else(|| self.sets.iter().find_map(of))
    }

    /// The status, and the revision, which goes with it.
    pub(super) fn write_status(&self) -> Option<Action> {
        let revision = |object: &Value| meta::annotation(object, REVISION).map(str::to_owned);
        let same = self.deployment.get("status") == Some(&self.status) && revision(self.deployment) == self.revision;
        if same {
            return None;
        }
        let mut object = Value::clone(self.deployment);
        object["status"] = self.status.clone();
        if let Some(revision) = &self.revision {
            object["metadata"]["annotations"][REVISION] = revision.as_str().into();
        }
        Some(Action::Update { kind: &DEPLOYMENT, part: "status", object })
    }
}
