//! The status of a ReplicaSet. Main type: [`Seen`].
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replica-set-v1/#ReplicaSetStatus>.

use api::{
    kinds::{
        read::{items, text},
        workload::count,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    view::Object,
    workload::{available_at, labels, ready_since, set_count},
};

/// The condition that says that pods could not be made or deleted.
const FAILURE: &str = "ReplicaFailure";

/// What is seen of a set.
pub(super) struct Seen<'a> {
    pub(super) set: &'a Value,
    pub(super) active: &'a [&'a Object],
    /// Pods on their way out, where they are counted.
    pub(super) terminating: Option<usize>,
    /// Why its pods are not as many as they should be: reason and message.
    pub(super) failure: Option<(&'static str, &'a str)>,
    pub(super) now: Timestamp,
}

impl Seen<'_> {
    fn available(&self) -> impl Iterator<Item = Timestamp> {
        let least = count(self.set, "/spec/minReadySeconds");
        self.active.iter().filter_map(move |pod| available_at(pod, least))
    }

    /// When the next pod has been ready for long enough.
    pub(super) fn available_later(&self) -> Option<Timestamp> {
        self.available().filter(|at| *at > self.now).min()
    }

    pub(super) fn status(&self) -> Value {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let template: Vec<(&str, &str)> = self.set.pointer("/spec/template").map(labels).unwrap_or_default();
        let labelled = |pod: &&&Object| template.iter().all(|(key, value)| meta::label(pod, key) == Some(value));
        let mut status = json!({ "replicas": self.active.len() });
        if let Some(terminating) = self.terminating {
            status["terminatingReplicas"] = terminating.into();
        }
        for (field, count) in [
            ("fullyLabeledReplicas", self.active.iter().filter(labelled).count()),
            ("readyReplicas", self.active.iter().filter(|pod| ready_since(pod).is_some()).count()),
            ("availableReplicas", self.available().filter(|at| *at <= self.now).count()),
        ] {
            set_count(&mut status, field, number(count));
        }
        set_count(&mut status, "observedGeneration", meta::generation(self.set));
        let conditions = self.conditions();
        if !conditions.is_empty() {
            status["conditions"] = conditions.into();
        }
        status
    }

    fn conditions(&self) -> Vec<Value> {
        let known = items(self.set, "/status/conditions");
        let (failures, mut others): (Vec<Value>, Vec<Value>) =
            known.iter().cloned().partition(|condition| text(condition, "/type") == FAILURE);
        if let Some((reason, message)) = self.failure {
            let new = || {
                json!({ "type": FAILURE, "status": "True", "reason": reason, "message": message,
                        "lastTransitionTime": meta::time(self.now) })
            };
            others.push(failures.into_iter().next().unwrap_or_else(new));
        }
        others
    }
}
