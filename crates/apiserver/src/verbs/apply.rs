//! Server-side apply: merges what a manager states, or creates it.
//! Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use std::sync::Arc;

use api::{
    field::{Errors, Path},
    meta,
};
use serde_json::Value;
use store::View;

use super::{create, update};
use crate::{
    admit,
    commit::{self, Step},
    form, object,
    options::WriteOptions,
    ownership,
    pipeline::{Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Applies one configuration.
pub(super) async fn answer(shared: &Arc<Shared>, request: &Request, options: &WriteOptions) -> Result<Reply, ApiError> {
    if request.query.get("fieldManager").is_none() {
        let mut errors = Errors::new();
        errors.required(&Path::new("fieldManager"), "is required for apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &errors));
    }
    let (mut config, warnings) = form::object(request, options.validation)?;
    form::check_place(&request.target, &mut config)?;
    let target = &request.target;
    let key = object::key(target.kind, &target.namespace, &target.name);
    let contended = || ApiError::contended(target.kind, &target.name);
    let uid = uuid::Uuid::new_v4().to_string();
    let decide = |view: &View| match view.get(&key) {
        Some(record) => {
            let old = object::served(target.kind, record);
            let new = ownership::applied(request, options, Some(&old), &config)?;
            let new = update::finish(request, options, &old, new, |_, _, _, _| Ok(()))?;
            update::step(shared, view, request, record, &old, new)
        }
        None => create_step(shared, view, request, options, &config, &uid),
    };
    let _turn = admit::quota::turn(shared, target.kind, &target.namespace).await?;
    let reply = commit::run(shared, options.terms(), contended, decide).await?;
    let told = if reply.code == 201 { (target.kind.hooks.warnings)(&config) } else { Vec::new() };
    Ok(reply.warn(warnings).warn(told))
}

fn create_step(
    shared: &Arc<Shared>,
    view: &View,
    request: &Request,
    options: &WriteOptions,
    config: &Value,
    uid: &str,
) -> Result<Step, ApiError> {
    let target = &request.target;
    if target.sub.is_some() || !meta::uid(config).is_empty() {
        return Err(ApiError::not_found(target.kind, &target.name));
    }
    let new = ownership::applied(request, options, None, config)?;
    let entries = meta::get(&new).and_then(|m| m.get("managedFields")).cloned();
    let mut new = create::prepare(request, new, uid)?;
    meta::set(&mut new, "managedFields", entries);
    create::complete_and_decide(shared, view, request, options, new, |_, _, _| Ok(()))
}
