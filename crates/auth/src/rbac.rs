//! Role-based access control. Main type: [`RbacIndex`], fed with role and binding objects as they change.
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>.

pub mod aggregate;
pub mod escalation;
pub mod index;
pub mod rule;

pub use escalation::{EscalationError, check_binding, check_role};
pub use index::{Grant, RbacIndex};
pub use rule::Rule;

use crate::{Answer, Attributes, Authorizer};

/// API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

impl Authorizer for RbacIndex {
    fn authorize(&self, request: &Attributes<'_>) -> Answer {
        let (mut allowed, mut missing) = (None, Vec::new());
        self.visit(request.user, request.namespace, &mut |grant| {
            match grant.rules {
                Some(rules) if rules.iter().any(|rule| rule.allows(request)) => allowed = Some(grant.to_string()),
                Some(_) => {}
                None => missing.push(grant.role_not_found()),
            }
            allowed.is_none()
        });
        match allowed {
            Some(grant) => Answer::allow(format!("RBAC: allowed by {grant}")),
            None if missing.is_empty() => Answer::no_opinion(""),
            None => Answer::no_opinion(format!("RBAC: {}", joined(missing))),
        }
    }
}

/// Several messages as one, each once.
fn joined(mut messages: Vec<String>) -> String {
    let mut seen = std::collections::HashSet::new();
    messages.retain(|message| seen.insert(message.clone()));
    match messages.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests;
