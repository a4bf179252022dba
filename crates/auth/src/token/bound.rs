//! A token ends with what it is bound to. Main function: [`check_bound`].

use super::{Claims, Reference};

/// What there is, as the newest state says.
pub trait Lookup {
    /// UID of a namespaced (or, with an empty namespace, cluster-wide) object of the core group, if it is there and
    /// not past its deletion (`deletionTimestamp` plus [`GRACE_SECONDS`]).
    fn uid(&self, plural: &str, namespace: &str, name: &str) -> Option<String>;
}

/// Seconds after its `deletionTimestamp` for which an object's tokens still count, so that it can end in order.
pub const GRACE_SECONDS: i64 = 60;

/// What a token was bound to is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundError {
    /// Not there (any more).
    #[error("{what} {name:?} that the token is bound to was not found")]
    Gone {
        /// `service account`, `pod`, `secret` or `node`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Another object of that name is there.
    #[error(
        "{what} {name:?} is not the one that the token is bound to: its UID ({uid}) does not match the claim ({claim})"
    )]
    Replaced {
        /// `service account`, `pod`, `secret` or `node`.
        what: &'static str,
        /// Its name.
        name: String,
        /// UID of the object that is there.
        uid: String,
        /// UID in the token.
        claim: String,
    },
}

/// Checks that the ServiceAccount, and the pod, secret or node a token is bound to, are still the same.
///
/// # Errors
/// [`BoundError`] with the first that is not.
pub fn check_bound(claims: &Claims, lookup: &dyn Lookup) -> Result<(), BoundError> {
    let bound = &claims.bound;
    let namespace = bound.namespace.as_str();
    check(lookup, "service account", "serviceaccounts", namespace, &bound.serviceaccount)?;
    if let Some(pod) = &bound.pod {
        // The node of a pod's token is told, not checked: it is the pod that binds.
        return check(lookup, "pod", "pods", namespace, pod);
    }
    if let Some(secret) = &bound.secret {
        check(lookup, "secret", "secrets", namespace, secret)?;
    }
    match &bound.node {
        Some(node) => check(lookup, "node", "nodes", "", node),
        None => Ok(()),
    }
}

fn check(
    lookup: &dyn Lookup,
    what: &'static str,
    plural: &str,
    namespace: &str,
    reference: &Reference,
) -> Result<(), BoundError> {
    let name = reference.name.clone();
    match lookup.uid(plural, namespace, &name) {
        None => Err(BoundError::Gone { what, name }),
        Some(uid) if uid == reference.uid => Ok(()),
        Some(uid) => Err(BoundError::Replaced { what, name, uid, claim: reference.uid.clone() }),
    }
}
