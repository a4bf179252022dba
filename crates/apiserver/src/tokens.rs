//! ServiceAccount tokens: signing them, and finding out whose a bearer token is. Main type: [`Tokens`].
//! Spec: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>.

use std::sync::Arc;

use api::{kinds, meta};
use auth::{
    User,
    token::{Claims, KeyError, Lookup, Signer, TokenCache, Verifier, VerifyError, bound::GRACE_SECONDS, check_bound},
};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use store::View;

use crate::{config::Config, object};

/// Signs and reads tokens.
pub struct Tokens {
    signer: Signer,
    verifier: Verifier,
    cache: Mutex<TokenCache>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// Why the signing key cannot work.
#[derive(Debug, thiserror::Error)]
#[error("the key of ServiceAccount tokens is not usable")]
pub struct TokensError(#[from] KeyError);

/// Why a bearer token names no user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token itself is no good.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// What it was bound to is gone.
    #[error(transparent)]
    Bound(#[from] auth::token::BoundError),
}

impl Tokens {
    /// Signs with this key (PKCS#8 PEM).
    ///
    /// # Errors
    /// Where it is no such key.
    pub fn new(config: &Config, key_pem: &str) -> Result<Self, TokensError> {
        let signer = Signer::from_pem(key_pem, &config.service_account_issuer)?;
        let audiences = config.audiences();
        let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
        let verifier = signer.verifier(&[], &audiences)?;
        Ok(Self { signer, verifier, cache: Mutex::default() })
    }

    /// Whose token it is, for the audiences wanted (none: the API's own), on this state of the cluster.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn user(
        &self,
        view: &View,
        token: &str,
        wanted: &[String],
        now: Timestamp,
    ) -> Result<(User, Arc<Claims>), TokenError> {
        let claims = self.cache.lock().verify(&self.verifier, token, wanted, now.as_second())?;
        check_bound(&claims, &Stored { view, now })?;
        Ok((claims.user(), claims))
    }

    /// Signs claims.
    ///
    /// # Errors
    /// Where the key fails.
    pub fn mint(&self, claims: &Claims) -> Result<String, KeyError> {
        self.signer.mint(claims)
    }

    /// Audiences the API itself takes.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        self.verifier.audiences()
    }

    /// `/openid/v1/jwks`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.verifier.jwks()
    }

    /// `/.well-known/openid-configuration`.
    #[must_use]
    pub fn discovery(&self, config: &Config) -> Value {
        self.verifier.openid_configuration(&format!("https://{}/openid/v1/jwks", config.advertise_address))
    }
}

/// What tokens are bound to, as stored.
struct Stored<'a> {
    view: &'a View,
    now: Timestamp,
}

impl Lookup for Stored<'_> {
    fn uid(&self, plural: &str, namespace: &str, name: &str) -> Option<String> {
        let kind = kinds::by_resource("", "v1", plural)?;
        let object = object::decode(self.view.get(&object::key(kind, namespace, name))?);
        let deleted = meta::parse_time(meta::deletion_timestamp(&object));
        let gone = deleted.is_some_and(|at| self.now.as_second() > at.as_second() + GRACE_SECONDS);
        (!gone).then(|| meta::uid(&object).to_owned())
    }
}
