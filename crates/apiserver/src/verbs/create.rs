//! CREATE. Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>.

use std::{borrow::Cow, sync::Arc};

use api::{
    kinds::{Ctx, Kind},
    meta, names,
};
use serde_json::Value;
use store::{Guard, View};

use crate::{
    admit, allocate,
    commit::{self, Step, Write},
    form, object,
    options::WriteOptions,
    ownership,
    pipeline::{Answer, Object, Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Names drawn for one `generateName` before the client is told to try again; upstream draws eight.
const MAX_NAMES: usize = 8;

/// Decodes and creates.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(&request, "CreateOptions")?;
    let (object, mut warnings) = form::object(&request, options.validation)?;
    warnings.extend((request.target.kind.hooks.warnings)(&object));
    create(shared, &request, &options, object).await.map(|reply| reply.warn(warnings))
}

/// Creates a decoded object (served form).
pub(crate) async fn create(
    shared: &Arc<Shared>,
    request: &Request,
    options: &WriteOptions,
    object: Value,
) -> Result<Reply, ApiError> {
    let kind = request.target.kind;
    let generated = meta::name(&object).is_empty() && !meta::generate_name(&object).is_empty();
    let object = prepare(request, object, &uuid::Uuid::new_v4().to_string())?;
    if !generated {
        return create_named(shared, request, options, object).await;
    }
    for _ in 0..MAX_NAMES {
        let mut named = object.clone();
        meta::set_name(&mut named, names::generate(meta::generate_name(&object), rand::random()));
        match create_named(shared, request, options, named).await {
            Err(error) if error.status.reason == "AlreadyExists" => {}
            settled => return settled,
        }
    }
    Err(ApiError::name_generation(kind, meta::generate_name(&object)))
}

/// Creates a prepared object that has its name.
async fn create_named(
    shared: &Arc<Shared>,
    request: &Request,
    options: &WriteOptions,
    object: Value,
) -> Result<Reply, ApiError> {
    let kind = request.target.kind;
    // What no other object has a say in is finished once, whatever happens meanwhile.
    let early = admit::completion(kind).is_none();
    let early = early.then(|| finish(request, options, object.clone(), ownership::created)).transpose()?;
    let contended = || ApiError::contended(kind, meta::name(&object));
    let settle = |view: &View| match &early {
        Some(object) => decide(shared, view, request, object, Vec::new()),
        None => complete_and_decide(shared, view, request, options, object.clone(), ownership::created),
    };
    admit::account::await_default(shared, kind, &object).await;
    let _turn = admit::quota::turn(shared, kind, meta::namespace(&object)).await?;
    let made = commit::run(shared, options.terms(), contended, settle).await;
    made.map(|reply| if options.dry_run { unversioned(kind, reply) } else { reply })
}

/// Completes a new object from what others say, finishes it and puts it where nothing is yet.
pub(super) fn complete_and_decide(
    shared: &Arc<Shared>,
    view: &View,
    request: &Request,
    options: &WriteOptions,
    mut object: Value,
    own: fn(&Request, &WriteOptions, &mut Value) -> Result<(), ApiError>,
) -> Result<Step, ApiError> {
    let kind = request.target.kind;
    if let Some(complete) = admit::completion(kind) {
        // That there is no such namespace is told before anything else.
        admit::namespace_open(view, kind, meta::namespace(&object), meta::name(&object))?;
        form::default(kind, &mut object);
        // Nobody owns what the cluster adds, so that nobody takes it away by not saying it again.
        own(request, options, &mut object)?;
        let guards = complete(view, &mut object)?;
        let object = finish(request, options, object, |_, _, _| Ok(()))?;
        return decide(shared, view, request, &object, guards);
    }
    let object = finish(request, options, object, own)?;
    decide(shared, view, request, &object, Vec::new())
}

/// What a dry run would have made has no version.
fn unversioned(kind: &'static Kind, reply: Reply) -> Reply {
    let Answer::Object(Object::Stored(record)) = &reply.answer else { return reply };
    let mut object = object::served(kind, record);
    meta::set_resource_version(&mut object, "");
    Reply { answer: Answer::Object(Object::Made(object)), ..reply }
}

/// Sets what a client may not say. The name may still be open.
pub(super) fn prepare(request: &Request, mut object: Value, uid: &str) -> Result<Value, ApiError> {
    if !meta::resource_version(&object).is_empty() {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    form::check_place(&request.target, &mut object)?;
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink", "managedFields"] {
        meta::set(&mut object, field, None);
    }
    meta::set_uid(&mut object, uid);
    meta::set_creation_timestamp(&mut object, meta::time(request.now));
    Ok(object)
}

/// Defaults, validates and brings the object into its stored form.
fn finish(
    request: &Request,
    options: &WriteOptions,
    mut object: Value,
    own: fn(&Request, &WriteOptions, &mut Value) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let kind = request.target.kind;
    form::default(kind, &mut object);
    (kind.hooks.prepare_create)(&mut object, &Ctx { now: request.now });
    form::validate(kind, &object)?;
    own(request, options, &mut object)?;
    kind.to_storage(&mut object);
    Ok(object)
}

/// Puts it where nothing is yet.
fn decide(
    shared: &Arc<Shared>,
    view: &View,
    request: &Request,
    object: &Value,
    mut guards: Vec<Guard>,
) -> Result<Step, ApiError> {
    let kind = request.target.kind;
    let (namespace, name) = (meta::namespace(object), meta::name(object));
    let key = object::key(kind, namespace, name);
    guards.extend(admit::namespace_open(view, kind, namespace, name)?);
    if view.get(&key).is_some() {
        return Err(ApiError::already_exists(kind, name));
    }
    guards.extend(admit::create(shared, view, request, object)?);
    guards.push(Guard::Absent(Arc::clone(&key)));
    let (unchanged, counted) = admit::quota::charge(view, request, kind, None, object)?;
    guards.extend(unchanged);
    let mut object = Cow::Borrowed(object);
    let given = allocate::written(&shared.pools, view, request.now, kind, None, &mut object)?;
    let reply = Box::new(|revision, ops: Vec<store::Op>| {
        let record = ops.into_iter().find_map(|op| object::record(op, None, revision));
        Reply::created(Object::Stored(record.expect("a create puts one record")))
    });
    let mut ops = vec![object::put(kind, key, &object)];
    ops.extend(given);
    ops.extend(counted);
    Ok(Step::Write(Write { guards, ops, reply }))
}
