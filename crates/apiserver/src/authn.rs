//! Who is it? Client certificate, bearer token, or nobody; then whom it wants to act as.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/>.

use std::sync::Arc;

use auth::{
    impersonate::{Impersonation, ImpersonationError},
    token::VerifyError,
};
use http::header;
use sha2::{Digest, Sha256};
use store::Freshness;
use tracing::debug;

use crate::{
    authz,
    pipeline::User,
    serve::{Head, Session},
    shared::Shared,
    status::ApiError,
    tokens::TokenError,
};

/// The user a verified client certificate (DER) names.
pub(crate) fn certificate(leaf: &[u8]) -> Result<Arc<User>, String> {
    let id: String = Sha256::digest(leaf).iter().map(|byte| format!("{byte:02x}")).collect();
    User::from_certificate(leaf, &id).map(Arc::new).map_err(|e| e.to_string())
}

/// Who makes this request.
///
/// # Errors
/// 401 for credentials that are no good, 403 for impersonation that is not allowed.
pub(crate) async fn user(shared: &Shared, session: &Session, head: &Head) -> Result<Arc<User>, ApiError> {
    let user = match (&session.certificate, bearer(head)) {
        (Some(Ok(user)), _) => Arc::clone(user),
        (_, Some(token)) => Arc::new(of_token(shared, token).await?),
        (Some(Err(error)), None) => {
            debug!(%error, "client certificate refused");
            return Err(ApiError::unauthorized());
        }
        (None, None) if head.headers.contains_key(header::AUTHORIZATION) => return Err(ApiError::unauthorized()),
        (None, None) => Arc::new(User::anonymous()),
    };
    impersonated(shared, user, head).await
}

fn bearer(head: &Head) -> Option<&str> {
    let (scheme, token) = head.text(header::AUTHORIZATION)?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What this node has is tried first; a token bound to something newer gets a second chance on the newest state.
async fn of_token(shared: &Shared, token: &str) -> Result<User, ApiError> {
    let now = clock::now();
    let mut refused = None;
    for freshness in [Freshness::Any, Freshness::Linearizable] {
        let view = shared.storage.read(freshness).await?;
        match shared.tokens.user(&view, token, &[], now) {
            Ok((user, _)) => return Ok(user),
            Err(error @ TokenError::Token(_)) => {
                refused = Some(error);
                break;
            }
            Err(error) => refused = Some(error),
        }
    }
    if let Some(error) = refused.filter(|e| !matches!(e, TokenError::Token(VerifyError::Other))) {
        debug!(%error, "bearer token refused");
    }
    Err(ApiError::unauthorized())
}

async fn impersonated(shared: &Shared, user: Arc<User>, head: &Head) -> Result<Arc<User>, ApiError> {
    let headers = head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let asked = Impersonation::from_headers(headers).map_err(|e| refusal(&e))?;
    let Some(asked) = asked else { return Ok(user) };
    let decided = authz::ask(shared, &user, |rules| rules.with(|_, all| asked.clone().decide(&user, all))).await;
    decided.map(Arc::new).map_err(|e| refusal(&e))
}

fn refusal(error: &ImpersonationError) -> ApiError {
    match error {
        ImpersonationError::NoUser(_) => ApiError::internal(error),
        ImpersonationError::TooMany(_) => ApiError::bad_request(error.to_string()),
        ImpersonationError::Forbidden { group, resource, name, message } => {
            let of = api::status::GroupResource::new(group, resource);
            api::status::Status::forbidden(of, name, message).into()
        }
    }
}
