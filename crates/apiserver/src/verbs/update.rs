//! UPDATE, and what every change of an existing object shares with it: [`change`].
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#update-mechanism-update>.

use std::{borrow::Cow, sync::Arc};

use api::{field::Errors, kinds::Ctx, meta};
use serde_json::Value;
use store::{Guard, Op, Record, View};

use crate::{
    admit, allocate,
    commit::{self, Step, Write},
    form, lifecycle, object,
    options::WriteOptions,
    ownership,
    pipeline::{Object, Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Decodes and replaces.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(&request, "UpdateOptions")?;
    let (mut object, warnings) = form::object(&request, options.validation)?;
    form::check_place(&request.target, &mut object)?;
    let change = |_: &Value| Ok(object.clone());
    self::change(shared, &request, &options, change, ownership::updated).await.map(|reply| reply.warn(warnings))
}

/// Who owns which field after a change: `(kind, sub, options, old, new)`, all in served form.
pub(crate) type Own = fn(&Request, &WriteOptions, &Value, &mut Value) -> Result<(), ApiError>;

/// Changes an existing object: `make` turns the old served form into the new one.
pub(crate) async fn change(
    shared: &Arc<Shared>,
    request: &Request,
    options: &WriteOptions,
    make: impl Fn(&Value) -> Result<Value, ApiError> + Send + Sync,
    own: Own,
) -> Result<Reply, ApiError> {
    let target = &request.target;
    let key = object::key(target.kind, &target.namespace, &target.name);
    let contended = || ApiError::contended(target.kind, &target.name);
    let grows = admit::quota::grows(target.kind, target.sub.map_or("", |sub| sub.name));
    let _turn = if grows { admit::quota::turn(shared, target.kind, &target.namespace).await? } else { None };
    let decide = |view: &View| {
        let record = view.get(&key).ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
        let old = object::served(target.kind, record);
        let new = finish(request, options, &old, make(&old)?, own)?;
        step(shared, view, request, record, &old, new)
    };
    commit::run(shared, options.terms(), contended, decide).await
}

/// Carries over, defaults, validates; served form.
pub(super) fn finish(
    request: &Request,
    options: &WriteOptions,
    old: &Value,
    mut new: Value,
    own: Own,
) -> Result<Value, ApiError> {
    let (kind, name) = (request.target.kind, request.target.name.as_str());
    let (uid, version) = (meta::uid(&new), meta::resource_version(&new));
    if !uid.is_empty() && uid != meta::uid(old) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta::uid(old));
        return Err(ApiError::conflict(kind, name, &why));
    }
    if !version.is_empty() && version != "0" && version != meta::resource_version(old) {
        return Err(ApiError::modified(kind, name));
    }
    carry_over(&mut new, old);
    form::default(kind, &mut new);
    match request.target.sub {
        Some(sub) => (sub.prepare_update)(&mut new, old),
        None => (kind.hooks.prepare_update)(&mut new, old),
    }
    (kind.hooks.stamp)(&mut new, old, &Ctx { now: request.now });
    own(request, options, old, &mut new)?;
    let mut errors = Errors::new();
    let part = request.target.sub.map_or("", |sub| sub.name);
    form::check_update(kind, part, &new, old, &mut errors);
    form::refuse(kind, name, &errors)?;
    Ok(new)
}

/// Metadata that a client may leave out, and may not change.
fn carry_over(new: &mut Value, old: &Value) {
    for field in ["resourceVersion", "generation"] {
        meta::set(new, field, meta::get(old).and_then(|m| m.get(field)).cloned());
    }
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let absent = meta::get(new).and_then(|m| m.get(field)).is_none_or(Value::is_null);
        if absent {
            meta::set(new, field, meta::get(old).and_then(|m| m.get(field)).cloned());
        }
    }
}

/// What is to be written for the new object: nothing where it says the same, a deletion where it was the last obstacle to one.
pub(super) fn step(
    shared: &Arc<Shared>,
    view: &View,
    request: &Request,
    record: &Arc<Record>,
    old: &Value,
    new: Value,
) -> Result<Step, ApiError> {
    let kind = request.target.kind;
    let mut guards = admit::update(shared, view, request, old, &new)?;
    guards.push(Guard::Unchanged(Arc::clone(&record.key), record.modified));
    if meta::is_being_deleted(&new) && !lifecycle::pending(kind, &new) {
        let mut ops = vec![Op::Delete(Arc::clone(&record.key))];
        ops.extend(allocate::removed(kind, old));
        return Ok(Step::Write(Write { guards, ops, reply: gone(new) }));
    }
    let (unchanged, counted) = admit::quota::charge(view, request, kind, Some(old), &new)?;
    guards.extend(unchanged);
    let mut new = Cow::Owned(new);
    let given = allocate::written(&shared.pools, view, request.now, kind, Some(old), &mut new)?;
    kind.to_storage(new.to_mut());
    let put = object::put(kind, Arc::clone(&record.key), &new);
    if matches!(&put, Op::Put { body, .. } if *body == record.body) {
        return Ok(Step::Done(Reply::ok(Object::Stored(Arc::clone(record)))));
    }
    let created = record.created;
    let reply = Box::new(move |revision, ops: Vec<Op>| {
        let record = ops.into_iter().find_map(|op| object::record(op, Some(created), revision));
        Reply::ok(Object::Stored(record.expect("an update puts one record")))
    });
    let mut ops = vec![put];
    ops.extend(given);
    ops.extend(counted);
    Ok(Step::Write(Write { guards, ops, reply }))
}

/// Answers with the object as it was last.
fn gone(mut last: Value) -> Box<dyn FnOnce(store::Revision, Vec<Op>) -> Reply + Send> {
    Box::new(move |revision, _| {
        meta::set_resource_version(&mut last, revision.0.to_string());
        Reply::ok(Object::Made(last))
    })
}
