//! What a token says. Main type: [`Claims`]. The layout is upstream's, since OIDC clients read it.

use serde::{Deserialize, Serialize};

use crate::{
    User,
    user::{CREDENTIAL_ID, service_account_name},
};

/// The claims of a ServiceAccount token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom it is meant.
    pub aud: Vec<String>,
    /// Not valid from this second on (Unix time).
    pub exp: i64,
    /// Issued at this second.
    pub iat: i64,
    /// Who issued it.
    pub iss: String,
    /// Its own id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// Whose it is and what it is bound to.
    #[serde(rename = "kubernetes.io")]
    pub bound: Bound,
    /// Not valid before this second.
    pub nbf: i64,
    /// User name.
    pub sub: String,
}

/// Whose token it is, and with which objects it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Namespace of the ServiceAccount, pod and secret.
    pub namespace: String,
    /// The node of the pod, or the one it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// Whose it is.
    pub serviceaccount: Reference,
}

/// An object by name, and by uid, so that a successor of that name is another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// UID; may be empty for a node that was not there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

impl Claims {
    /// The user that a token with these claims speaks for.
    #[must_use]
    pub fn user(&self) -> User {
        let bound = &self.bound;
        let account = &bound.serviceaccount;
        let mut user = User::service_account(&bound.namespace, &account.name, &account.uid);
        let mut tell = |key: &str, value: &str| {
            if !value.is_empty() {
                user.extra.insert(key.to_owned(), vec![value.to_owned()]);
            }
        };
        if let Some(pod) = &bound.pod {
            tell("authentication.kubernetes.io/pod-name", &pod.name);
            tell("authentication.kubernetes.io/pod-uid", &pod.uid);
        }
        if let Some(node) = &bound.node {
            tell("authentication.kubernetes.io/node-name", &node.name);
            tell("authentication.kubernetes.io/node-uid", &node.uid);
        }
        if !self.jti.is_empty() {
            tell(CREDENTIAL_ID, &format!("JTI={}", self.jti));
        }
        user
    }

    /// Whether subject and ServiceAccount agree.
    #[must_use]
    pub(crate) fn is_consistent(&self) -> bool {
        let (bound, account) = (&self.bound, &self.bound.serviceaccount);
        !account.name.is_empty()
            && !bound.namespace.is_empty()
            && self.sub == service_account_name(&bound.namespace, &account.name)
    }
}
