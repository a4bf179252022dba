//! PATCH: JSON, merge, strategic and apply.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-update>.

use std::sync::Arc;

use api::{facts, meta};
use serde_json::Value;

use super::update;
use crate::{
    form,
    options::WriteOptions,
    ownership,
    pipeline::{BodyType, Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Patches one object.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(&request, "PatchOptions")?;
    if request.body_type == BodyType::Apply {
        return super::apply::answer(shared, &request, &options).await;
    }
    let warnings = parking_lot::Mutex::new(Vec::new());
    let change = |old: &Value| {
        let (new, told) = patched(&request, &options, old)?;
        *warnings.lock() = told;
        Ok(new)
    };
    let reply = update::change(shared, &request, &options, change, ownership::updated).await?;
    Ok(reply.warn(warnings.into_inner()))
}

fn patched(request: &Request, options: &WriteOptions, old: &Value) -> Result<(Value, Vec<String>), ApiError> {
    let target = &request.target;
    let mut new = old.clone();
    match request.body_type {
        BodyType::JsonPatch => api::patch::json(&mut new, &request.body)?,
        BodyType::StrategicPatch => {
            let kind =
                facts::ty(target.kind.type_name).ok_or_else(|| ApiError::internal("the kind has no type facts"))?;
            api::patch::strategic(&mut new, &request.body, kind)?;
        }
        _ => api::patch::merge(&mut new, &request.body)?,
    }
    let warnings = form::conform(
        &mut new,
        target.kind.type_name,
        Vec::new(),
        (target.kind.version, target.kind.kind),
        options.validation,
    )?;
    if meta::api_version(&new) != meta::api_version(old) || meta::kind(&new) != meta::kind(old) {
        return Err(ApiError::bad_request("a patch may not change apiVersion or kind"));
    }
    form::check_place(target, &mut new)?;
    Ok((new, warnings))
}
