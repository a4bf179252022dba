//! Who makes a request. Main type: [`User`].
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/>.
//! Leaves out whether a certificate is valid: TLS has verified it before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Group of everybody who proved who he is.
pub const AUTHENTICATED: &str = "system:authenticated";

/// Group of everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Name of everybody who did not.
pub const ANONYMOUS: &str = "system:anonymous";

/// Group that may do everything.
pub const MASTERS: &str = "system:masters";

/// Group of kubelets.
pub const NODES: &str = "system:nodes";

/// Start of a kubelet's name.
pub const NODE_PREFIX: &str = "system:node:";

/// Start of a service account's user name, before `<namespace>:<name>`.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// Group of all service accounts; with `:<namespace>` after it, of those in one namespace.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// Start of the extra key that names the credential used.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Who makes a request, as authentication found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name, unique in the cluster.
    pub name: String,
    /// Tells users of the same name at different times apart; may be empty.
    pub uid: String,
    /// Groups, in the order found.
    pub groups: Vec<String>,
    /// What else the authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why a certificate names no user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is no X.509 certificate.
    #[error("client certificate is malformed: {0}")]
    Malformed(String),
    /// Its subject has no common name.
    #[error("client certificate has no common name in its subject: issue one with CN=<user name>")]
    NoCommonName,
}

impl User {
    /// A user of this name and these groups.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, &[UNAUTHENTICATED])
    }

    /// The kubelet of a node.
    #[must_use]
    pub fn node(node: &str) -> Self {
        Self::new(&format!("{NODE_PREFIX}{node}"), &[NODES, AUTHENTICATED])
    }

    /// A service account, without what its token would tell.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let of_namespace = format!("{SERVICE_ACCOUNTS}:{namespace}");
        let user = Self::new(&service_account_name(namespace, name), &[SERVICE_ACCOUNTS, &of_namespace, AUTHENTICATED]);
        Self { uid: uid.to_owned(), ..user }
    }

    /// The user that a **verified** client certificate (DER) names: CN is the user, each O a group.
    ///
    /// # Errors
    /// [`CertificateError`] where it names none.
    pub fn from_certificate(der: &[u8], credential_id: &str) -> Result<Self, CertificateError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::Malformed(error.to_string()))?;
        let subject = certificate.subject();
        let name = texts(subject, X509Name::iter_common_name).pop().filter(|name| !name.is_empty());
        let mut user = Self { name: name.ok_or(CertificateError::NoCommonName)?, ..Self::default() };
        user.groups = texts(subject, X509Name::iter_organization);
        if !credential_id.is_empty() {
            user.extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={credential_id}")]);
        }
        user.authenticated();
        Ok(user)
    }

    /// Adds the group of authenticated users, unless it is there or the user is anonymous.
    pub fn authenticated(&mut self) {
        if self.name != ANONYMOUS && !self.is_in(AUTHENTICATED) && !self.is_in(UNAUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
    }

    /// Whether the user is in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The node whose kubelet this is.
    #[must_use]
    pub fn node_name(&self) -> Option<&str> {
        self.name.strip_prefix(NODE_PREFIX).filter(|name| !name.is_empty() && self.is_in(NODES))
    }

    /// As `userInfo` of a review.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({});
        let mut set = |key: &str, present: bool, field: Value| {
            if present {
                value[key] = field;
            }
        };
        set("username", !self.name.is_empty(), json!(self.name));
        set("uid", !self.uid.is_empty(), json!(self.uid));
        set("groups", !self.groups.is_empty(), json!(self.groups));
        set("extra", !self.extra.is_empty(), json!(self.extra));
        value
    }
}

/// User name of a service account.
#[must_use]
pub fn service_account_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Namespace and name in a service account's user name.
#[must_use]
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

fn texts<'a, I>(subject: &'a X509Name<'a>, part: impl FnOnce(&'a X509Name<'a>) -> I) -> Vec<String>
where
    I: Iterator<Item = &'a x509_parser::prelude::AttributeTypeAndValue<'a>>,
{
    part(subject).filter_map(|entry| entry.as_str().ok()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(entries: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in entries {
            params.distinguished_name.push(kind.clone(), *text);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_names_user_and_groups() {
        let der = certificate(&[(DnType::CommonName, "system:node:n1"), (DnType::OrganizationName, NODES)]);
        let user = User::from_certificate(&der, "ab").unwrap();
        assert_eq!(user.groups, [NODES, AUTHENTICATED]);
        assert_eq!(user.node_name(), Some("n1"));
        assert_eq!(user.extra[CREDENTIAL_ID], ["X509SHA256=ab"]);
    }

    #[test]
    fn a_certificate_without_a_name_is_refused() {
        let der = certificate(&[(DnType::OrganizationName, MASTERS)]);
        assert_eq!(User::from_certificate(&der, ""), Err(CertificateError::NoCommonName));
        assert!(matches!(User::from_certificate(b"x", ""), Err(CertificateError::Malformed(_))));
    }

    #[test]
    fn service_account_names_split_only_when_whole() {
        let check =
            |name: &str, expect: Option<(&str, &str)>| assert_eq!(split_service_account(name), expect, "{name}");
        check("system:serviceaccount:a:b", Some(("a", "b")));
        check("system:serviceaccount:a:", None);
        check("system:serviceaccount::b", None);
        check("system:serviceaccount:a:b:c", None);
        check("a:b", None);
    }
}
