//! The verbs. Each is one file with one `answer`; none knows a kind by name.

use std::sync::Arc;

use api::kinds::pod::binding::BINDING;

use crate::{
    pipeline::{Reply, Request},
    reviews,
    route::Verb,
    shared::Shared,
    status::ApiError,
    token_request,
};

pub mod watch;

mod apply;
mod binding;
mod collection;
mod create;
mod delete;
mod eviction;
mod get;
pub(crate) mod list;
mod patch;
mod scale;
pub(crate) mod update;

/// Answers an authorized request.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    if std::ptr::eq(request.target.kind, &BINDING) {
        return binding::answer(shared, request).await;
    }
    if request.target.kind.storage.is_none() {
        return reviews::answer(shared, request).await;
    }
    match (request.verb, request.target.sub.map(|sub| sub.name)) {
        (Verb::Create, Some("token")) => token_request::answer(shared, request).await,
        (Verb::Create, Some("binding")) => binding::answer(shared, request).await,
        (Verb::Create, Some("eviction")) => eviction::answer(shared, request).await,
        (Verb::Get | Verb::Update | Verb::Patch, Some("scale")) => scale::answer(shared, request).await,
        (Verb::Create, _) => create::answer(shared, request).await,
        (Verb::Get, _) => get::answer(shared, request).await,
        (Verb::List, _) => list::answer(shared, request).await,
        (Verb::Watch, _) => watch::answer(shared, request).await,
        (Verb::Update, _) => update::answer(shared, request).await,
        (Verb::Patch, _) => patch::answer(shared, request).await,
        (Verb::Delete, _) => delete::answer(shared, request).await,
        (Verb::DeleteCollection, _) => collection::answer(shared, request).await,
        (Verb::Options, _) => Err(ApiError::method_not_allowed()),
    }
}
