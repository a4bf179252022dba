//! Who owns which field: `metadata.managedFields`, kept by every writer; server-side apply.
//! Spec: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

use api::{
    facts::{self, Type},
    kinds::Kind,
    managed::{self, Writer},
    meta,
};
use serde_json::Value;

use crate::{options::WriteOptions, pipeline::Request, status::ApiError};

/// A new object belongs to its creator.
pub(crate) fn created(request: &Request, options: &WriteOptions, object: &mut Value) -> Result<(), ApiError> {
    record(request, options, |ty, writer| managed::update(None, object, ty, writer))
}

/// What a writer changed is his.
pub(crate) fn updated(request: &Request, options: &WriteOptions, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    record(request, options, |ty, writer| managed::update(Some(old), new, ty, writer))
}

/// The object that applying a configuration makes of the live one.
///
/// # Errors
/// As [`api::apply::apply`].
pub(crate) fn applied(
    request: &Request,
    options: &WriteOptions,
    live: Option<&Value>,
    config: &Value,
) -> Result<Value, ApiError> {
    record(request, options, |ty, writer| {
        api::apply::apply(live, config, ty, writer, options.force).map_err(ApiError::from)
    })?
}

fn record<T>(
    request: &Request,
    options: &WriteOptions,
    run: impl FnOnce(&'static Type, &Writer<'_>) -> T,
) -> Result<T, ApiError> {
    let kind = request.target.kind;
    let ty = facts::ty(kind.type_name).ok_or_else(|| ApiError::internal("the kind has no type facts"))?;
    let (time, api_version) = (meta::time(options.now), kind.api_version());
    let subresource = request.target.sub.map_or("", |sub| sub.name);
    let writer = Writer {
        manager: &options.manager,
        api_version: &api_version,
        subresource,
        time: &time,
        ignored: ignored(kind, subresource),
    };
    Ok(run(ty, &writer))
}

/// Top-level fields that a write to this part cannot change.
fn ignored(kind: &Kind, subresource: &str) -> &'static [&'static str] {
    match subresource {
        "" if kind.subresource("status").is_some() => &["status"],
        "status" => &["spec"],
        _ => &[],
    }
}
