//! How many sets of earlier templates are kept.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#clean-up-policy>.

use api::{kinds::workload::count, meta};
use serde_json::Value;

use super::sets::{REVISION, Rollout, Set};

/// A limit as large as this is none.
const NO_LIMIT: i64 = i32::MAX as i64;

impl Rollout<'_> {
    /// Deletes the oldest empty sets beyond the limit.
    pub(super) fn drop_history(&mut self) {
        let limit = self.deployment.pointer("/spec/revisionHistoryLimit").and_then(Value::as_i64);
        let Some(limit) = limit.filter(|limit| *limit < NO_LIMIT) else { return };
        let alive = |set: &Set| set.object.as_ref().is_some_and(|object| !meta::is_being_deleted(object));
        let mut old: Vec<usize> = self.old().into_iter().filter(|at| alive(&self.sets[*at])).collect();
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        old.sort_by_key(|at| self.sets[*at].said(REVISION).unwrap_or_default());
        for at in old.into_iter().take(surplus) {
            self.sets[at].deleted = is_empty(&self.sets[at]);
        }
    }
}

fn is_empty(set: &Set) -> bool {
    let seen = |object| meta::generation(object) <= count(object, "/status/observedGeneration");
    set.size == 0 && set.status("replicas") == 0 && set.object.as_ref().is_some_and(|object| seen(object))
}
