//! The one mapping of everything that can go wrong to a Kubernetes `Status`.
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.

use api::{
    field::Errors,
    kinds::Kind,
    status::{Cause, Details, GroupResource, Status},
};
use serde_json::{Value, json};
use store::{ReadError, WatchError, WriteError};

use crate::http::body::{BodyError, MAX_BODY_BYTES};

/// Seconds a client is asked to wait before it tries again.
const RETRY_SECONDS: u32 = 1;

/// Media types answers can be had in.
const OFFERED: [&str; 3] = ["application/json", "application/yaml", api::protobuf::MEDIA];

/// Those that watches can be had in.
const STREAMED: [&str; 2] = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

/// An answer that says no.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// What the client reads.
    pub status: Box<Status>,
    /// `metadata.continue` of the Status: how to go on with an expired list.
    pub continue_token: Option<String>,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u32>,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.status.message)
    }
}

impl std::error::Error for ApiError {}

impl From<Status> for ApiError {
    fn from(status: Status) -> Self {
        let retry_after = status.retry_after_seconds();
        Self { status: Box::new(status), continue_token: None, retry_after }
    }
}

/// A kind's resource, as messages name it.
#[must_use]
pub fn resource(kind: &Kind) -> GroupResource<'_> {
    GroupResource::new(kind.group, kind.plural)
}

impl ApiError {
    /// HTTP status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.code
    }

    fn retry(mut self) -> Self {
        self.retry_after = Some(RETRY_SECONDS);
        self
    }

    /// 404: no object of this name.
    #[must_use]
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Status::not_found(resource(kind), name).into()
    }

    /// 404: nothing is served under this path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Status::no_such_resource().into()
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Status::already_exists(resource(kind), name).into()
    }

    /// 409: every generated name was taken.
    #[must_use]
    pub fn name_generation(kind: &Kind, name: &str) -> Self {
        Status::generate_name_conflict(resource(kind), name, RETRY_SECONDS).into()
    }

    /// 409: `why` it cannot be done to the object as it is now.
    #[must_use]
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        Status::conflict(resource(kind), name, why).into()
    }

    /// 409: the client has seen an older version.
    #[must_use]
    pub fn modified(kind: &Kind, name: &str) -> Self {
        Status::modified(resource(kind), name).into()
    }

    /// 409: guards kept failing although the client asked for no particular version.
    #[must_use]
    pub fn contended(kind: &Kind, name: &str) -> Self {
        Self::conflict(kind, name, "it changed during each of several tries; please try again").retry()
    }

    /// 422: the object breaks its kind's rules.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &Errors) -> Self {
        Status::invalid(GroupResource::new(group, kind), name, errors).into()
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Status::bad_request(message).into()
    }

    /// 403 for an object: `<resource> "name" is forbidden: why`.
    pub fn forbidden(kind: &Kind, name: &str, why: impl std::fmt::Display) -> Self {
        Status::forbidden(resource(kind), name, why).into()
    }

    /// 403 for a path that is no object.
    #[must_use]
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        let why = format!("User {user:?} cannot {verb} path {path:?}");
        Status::forbidden(GroupResource::new("", ""), "", why).into()
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> Self {
        Status::unauthorized("Unauthorized").into()
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Status::failure(405, "MethodNotAllowed", message, Some(Details::default())).into()
    }

    /// 406.
    #[must_use]
    pub fn not_acceptable() -> Self {
        Status::not_acceptable(&OFFERED).into()
    }

    /// 406 for a watch.
    #[must_use]
    pub fn no_such_stream() -> Self {
        Status::not_acceptable(&STREAMED).into()
    }

    /// 415, naming what is taken.
    #[must_use]
    pub fn unsupported_media(accepted: &[&str]) -> Self {
        Status::unsupported_media_type(accepted).into()
    }

    /// 429.
    #[must_use]
    pub fn too_many_requests() -> Self {
        Status::too_many_requests("Too many requests, please try again later.", RETRY_SECONDS).into()
    }

    /// 410: the revision asked for is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Status::expired(message).into()
    }

    /// 504: the revision asked for has not come.
    #[must_use]
    pub fn too_large_version(wanted: u64, newest: u64) -> Self {
        let cause = ("ResourceVersionTooLarge".into(), "Too large resource version".into());
        let causes = vec![Cause { reason: cause.0, message: cause.1, field: String::new() }];
        let details = Details { causes, retry_after_seconds: RETRY_SECONDS, ..Details::default() };
        let message = format!("Timeout: Too large resource version: {wanted}, current: {newest}");
        Status::failure(504, "Timeout", message, Some(details)).into()
    }

    /// 504: the request took too long.
    #[must_use]
    pub fn timeout() -> Self {
        Status::timeout("request did not complete within the allotted timeout", 0).into()
    }

    /// 503, try again soon.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::from(Status::service_unavailable(message)).retry()
    }

    /// 500.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        Status::internal_error(why).into()
    }

    /// The Status object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut status = serde_json::to_value(&self.status).unwrap_or_default();
        if let Some(token) = &self.continue_token {
            status["metadata"] = json!({ "continue": token });
        }
        status
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoQuorum(_) => Self::unavailable(format!("{error}; please try again or ask another node")),
            ReadError::Ahead { wanted, newest } => Self::too_large_version(wanted.0, newest.0),
        }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotAccepted(_) => Self::unavailable(format!("the write was {error}; please try again")),
            WriteError::Unknown(_) => Status::timeout(&format!("the write's {error}"), 0).into(),
            WriteError::Full(_) => {
                let message = format!("{error}; free disk space on the voters");
                Status::failure(507, "InsufficientStorage", message, None).into()
            }
        }
    }
}

impl From<WatchError> for ApiError {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Compacted { .. } | WatchError::Lagged => Self::expired(error.to_string()),
            WatchError::Disconnected => Self::unavailable(error.to_string()),
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Status::request_entity_too_large(MAX_BODY_BYTES).into(),
            BodyError::Slow(_) => Status::failure(408, "Timeout", error.to_string(), None).into(),
            BodyError::Broken(_) => Self::bad_request(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: ApiError, code: u16, reason: &str, message: &str) {
        let status = error.to_json();
        assert_eq!(status["code"], code);
        assert_eq!(status["reason"], reason);
        assert_eq!(status["message"], message);
    }

    #[test]
    fn speaks_as_kubernetes_does() {
        let (map, lease) = (&api::kinds::config_map::CONFIG_MAP, &api::kinds::lease::LEASE);
        check(ApiError::not_found(map, "a"), 404, "NotFound", "configmaps \"a\" not found");
        check(ApiError::not_found(lease, "a"), 404, "NotFound", "leases.coordination.k8s.io \"a\" not found");
        check(ApiError::too_large_version(9, 3), 504, "Timeout", "Timeout: Too large resource version: 9, current: 3");
        let message = "forbidden: User \"u\" cannot get path \"/x\"";
        check(ApiError::forbidden_path("u", "get", "/x"), 403, "Forbidden", message);
        check(BodyError::TooLarge.into(), 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728");
    }
}
