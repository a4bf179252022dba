//! Kinds that are questions: answered from what is known, never stored.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>.

use std::sync::Arc;

use api::{field::Errors, kinds::read::text, meta};
use auth::{User, review};
use serde_json::Value;
use store::Freshness;

use crate::{
    authz, form,
    options::WriteOptions,
    pipeline::{Object, Reply, Request},
    shared::Shared,
    status::ApiError,
};

/// Answers a review.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request) -> Result<Reply, ApiError> {
    let options = WriteOptions::of(&request, "CreateOptions")?;
    let (mut object, warnings) = form::object(&request, options.validation)?;
    if request.target.kind.namespaced {
        form::check_place(&request.target, &mut object)?;
    }
    meta::set(&mut object, "managedFields", None);
    let answered = answered(shared, &request, object).await?;
    Ok(Reply::created(Object::Made(answered)).warn(warnings))
}

async fn answered(shared: &Arc<Shared>, request: &Request, object: Value) -> Result<Value, ApiError> {
    let user = &request.user;
    match request.target.kind.kind {
        "SelfSubjectReview" => Ok(review::self_subject(object, user)),
        "TokenReview" => token(shared, request, object).await,
        "SelfSubjectRulesReview" => rules(shared, object, user).await,
        "SelfSubjectAccessReview" => {
            valid(request, &object)?;
            authz::catch_up(shared, user).await;
            Ok(shared.rules.with(|_, all| review::self_access(object, user, all)))
        }
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            valid(request, &object)?;
            authz::catch_up(shared, user).await;
            Ok(shared.rules.with(|_, all| review::subject_access(object, all)))
        }
        other => Err(ApiError::internal(format!("nobody answers a {other}"))),
    }
}

fn valid(request: &Request, object: &Value) -> Result<(), ApiError> {
    let mut errors = Errors::new();
    review::validate_access(object, request.target.kind.kind, &mut errors);
    form::refuse(request.target.kind, "", &errors)
}

async fn rules(shared: &Shared, object: Value, user: &User) -> Result<Value, ApiError> {
    if text(&object, "/spec/namespace").is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    authz::catch_up(shared, user).await;
    Ok(shared.rules.with(|index, _| review::self_rules(object, user, index)))
}

async fn token(shared: &Arc<Shared>, request: &Request, object: Value) -> Result<Value, ApiError> {
    let bearer = text(&object, "/spec/token").to_owned();
    if bearer.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted = api::kinds::read::items(&object, "/spec/audiences").iter().filter_map(Value::as_str);
    let wanted: Vec<String> = wanted.map(str::to_owned).collect();
    let view = shared.storage.read(Freshness::Linearizable).await?;
    let found = shared.tokens.user(&view, &bearer, &wanted, request.now);
    Ok(match found {
        Ok((user, claims)) => {
            let accepted: &[String] = if wanted.is_empty() { shared.tokens.audiences() } else { &wanted };
            let audiences: Vec<String> = claims.aud.iter().filter(|a| accepted.contains(a)).cloned().collect();
            review::token(object, Ok((&user, &audiences)))
        }
        Err(error) => review::token(object, Err(&error.to_string())),
    })
}
