//! The status of a StatefulSet: how many of its pods are what.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/stateful-set-v1/#StatefulSetStatus>.

use api::{
    kinds::{read::text, workload::count},
    meta,
};
use serde_json::{Value, json};

use super::{identity::revision_of, steps::Set};
use crate::{view::Object, workload::set_count};

impl Set<'_> {
    fn counted(&self, is: impl Fn(&Object) -> bool) -> i64 {
        i64::try_from(self.pods.iter().filter(|pod| is(pod)).count()).unwrap_or(i64::MAX)
    }

    /// Pods of a revision that are there to stay.
    pub(super) fn of_revision(&self, revision: &Value) -> i64 {
        self.counted(|pod| !meta::is_being_deleted(pod) && revision_of(pod) == meta::name(revision))
    }

    /// How things are.
    pub(super) fn status(&self) -> Value {
        let (mut current, mut name) = (self.of_revision(self.current), meta::name(self.current));
        let (all, updated) = (self.counted(|_| true), self.of_revision(self.update));
        let (ready, update) = (self.counted(|pod| self.is_ready(pod)), meta::name(self.update));
        let rolling = text(self.set, "/spec/updateStrategy/type") == "RollingUpdate";
        if rolling && [updated, ready, all] == [self.wanted(); 3] {
            (current, name) = (updated, update);
        }
        let available = self.counted(|pod| self.is_available(pod));
        let mut status = json!({
            "replicas": all, "availableReplicas": available, "currentRevision": name, "updateRevision": update,
            "collisionCount": count(self.set, "/status/collisionCount"),
        });
        for (field, number) in [
            ("observedGeneration", meta::generation(self.set)),
            ("readyReplicas", ready),
            ("currentReplicas", current),
            ("updatedReplicas", updated),
        ] {
            set_count(&mut status, field, number);
        }
        if let Some(conditions) = self.set.pointer("/status/conditions") {
            status["conditions"] = conditions.clone();
        }
        status
    }
}
