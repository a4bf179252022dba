//! `pods/binding`, and `bindings` in the old way: says where a pod runs.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/>.
//! Leaves out ownership: a binding writes no fields in its sender's name.

use std::sync::Arc;

use api::{
    field::Errors,
    kinds::{
        node::NODE,
        pod::{
            POD,
            binding::{bind, validate},
        },
    },
    meta,
    status::{GroupResource, Status},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Guard, View};

use crate::{
    commit::{self, Step, Write},
    form, object,
    options::WriteOptions,
    pipeline::{Object, Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Labels of a node that its pods inherit.
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// Binds one pod.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(&request, "CreateOptions")?;
    let (mut binding, warnings) = form::object(&request, options.validation)?;
    form::check_place(&request.target, &mut binding)?;
    let name = meta::name(&binding).to_owned();
    let mut errors = Errors::new();
    validate(&binding, &mut errors);
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "Binding", &name, &errors));
    }
    let key = object::key(&POD, &request.target.namespace, &name);
    let contended = || ApiError::contended(&POD, &name);
    let decide = |view: &View| {
        let record = view.get(&key).ok_or_else(|| ApiError::not_found(&POD, &name))?;
        let mut pod = object::decode(record);
        check_version(&binding, &pod)?;
        bound(view, &mut pod, binding.clone(), request.now)?;
        let guards = vec![Guard::Unchanged(Arc::clone(&key), record.modified)];
        let ops = vec![object::put(&POD, Arc::clone(&key), &pod)];
        Ok(Step::Write(Write { guards, ops, reply: Box::new(|_, _| success()) }))
    };
    commit::run(shared, options.terms(), contended, decide).await.map(|reply| reply.warn(warnings))
}

/// 201 with a Status that says nothing but success.
pub(super) fn success() -> Reply {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Reply::created(Object::Made(status))
}

/// A binding may name the very pod it is meant for.
fn check_version(binding: &Value, pod: &Value) -> Result<(), ApiError> {
    let named = [
        ("UID", meta::uid(binding), meta::uid(pod)),
        ("ResourceVersion", meta::resource_version(binding), meta::resource_version(pod)),
    ];
    match named.into_iter().find(|(_, wanted, actual)| !wanted.is_empty() && wanted != actual) {
        Some((what, wanted, actual)) => {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}");
            Err(conflict(meta::name(pod), &why))
        }
        None => Ok(()),
    }
}

fn bound(view: &View, pod: &mut Value, mut binding: Value, now: Timestamp) -> Result<(), ApiError> {
    let node = binding.pointer("/target/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(record) = view.get(&object::key(&NODE, "", &node)) {
        inherit(&mut binding, &object::decode(record));
    }
    bind(pod, &binding, now).map_err(|error| conflict(meta::name(pod), &error.to_string()))
}

fn inherit(binding: &mut Value, node: &Value) {
    for name in TOPOLOGY {
        if let Some(value) = meta::label(node, name) {
            binding["metadata"]["labels"][name] = value.into();
        }
    }
}

fn conflict(name: &str, why: &str) -> ApiError {
    Status::conflict(GroupResource::new("", "pods/binding"), name, why).into()
}
