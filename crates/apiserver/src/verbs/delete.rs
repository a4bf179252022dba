//! DELETE: at once, or a deletionTimestamp where finalizers, grace or a namespace's content stand in the way.
//! Spec: <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>. When it goes is [`lifecycle`]'s to say.

use std::sync::Arc;

use api::{kinds::Kind, meta, status::Status};
use serde_json::{Value, json};
use store::{Guard, Op, Record, View};

use crate::{
    admit, allocate,
    commit::{self, Step, Terms, Write},
    lifecycle, object,
    options::{DeleteOptions, Propagation},
    pipeline::{Object, Reply, Request},
    shared::Shared,
    status::{ApiError, resource},
};

/// Finalizer that keeps dependents.
const ORPHAN: &str = "orphan";

/// Finalizer that waits for dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// Deletes one object.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = DeleteOptions::of(&request)?;
    delete(shared, &request, &options).await
}

/// Deletes the object that the request's target names.
pub(super) async fn delete(
    shared: &Arc<Shared>,
    request: &Request,
    options: &DeleteOptions,
) -> Result<Reply, ApiError> {
    let target = &request.target;
    let key = object::key(target.kind, &target.namespace, &target.name);
    let terms = Terms { dry_run: options.dry_run, term: request.term, now: request.now };
    let contended = || ApiError::contended(target.kind, &target.name);
    let decide = |view: &View| {
        let record = view.get(&key).ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
        step(shared, view, request, options, record, |_| {})
    };
    commit::run(shared, terms, contended, decide).await
}

/// What deleting an object writes. `last` notes on it why it ends, where it does not go at once.
pub(super) fn step(
    shared: &Shared,
    view: &View,
    request: &Request,
    options: &DeleteOptions,
    record: &Arc<Record>,
    last: impl FnOnce(&mut Value),
) -> Result<Step, ApiError> {
    let kind = request.target.kind;
    let old = object::decode(record);
    preconditions(kind, options, &old)?;
    let mut guards = admit::delete(shared, view, request, &old)?;
    guards.push(Guard::Unchanged(Arc::clone(&record.key), record.modified));
    let mut new = old.clone();
    finalizers(&mut new, options.propagation.or_else(|| by_kind(kind, &old)));
    if lifecycle::end(kind, &mut new, options.grace_seconds, request.now) {
        let mut ops = vec![Op::Delete(Arc::clone(&record.key))];
        ops.extend(allocate::removed(kind, &old));
        let reply = if is_returned(kind) { returned(new) } else { removed(kind, &old) };
        return Ok(Step::Write(Write { guards, ops, reply }));
    }
    last(&mut new);
    let code = if options.accepts { 202 } else { 200 };
    let put = object::put(kind, Arc::clone(&record.key), &new);
    if matches!(&put, Op::Put { body, .. } if *body == record.body) {
        return Ok(Step::Done(Reply { code, ..Reply::ok(Object::Stored(Arc::clone(record))) }));
    }
    let created = record.created;
    let reply = Box::new(move |revision, ops: Vec<Op>| {
        let record = ops.into_iter().find_map(|op| object::record(op, Some(created), revision));
        Reply { code, ..Reply::ok(Object::Stored(record.expect("a marked object is put"))) }
    });
    Ok(Step::Write(Write { guards, ops: vec![put], reply }))
}

fn preconditions(kind: &Kind, options: &DeleteOptions, old: &Value) -> Result<(), ApiError> {
    let checks =
        [("UID", &options.uid, meta::uid(old)), ("ResourceVersion", &options.version, meta::resource_version(old))];
    for (what, wanted, actual) in checks {
        if let Some(wanted) = wanted.as_ref().filter(|w| *w != actual) {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}");
            return Err(ApiError::conflict(kind, meta::name(old), &why));
        }
    }
    Ok(())
}

/// Kinds whose dependents stay unless something else is asked for: older clients rely on it.
const ORPHANING: [(&str, &str); 2] = [("", "replicationcontrollers"), ("batch", "jobs")];

/// What is done where nothing is asked for. What the object's own finalizers say comes first.
fn by_kind(kind: &Kind, object: &Value) -> Option<Propagation> {
    let says = meta::finalizers(object).any(|one| one == ORPHAN || one == FOREGROUND);
    (!says && ORPHANING.contains(&(kind.group, kind.plural))).then_some(Propagation::Orphan)
}

/// Adds or takes away the garbage collector's finalizers; none asked for leaves them as they are.
fn finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let others = meta::finalizers(object).filter(|f| *f != ORPHAN && *f != FOREGROUND);
    let mut all: Vec<Value> = others.map(Value::from).collect();
    match propagation {
        Propagation::Orphan => all.push(ORPHAN.into()),
        Propagation::Foreground => all.push(FOREGROUND.into()),
        Propagation::Background => {}
    }
    meta::set(object, "finalizers", (!all.is_empty()).then(|| all.into()));
}

/// Kinds of the core group whose deletion answers with the object, not with a Status; Kubernetes is not uniform here.
const RETURNED: [&str; 6] =
    ["persistentvolumeclaims", "persistentvolumes", "podtemplates", "resourcequotas", "serviceaccounts", "services"];

fn is_returned(kind: &Kind) -> bool {
    kind.hooks.grace.is_some() || (kind.group.is_empty() && RETURNED.contains(&kind.plural))
}

/// Answers with the object as it was last: what kinds that know grace do, and [`RETURNED`].
fn returned(mut last: Value) -> Box<dyn FnOnce(store::Revision, Vec<Op>) -> Reply + Send> {
    Box::new(move |revision, _| {
        meta::set_resource_version(&mut last, revision.0.to_string());
        Reply::ok(Object::Made(last))
    })
}

/// Answers that it is gone.
fn removed(kind: &'static Kind, old: &Value) -> Box<dyn FnOnce(store::Revision, Vec<Op>) -> Reply + Send> {
    let (name, uid) = (meta::name(old).to_owned(), meta::uid(old).to_owned());
    Box::new(move |_, _| {
        let of = resource(kind);
        let mut status = Status::success(None);
        status.code = 0;
        let mut status = serde_json::to_value(status).unwrap_or_default();
        status.as_object_mut().map(|fields| fields.remove("code"));
        let mut details = json!({ "name": name, "kind": of.resource, "uid": uid });
        if !of.group.is_empty() {
            details["group"] = of.group.into();
        }
        status["details"] = details;
        Reply::ok(Object::Made(status))
    })
}
