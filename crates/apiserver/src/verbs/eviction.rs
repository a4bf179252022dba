//! `pods/eviction`: a deletion that a PodDisruptionBudget may refuse. Spec:
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>.
//!
//! The pod's deletion and what it takes from its budget are one transaction, guarded by both as they were read: evictions
//! through different nodes never take more than there is, and none is counted that did not happen.

use std::sync::Arc;

use api::{
    kinds::pod::{self, Condition, set_condition},
    meta,
};
use serde_json::Value;
use store::{Freshness, Guard, View};

use super::{binding::success, delete};
use crate::{
    commit::{self, Step, Terms},
    form, object,
    options::{DeleteOptions, WriteOptions},
    pipeline::{Reply, Request},
    shared::Shared,
    status::ApiError,
};

mod budget;

use budget::{Budget, Verdict};

/// Told on the pod while it ends.
const CONDITION: Condition<'static> = Condition {
    r#type: "DisruptionTarget",
    status: "True",
    reason: "EvictionByEvictionAPI",
    message: "Eviction API: evicting",
};

/// Evicts one pod.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let write = WriteOptions::of(&request, "CreateOptions")?;
    let (eviction, warnings) = form::object(&request, write.validation)?;
    let target = &request.target;
    if meta::name(&eviction) != target.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let asked = eviction.get("deleteOptions").unwrap_or(&Value::Null);
    let mut options = DeleteOptions::read(asked, &request.query)?;
    options.dry_run |= write.dry_run;
    let terms = Terms { dry_run: options.dry_run, ..write.terms() };
    // A guard holds for budgets that were read. One that this node has not heard of yet would be passed over.
    shared.storage.read(Freshness::Linearizable).await?;
    let mut last = None;
    let decided = {
        let decide = |view: &View| step(shared, view, &request, &options, &mut last);
        commit::run(shared, terms, || ApiError::contended(target.kind, &target.name), decide).await
    };
    match (decided, last) {
        (Ok(_), _) => Ok(success().warn(warnings)),
        // Too many at a time for one budget, or for a pod that becomes ready: to try again is all there is to do.
        (Err(error), Some(budget)) if is_contended(&error, &options) => Err(budget::busy(&budget)),
        (Err(error), _) => Err(error),
    }
}

/// Whether it was others' doing that it did not come to a write, rather than a version that the client asked for.
fn is_contended(error: &ApiError, options: &DeleteOptions) -> bool {
    error.code() == 409 && options.version.is_none() && error.retry_after.is_some()
}

/// What one try writes; `last` is told the budget that it looked at.
fn step(
    shared: &Shared,
    view: &View,
    request: &Request,
    options: &DeleteOptions,
    last: &mut Option<String>,
) -> Result<Step, ApiError> {
    let target = &request.target;
    let key = object::key(target.kind, &target.namespace, &target.name);
    let record = view.get(&key).ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
    let evicted = object::decode(record);
    let budget = if is_free(&evicted) { None } else { Budget::of(view, &evicted)? };
    *last = budget.as_ref().map(|budget| budget.name().to_owned());
    let taken = match &budget {
        Some(budget) => budget.verdict(&evicted, request.now)?,
        None => Verdict::Free,
    };
    let mut step =
        delete::step(shared, view, request, options, record, |pod| set_condition(pod, CONDITION, request.now))?;
    if let (Step::Write(write), Some(budget), Verdict::Takes(changed)) = (&mut step, &budget, taken) {
        write.guards.push(Guard::Unchanged(Arc::clone(&budget.record.key), budget.record.modified));
        write.ops.push(budget::put(&budget.record, &changed));
    }
    Ok(step)
}

/// Whether no budget is asked: the pod serves nobody, or is on its way out already.
fn is_free(evicted: &Value) -> bool {
    let phase = evicted.pointer("/status/phase").and_then(Value::as_str);
    phase == Some("Pending") || pod::is_terminal(evicted) || meta::is_being_deleted(evicted)
}
