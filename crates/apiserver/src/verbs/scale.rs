//! `scale` of any kind that has it: a view of the object that says how many pods there are to be.
//! Spec: `Scale` of <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/>.

use std::sync::Arc;

use api::{facts, field::Errors, kinds::workload::scale, meta};
use serde_json::Value;

use super::{get, update};
use crate::{
    form, object,
    options::WriteOptions,
    ownership,
    pipeline::{Answer, BodyType, Object, Reply, Request},
    route::Verb,
    shared::Shared,
    status::ApiError,
};

/// Reads, replaces or patches the scale of one object.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let kind = request.target.kind;
    let reply = match request.verb {
        Verb::Get => get::answer(shared, request).await?,
        Verb::Update => replace(shared, &request).await?,
        _ => patch(shared, &request).await?,
    };
    let whole = match &reply.answer {
        Answer::Object(Object::Stored(record)) => object::served(kind, record),
        Answer::Object(Object::Made(value)) => value.clone(),
        _ => return Ok(reply),
    };
    Ok(Reply { answer: Answer::Object(Object::Made(scale::of(&whole))), ..reply })
}

async fn replace(shared: &Arc<Shared>, request: &Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(request, "UpdateOptions")?;
    let (mut wanted, warnings) = form::object(request, options.validation)?;
    form::check_place(&request.target, &mut wanted)?;
    check(&wanted, &request.target.name)?;
    let change = |old: &Value| Ok(scaled(old, &wanted));
    update::change(shared, request, &options, change, ownership::updated).await.map(|reply| reply.warn(warnings))
}

async fn patch(shared: &Arc<Shared>, request: &Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(request, "PatchOptions")?;
    let change = |old: &Value| {
        let wanted = patched(request, &options, old)?;
        check(&wanted, &request.target.name)?;
        Ok(scaled(old, &wanted))
    };
    update::change(shared, request, &options, change, ownership::updated).await
}

/// The scale that a patch makes of the present one. Applied configurations are merged: a scale has one field to own.
fn patched(request: &Request, options: &WriteOptions, old: &Value) -> Result<Value, ApiError> {
    let mut wanted = scale::of(old);
    match request.body_type {
        BodyType::JsonPatch => api::patch::json(&mut wanted, &request.body)?,
        BodyType::StrategicPatch => {
            let ty = facts::ty(scale::TYPE).ok_or_else(|| ApiError::internal("Scale has no type facts"))?;
            api::patch::strategic(&mut wanted, &request.body, ty)?;
        }
        BodyType::Apply => {
            let given = form::parse(request)?;
            api::patch::merge(&mut wanted, given.to_string().as_bytes())?;
        }
        _ => api::patch::merge(&mut wanted, &request.body)?,
    }
    form::conform(&mut wanted, scale::TYPE, Vec::new(), ("v1", "Scale"), options.validation)?;
    form::check_place(&request.target, &mut wanted)?;
    Ok(wanted)
}

fn scaled(old: &Value, wanted: &Value) -> Value {
    let mut new = old.clone();
    scale::apply(&mut new, wanted);
    new
}

fn check(wanted: &Value, name: &str) -> Result<(), ApiError> {
    let mut errors = Errors::new();
    scale::validate(wanted, &mut errors);
    let named = Some(meta::name(wanted)).filter(|name| !name.is_empty()).unwrap_or(name);
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("autoscaling", "Scale", named, &errors)) }
}
