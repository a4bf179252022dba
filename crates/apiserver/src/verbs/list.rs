//! LIST: a collection at one revision, in pages if asked.
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>.

use std::sync::Arc;

use store::{Freshness, Record, Revision, View};

use crate::{
    page::Place,
    pipeline::{Answer, Items, Reply, Request},
    select::Selection,
    shared::Shared,
    status::ApiError,
    version::{self, Wanted},
};

/// Answers with what the selectors take.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let target = &request.target;
    let selection = Selection::of(target.kind, &target.namespace, &request.query)?;
    let limit = limit(request.query.get("limit"))?;
    let (view, place) = start(shared, &request, &selection).await?;
    let items = page(&view, &selection, limit, place.as_ref());
    let stale = request.query.get("resourceVersion") == Some("0");
    let warnings = stale.then(|| version::age_warning(shared)).flatten();
    Ok(Reply { code: 200, answer: Answer::List(items), warnings: warnings.into_iter().collect() })
}

fn limit(text: Option<&str>) -> Result<usize, ApiError> {
    let number: i64 = text.unwrap_or("0").parse().map_err(|_| {
        ApiError::bad_request(format!("limit: invalid value {:?}: give a whole number", text.unwrap_or_default()))
    })?;
    usize::try_from(number).map_err(|_| ApiError::bad_request("limit: must be greater than or equal to 0"))
}

/// The state to list, and where to go on in it.
async fn start(
    shared: &Arc<Shared>,
    request: &Request,
    selection: &Selection,
) -> Result<(View, Option<Place>), ApiError> {
    let wanted = version::of_list(&request.query)?;
    let Some(token) = request.query.get("continue") else {
        return Ok((view(shared, wanted).await?, None));
    };
    if request.query.get("resourceVersion").is_some_and(|v| v != "0") {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    let place = Place::parse(token, &selection.scope.prefix)?;
    let view = match place.revision {
        None => shared.storage.read(Freshness::Linearizable).await?,
        Some(revision) => exactly(shared, revision).await?.ok_or_else(|| place.expired())?,
    };
    Ok((view, Some(place)))
}

async fn view(shared: &Arc<Shared>, wanted: Wanted) -> Result<View, ApiError> {
    match wanted {
        Wanted::Newest(freshness) => Ok(shared.storage.read(freshness).await?),
        Wanted::Exactly(revision) => {
            let view = exactly(shared, revision).await?;
            view.ok_or_else(|| ApiError::expired("The resourceVersion for the provided list is too old."))
        }
    }
}

/// The state of one revision, on whichever node it was first asked for; `None` where it is too old.
async fn exactly(shared: &Arc<Shared>, revision: Revision) -> Result<Option<View>, ApiError> {
    shared.storage.read(Freshness::AtLeast(revision)).await?;
    Ok(shared.storage.as_of(revision))
}

/// One page; no limit is 0.
pub(crate) fn page(view: &View, selection: &Selection, limit: usize, place: Option<&Place>) -> Items {
    let after = place.map(|p| p.after.as_str());
    let mut wanted = candidates(view, selection, after).filter(|record| selection.takes(record));
    let most = if limit == 0 { usize::MAX } else { limit };
    let records: Vec<Arc<Record>> = wanted.by_ref().take(most).cloned().collect();
    let more = limit > 0 && records.len() == limit && wanted.next().is_some();
    let last = records.last().filter(|_| more).map(|record| record.key.to_string());
    let remaining = last.as_ref().filter(|_| selection.is_all());
    let remaining = remaining.map(|last| view.count(&selection.scope.prefix, Some(last)));
    let revision = place.and_then(|p| p.revision).unwrap_or_else(|| view.revision());
    let inconsistent = place.is_some_and(|p| p.revision.is_none());
    let next = last.map(|after| Place { revision: (!inconsistent).then_some(revision), after });
    Items { revision, records, continue_token: next.map(|p| p.token()).unwrap_or_default(), remaining }
}

/// Records of the scope in key order, through its index where it has one.
fn candidates<'a>(
    view: &'a View,
    selection: &'a Selection,
    after: Option<&'a str>,
) -> Box<dyn Iterator<Item = &'a Arc<Record>> + 'a> {
    let scope = &selection.scope;
    match &scope.index {
        _ if !scope.prefix.ends_with('/') => {
            Box::new(view.get(&scope.prefix).into_iter().filter(move |_| after.is_none()))
        }
        Some((name, value)) => Box::new(view.by_index_under(name, value, &scope.prefix, after)),
        None => Box::new(view.range(&scope.prefix, after)),
    }
}
