//! `Status`: how the API says no. One constructor for each kind of refusal, worded as Kubernetes words it.
//!
//! Main type: [`Status`]. Spec: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.
//! Leaves out: which internal error becomes which Status (`apiserver` decides).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::Errors;

/// A `v1` Status object; in its JSON form what clients parse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `Status`.
    pub kind: String,
    /// Always `v1`.
    pub api_version: String,
    /// List metadata, always empty.
    #[serde(default)]
    pub metadata: Empty,
    /// Whether it went well.
    pub status: Outcome,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// For machines; empty on success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// More for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status code.
    #[serde(default)]
    pub code: u16,
}

/// Whether what was asked was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was.
    Success,
    /// It was not.
    Failure,
}

/// An object without fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// Name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind, or (as upstream has it) mostly its resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its UID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// What is wrong in detail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// When to try again, in seconds; 0 says nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

/// One entry of `details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// For machines, such as `FieldValueInvalid`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Where in the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// A resource (or a kind) and its group, as messages name it: `pods`, `deployments.apps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupResource<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural resource name, or a kind where upstream says the kind.
    pub resource: &'a str,
}

impl fmt::Display for GroupResource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            "" => f.write_str(self.resource),
            group => write!(f, "{}.{group}", self.resource),
        }
    }
}

impl<'a> GroupResource<'a> {
    /// A resource of a group.
    #[must_use]
    pub const fn new(group: &'a str, resource: &'a str) -> Self {
        Self { group, resource }
    }

    fn details(self, name: &str) -> Details {
        let (group, kind) = (self.group.to_owned(), self.resource.to_owned());
        Details { name: name.to_owned(), group, kind, ..Details::default() }
    }
}

impl Status {
    /// A refusal. Prefer the constructors below, whose words clients know.
    #[must_use]
    pub fn failure(code: u16, reason: &str, message: impl Into<String>, details: Option<Details>) -> Self {
        Self {
            kind: "Status".to_owned(),
            api_version: "v1".to_owned(),
            metadata: Empty {},
            status: Outcome::Failure,
            message: message.into(),
            reason: reason.to_owned(),
            details,
            code,
        }
    }

    /// What a DELETE answers that has no object to show.
    #[must_use]
    pub fn success(details: Option<Details>) -> Self {
        Self { status: Outcome::Success, ..Self::failure(200, "", "", details) }
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(of: GroupResource<'_>, name: &str) -> Self {
        Self::failure(404, "NotFound", format!("{of} {name:?} not found"), Some(of.details(name)))
    }

    /// 404: no such path, group or resource.
    #[must_use]
    pub fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::failure(404, "NotFound", message, Some(Details::default()))
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(of: GroupResource<'_>, name: &str) -> Self {
        Self::failure(409, "AlreadyExists", format!("{of} {name:?} already exists"), Some(of.details(name)))
    }

    /// 409: no free name was found for a `generateName`.
    #[must_use]
    pub fn generate_name_conflict(of: GroupResource<'_>, name: &str, retry_after_seconds: u32) -> Self {
        let why = "already exists, the server was not able to generate a unique name for the object";
        let details = Details { retry_after_seconds, ..of.details(name) };
        Self::failure(409, "AlreadyExists", format!("{of} {name:?} {why}"), Some(details))
    }

    /// 409: the object is not what the writer thinks.
    #[must_use]
    pub fn conflict(of: GroupResource<'_>, name: &str, why: impl fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {of} {name:?}: {why}");
        Self::failure(409, "Conflict", message, Some(of.details(name)))
    }

    /// 409: the `resourceVersion` sent is not the newest.
    #[must_use]
    pub fn modified(of: GroupResource<'_>, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(of, name, why)
    }

    /// 409: server-side apply met fields that others own.
    #[must_use]
    pub fn apply_conflict(causes: Vec<Cause>, message: impl Into<String>) -> Self {
        Self::failure(409, "Conflict", message, Some(Details { causes, ..Details::default() }))
    }

    /// 422: the object breaks its kind's rules. `of.resource` is the *kind*.
    #[must_use]
    pub fn invalid(of: GroupResource<'_>, name: &str, errors: &Errors) -> Self {
        let colon = if errors.is_empty() { String::new() } else { format!(": {errors}") };
        let details = Details { causes: errors.causes(), ..of.details(name) };
        Self::failure(422, "Invalid", format!("{of} {name:?} is invalid{colon}"), Some(details))
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message, None)
    }

    /// 403: not allowed. An empty resource says no more than why.
    #[must_use]
    pub fn forbidden(of: GroupResource<'_>, name: &str, why: impl fmt::Display) -> Self {
        let message = match (of.group, of.resource, name) {
            ("", "", _) => format!("forbidden: {why}"),
            (_, _, "") => format!("{of} is forbidden: {why}"),
            _ => format!("{of} {name:?} is forbidden: {why}"),
        };
        Self::failure(403, "Forbidden", message, Some(of.details(name)))
    }

