//! What an authorizer answers, and how several are asked in turn. Main types: [`Decision`], [`Authorizer`], [`Chain`].
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/>.

use crate::{Attributes, user::MASTERS};

/// May he?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, whatever others say.
    Deny,
    /// Ask the next; no, if there is none.
    NoOpinion,
}

/// A decision and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// May he?
    pub decision: Decision,
    /// Why, for the audit log and for the refused user; may be empty.
    pub reason: String,
}

/// Somebody to ask.
pub trait Authorizer {
    /// May this request be made?
    fn authorize(&self, request: &Attributes<'_>) -> Answer;
}

/// Asks in turn until one has an opinion.
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a [&'a dyn Authorizer]);

/// Lets `system:masters` do everything.
#[derive(Clone, Copy, Debug)]
pub struct Masters;

/// Lets everybody, known or not, see that the server lives and which version it is.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysAllowed;

/// Paths open to everybody, with everything below them where they end in `/`.
const OPEN_PATHS: &[&str] =
    &["/healthz", "/healthz/", "/livez", "/livez/", "/readyz", "/readyz/", "/version", "/version/"];

impl Answer {
    /// Yes.
    #[must_use]
    pub fn allow(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Allow, reason: reason.into() }
    }

    /// No, whatever others say.
    #[must_use]
    pub fn deny(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Deny, reason: reason.into() }
    }

    /// Ask the next.
    #[must_use]
    pub fn no_opinion(reason: impl Into<String>) -> Self {
        Self { decision: Decision::NoOpinion, reason: reason.into() }
    }

    /// Whether the request may go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision == Decision::Allow
    }

    /// What the refused user reads after `<resource> is forbidden: `.
    #[must_use]
    pub fn message(&self, request: &Attributes<'_>) -> String {
        let what = request.forbidden();
        if self.reason.is_empty() { what } else { format!("{what}: {}", self.reason) }
    }
}

impl Authorizer for Chain<'_> {
    fn authorize(&self, request: &Attributes<'_>) -> Answer {
        let mut reasons = Vec::new();
        for authorizer in self.0 {
            let answer = authorizer.authorize(request);
            if answer.decision != Decision::NoOpinion {
                return answer;
            }
            if !answer.reason.is_empty() {
                reasons.push(answer.reason);
            }
        }
        Answer::no_opinion(reasons.join("\n"))
    }
}

impl std::fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain of {}", self.0.len())
    }
}

impl Authorizer for Masters {
    fn authorize(&self, request: &Attributes<'_>) -> Answer {
        if request.user.is_in(MASTERS) { Answer::allow("") } else { Answer::no_opinion("") }
    }
}

impl Authorizer for AlwaysAllowed {
    fn authorize(&self, request: &Attributes<'_>) -> Answer {
        let path = request.path;
        let open = OPEN_PATHS.iter().any(|open| path == *open || open.ends_with('/') && path.starts_with(open));
        let reads = matches!(request.verb, "get" | "head");
        if !request.is_resource && reads && open { Answer::allow("") } else { Answer::no_opinion("") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RequestInfo, User};

    fn check(user: &User, path: &str, expect: bool) {
        let info = RequestInfo::parse("GET", path, &[]);
        let chain = Chain(&[&Masters, &AlwaysAllowed]);
        assert_eq!(chain.authorize(&info.attributes(user)).is_allowed(), expect, "{path}");
    }

    #[test]
    fn anonymous_reads_health_and_version_only() {
        let nobody = User::anonymous();
        check(&nobody, "/livez", true);
        check(&nobody, "/readyz/etcd", true);
        check(&nobody, "/version", true);
        check(&nobody, "/versions", false);
        check(&nobody, "/metrics", false);
        check(&nobody, "/api", false);
        check(&User::new("root", &[MASTERS]), "/api/v1/secrets", true);
    }
}
