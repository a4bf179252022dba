//! GET of one object. Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>.

use std::sync::Arc;

use store::Freshness;

use crate::{
    object,
    pipeline::{Object, Reply, Request},
    shared::Shared,
    status::ApiError,
    version,
};

/// Answers with the object as stored.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let target = &request.target;
    let freshness = version::freshness(request.query.get("resourceVersion"))?;
    let view = shared.storage.read(freshness).await?;
    let key = object::key(target.kind, &target.namespace, &target.name);
    let record = view.get(&key).ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
    let warnings = (freshness == Freshness::Any).then(|| version::age_warning(shared)).flatten();
    Ok(Reply::ok(Object::Stored(Arc::clone(record))).warn(warnings))
}
