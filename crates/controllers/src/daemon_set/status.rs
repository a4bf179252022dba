//! The status of a DaemonSet: on how many nodes its pods are what.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/daemon-set-v1/#DaemonSetStatus>.

use api::{kinds::workload::count, meta};
use serde_json::{Value, json};

use super::nodes::Daemons;
use crate::{
    view::Object,
    workload::{ready_since, set_count},
};

impl Daemons<'_> {
    /// How things are.
    pub(super) fn status(&self) -> Value {
        let on = |runs: bool| {
            let nodes = self.nodes.iter().filter(move |(_, wish)| wish.runs == runs);
            nodes.filter_map(|(node, _)| self.on(node).first()).collect::<Vec<&Object>>()
        };
        let (wanted, oldest, misplaced) = (self.wanted(), on(true), on(false));
        let number = |is: &dyn Fn(&Object) -> bool| {
            i64::try_from(oldest.iter().filter(|pod| is(pod)).count()).unwrap_or(i64::MAX)
        };
        let available = number(&|pod| self.is_available(pod));
        let mut status = json!({
            "desiredNumberScheduled": wanted, "currentNumberScheduled": oldest.len(),
            "numberMisscheduled": misplaced.len(), "numberReady": number(&|pod| ready_since(pod).is_some()),
        });
        for (field, number) in [
            ("observedGeneration", meta::generation(self.set)),
            ("updatedNumberScheduled", number(&|pod| self.is_new(pod))),
            ("numberAvailable", available),
            ("numberUnavailable", wanted - available),
            ("collisionCount", count(self.set, "/status/collisionCount")),
        ] {
            set_count(&mut status, field, number);
        }
        if let Some(conditions) = self.set.pointer("/status/conditions") {
            status["conditions"] = conditions.clone();
        }
        status
    }
}
