//! `pods/eviction`: a deletion that may be refused. Spec:
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>.
//! Leaves out PodDisruptionBudgets, until there is that kind: nothing is refused yet.

use std::sync::Arc;

use api::{
    kinds::pod::{Condition, set_condition},
    meta,
};
use serde_json::Value;
use store::View;

use super::{binding::success, delete};
use crate::{
    commit::{self, Terms},
    form, object,
    options::{DeleteOptions, WriteOptions},
    pipeline::{Reply, Request},
    shared::Shared,
    status::ApiError,
};

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
    let key = object::key(target.kind, &target.namespace, &target.name);
    let terms = Terms { dry_run: options.dry_run, ..write.terms() };
    let contended = || ApiError::contended(target.kind, &target.name);
    let decide = |view: &View| {
        let record = view.get(&key).ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
        delete::step(shared, view, &request, &options, record, |pod| set_condition(pod, CONDITION, request.now))
    };
    commit::run(shared, terms, contended, decide).await?;
    Ok(success().warn(warnings))
}
