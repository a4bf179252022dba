//! Admission: rules that need more than the object itself. What was looked at becomes a guard of the write.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/>
//! (NamespaceLifecycle, NodeRestriction, DefaultIngressClass, DefaultStorageClass, StorageObjectInUseProtection,
//! PersistentVolumeClaimResize; LimitRanger, ResourceQuota; the escalation check of RBAC objects).

use api::{
    kinds::{
        Kind, ingress::INGRESS, namespace::NAMESPACE, persistent_volume::PERSISTENT_VOLUME,
        persistent_volume_claim::PERSISTENT_VOLUME_CLAIM, pod::POD, priority_class::PRIORITY_CLASS,
    },
    meta,
    status::{Cause, Details, Status},
};
use auth::node::{Operation, Write, restrict};
use serde_json::Value;
use store::{Guard, View};

use crate::{
    authz, object,
    pipeline::Request,
    shared::Shared,
    status::{ApiError, resource},
};

pub mod account;
mod ingress;
mod pod;
pub mod quota;
mod storage;

/// Completes a new object, served form and defaulted, from what other objects say; what was read becomes guards.
pub type Complete = fn(&View, &mut Value) -> Result<Vec<Guard>, ApiError>;

/// What completes new objects of a kind, if anything does.
#[must_use]
pub fn completion(kind: &Kind) -> Option<Complete> {
    let all: [(&Kind, Complete); 4] = [
        (&POD, pod::complete),
        (&INGRESS, ingress::complete),
        (&PERSISTENT_VOLUME_CLAIM, storage::complete_claim),
        (&PERSISTENT_VOLUME, storage::complete_volume),
    ];
    all.into_iter().find(|(known, _)| std::ptr::eq(*known, kind)).map(|(_, complete)| complete)
}

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The namespace of a new object must be there and stay.
///
/// # Errors
/// 404 where it is not there, 403 where it is being deleted.
pub fn namespace_open(view: &View, kind: &Kind, namespace: &str, name: &str) -> Result<Vec<Guard>, ApiError> {
    if !kind.namespaced {
        return Ok(Vec::new());
    }
    let key = object::key(&NAMESPACE, "", namespace);
    let record = view.get(&key).ok_or_else(|| ApiError::not_found(&NAMESPACE, namespace))?;
    let phase = record.fields.iter().find(|(field, _)| &**field == "status.phase");
    if phase.is_some_and(|(_, phase)| &**phase == "Terminating") {
        return Err(terminating(kind, namespace, name));
    }
    Ok(vec![Guard::Unchanged(key, record.modified)])
}

fn terminating(kind: &Kind, namespace: &str, name: &str) -> ApiError {
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = Status::forbidden(resource(kind), name, why);
    let cause = Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    };
    status.details = Some(Details { causes: vec![cause], ..status.details.unwrap_or_default() });
    status.into()
}

/// May this be created?
///
/// # Errors
/// 403 where not.
pub fn create(shared: &Shared, view: &View, request: &Request, object: &Value) -> Result<Vec<Guard>, ApiError> {
    authz::escalation(shared, request, object, None)?;
    if std::ptr::eq(request.target.kind, &PRIORITY_CLASS) {
        pod::only_default(view, object)?;
    }
    let mut guards = node(shared, request, Some(object), None)?;
    if std::ptr::eq(request.target.kind, &PERSISTENT_VOLUME_CLAIM) {
        guards.extend(storage::keep_to_ranges(view, object)?);
    }
    Ok(guards)
}

/// May this be changed so?
///
/// # Errors
/// 403 where not.
pub fn update(
    shared: &Shared,
    view: &View,
    request: &Request,
    old: &Value,
    new: &Value,
) -> Result<Vec<Guard>, ApiError> {
    authz::escalation(shared, request, new, Some(old))?;
    if std::ptr::eq(request.target.kind, &PRIORITY_CLASS) {
        pod::only_default(view, new)?;
    }
    let mut guards = node(shared, request, Some(new), Some(old))?;
    if std::ptr::eq(request.target.kind, &PERSISTENT_VOLUME_CLAIM) && request.target.sub.is_none() {
        guards.extend(storage::grow(view, old, new)?);
    }
    Ok(guards)
}

/// May this be deleted?
///
/// # Errors
/// 403 where not.
pub fn delete(shared: &Shared, _view: &View, request: &Request, old: &Value) -> Result<Vec<Guard>, ApiError> {
    let kind = request.target.kind;
    let name = meta::name(old);
    if std::ptr::eq(kind, &NAMESPACE) && IMMORTAL.contains(&name) {
        return Err(ApiError::forbidden(kind, name, "this namespace may not be deleted"));
    }
    node(shared, request, None, Some(old))
}

/// What a kubelet may not touch although RBAC lets nodes do it.
fn node(shared: &Shared, request: &Request, new: Option<&Value>, old: Option<&Value>) -> Result<Vec<Guard>, ApiError> {
    let write = write(request, new, old);
    let checked = shared.rules.with_nodes(|index| restrict(&request.user, &write, index));
    // A create has its name in the object only.
    let name = Some(write.name).filter(|name| !name.is_empty()).or(new.map(meta::name)).unwrap_or_default();
    checked.map(|()| Vec::new()).map_err(|why| ApiError::forbidden(request.target.kind, name, why))
}

fn write<'a>(request: &'a Request, new: Option<&'a Value>, old: Option<&'a Value>) -> Write<'a> {
    let target = &request.target;
    let operation = match (new, old) {
        (_, None) => Operation::Create,
        (Some(_), Some(_)) => Operation::Update,
        (None, Some(_)) => Operation::Delete,
    };
    Write {
        operation,
        group: target.kind.group,
        resource: target.kind.plural,
        subresource: target.sub.map_or("", |sub| sub.name),
        namespace: &target.namespace,
        name: &target.name,
        new,
        old,
    }
}

/// The check of a token request, which no object is written for.
///
/// # Errors
/// 403 where a kubelet asks for a token that none of its pods needs.
pub(crate) async fn token(shared: &Shared, request: &Request, asked: &Value) -> Result<(), ApiError> {
    let (user, write) = (&request.user, write(request, Some(asked), None));
    let told = authz::ask(shared, user, |rules| rules.with_nodes(|index| restrict(user, &write, index))).await;
    told.map_err(|why| ApiError::forbidden(request.target.kind, &request.target.name, why))
}
