//! DELETECOLLECTION: each object that the selectors take is deleted as if by its own request; answers with the list.

use std::sync::Arc;

use store::Freshness;

use super::{delete, list};
use crate::{
    object,
    options::DeleteOptions,
    pipeline::{Answer, Items, Reply, Request},
    route::{Target, Verb},
    select::Selection,
    shared::Shared,
    status::ApiError,
};

/// Deletes what is there now; what comes meanwhile stays.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = DeleteOptions::of(&request)?;
    let target = &request.target;
    let selection = Selection::of(target.kind, &target.namespace, &request.query)?;
    let view = shared.storage.read(Freshness::Linearizable).await?;
    let items = list::page(&view, &selection, 0, None);
    for record in &items.records {
        let one = Target {
            name: object::name_of(&record.key).to_owned(),
            namespace: namespace_of(&record.key),
            ..target.clone()
        };
        let request = Request { target: one, verb: Verb::Delete, ..request.clone() };
        match delete::delete(shared, &request, &options).await {
            Err(error) if error.code() != 404 => return Err(error),
            _ => {}
        }
    }
    let items = Items { continue_token: String::new(), remaining: None, ..items };
    Ok(Reply { code: 200, answer: Answer::List(items), warnings: Vec::new() })
}

fn namespace_of(key: &str) -> String {
    api::key::parse(key).map(|parts| parts.namespace.to_owned()).unwrap_or_default()
}