    /// 401: who are you?
    #[must_use]
    pub fn unauthorized(why: &str) -> Self {
        Self::failure(401, "Unauthorized", if why.is_empty() { "not authorized" } else { why }, None)
    }

    /// 405: the resource does not know this verb.
    #[must_use]
    pub fn method_not_supported(of: GroupResource<'_>, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", of.to_string());
        Self::failure(405, "MethodNotAllowed", message, Some(of.details("")))
    }

    /// 410: the `resourceVersion` or continue token is past the window.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(410, "Expired", message, None)
    }

    /// 410, in the words a watch uses.
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::failure(410, "Gone", message, None)
    }

    /// 429: too busy, or a budget says no; try again.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::failure(429, "TooManyRequests", message, retry_after(retry_after_seconds))
    }

    /// 500 that a client may simply try again.
    #[must_use]
    pub fn server_timeout(of: GroupResource<'_>, operation: &str, retry_after_seconds: u32) -> Self {
        let message =
            format!("The {operation} operation against {of} could not be completed at this time, please try again.");
        let details = Details { retry_after_seconds, ..of.details(operation) };
        Self::failure(500, "ServerTimeout", message, Some(details))
    }

    /// 504: no answer in time; what was asked may still happen.
    #[must_use]
    pub fn timeout(message: &str, retry_after_seconds: u32) -> Self {
        Self::failure(504, "Timeout", format!("Timeout: {message}"), retry_after(retry_after_seconds))
    }

    /// 500: our fault.
    #[must_use]
    pub fn internal_error(why: impl fmt::Display) -> Self {
        let causes = vec![Cause { message: why.to_string(), ..Cause::default() }];
        let details = Details { causes, ..Details::default() };
        Self::failure(500, "InternalError", format!("Internal error occurred: {why}"), Some(details))
    }

    /// 413: the body is larger than `limit` bytes.
    #[must_use]
    pub fn request_entity_too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::failure(413, "RequestEntityTooLarge", message, None)
    }

    /// 415: the body's media type is none of these.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let known = accepted.join(", ");
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {known}");
        Self::failure(415, "UnsupportedMediaType", message, None)
    }

    /// 406: the client wants none of these media types.
    #[must_use]
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::failure(406, "NotAcceptable", message, None)
    }

    /// 503: cannot serve now. Clients obey a Retry-After header beside it.
    #[must_use]
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::failure(503, "ServiceUnavailable", message, None)
    }

    /// What the Retry-After header is to say, in seconds.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

fn retry_after(retry_after_seconds: u32) -> Option<Details> {
    Some(Details { retry_after_seconds, ..Details::default() })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::Path;

    const DEPLOYMENTS: GroupResource<'_> = GroupResource::new("apps", "deployments");
    const PODS: GroupResource<'_> = GroupResource::new("", "pods");

    fn check(status: &Status, code: u16, reason: &str, message: &str) {
        assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message));
    }

    #[test]
    fn refusals_are_worded_as_kubernetes_words_them() {
        check(&Status::not_found(DEPLOYMENTS, "web"), 404, "NotFound", r#"deployments.apps "web" not found"#);
        check(&Status::already_exists(PODS, "a"), 409, "AlreadyExists", r#"pods "a" already exists"#);
        let modified = r#"Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again"#;
        check(&Status::modified(PODS, "a"), 409, "Conflict", modified);
        check(&Status::forbidden(PODS, "", "no"), 403, "Forbidden", "pods is forbidden: no");
        check(&Status::forbidden(PODS, "a", "no"), 403, "Forbidden", r#"pods "a" is forbidden: no"#);
        check(&Status::unauthorized("Unauthorized"), 401, "Unauthorized", "Unauthorized");
        let verb = r#"patch is not supported on resources of kind "pods""#;
        check(&Status::method_not_supported(PODS, "patch"), 405, "MethodNotAllowed", verb);
        check(&Status::internal_error("x"), 500, "InternalError", "Internal error occurred: x");
        check(
            &Status::request_entity_too_large(3),
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3",
        );
        check(&Status::timeout("slow", 1), 504, "Timeout", "Timeout: slow");
    }

    #[test]
    fn an_invalid_object_lists_its_causes() {
        let mut errors = Errors::new();
        errors.required(&Path::new("metadata").child("name"), "name or generateName is required");
        let status = Status::invalid(GroupResource::new("apps", "Deployment"), "", &errors);
        let expect = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "Deployment.apps \"\" is invalid: metadata.name: Required value: name or generateName is required",
            "details": {"group": "apps", "kind": "Deployment", "causes": [{
                "reason": "FieldValueRequired", "field": "metadata.name",
                "message": "Required value: name or generateName is required"}]},
        });
        assert_eq!(serde_json::to_value(&status).unwrap(), expect);
        assert_eq!(serde_json::from_value::<Status>(expect).unwrap(), status);
    }
}
