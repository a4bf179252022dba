//! Signing and verifying with ES256 keys; the documents that let others verify. Main types: [`Signer`], [`Verifier`].

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde_json::{Value, json};

use super::Claims;

/// Bytes of a token that is looked at; a real one is below 2 KiB.
pub const TOKEN_MAX: usize = 16 * 1024;

/// Seconds by which clocks may differ for `nbf` and `exp`.
const LEEWAY_SECONDS: i64 = 60;

/// A private key. Prints nothing of itself.
pub struct Signer {
    key: EncodingKey,
    kid: String,
    issuer: String,
    jwk: Jwk,
}

/// Public keys, the newest first. Prints nothing but ids.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<(String, DecodingKey)>,
    jwks: Vec<Jwk>,
    issuer: String,
    audiences: Vec<String>,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is no P-256 private key in PKCS #8 PEM.
    #[error("service account signing key is no P-256 key in PKCS #8 PEM")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// The token could not be signed.
    #[error("token could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Why a token is refused. `Other` is not an error: another authenticator may know it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is no JWT of this issuer.
    #[error("not a service account token of this cluster")]
    Other,
    /// Its signature, or what it says, is wrong.
    #[error("service account token is invalid")]
    Invalid,
    /// Too early.
    #[error("service account token is not valid yet")]
    NotYet,
    /// Too late.
    #[error("service account token has expired")]
    Expired,
    /// Meant for somebody else.
    #[error("token audiences {got:?} is invalid for the target audiences {wanted:?}")]
    Audience {
        /// Of the token.
        got: Vec<String>,
        /// Of the verifier.
        wanted: Vec<String>,
    },
}

impl Signer {
    /// A signer from a P-256 private key in PKCS #8 PEM.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] if it is none.
    pub fn from_pem(pem: &str, issuer: &str) -> Result<Self, KeyError> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(KeyError::Malformed)?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(KeyError::Malformed)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(KeyError::Malformed)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, kid, issuer: issuer.to_owned(), jwk })
    }

    /// Signs claims; the issuer is set to this signer's.
    ///
    /// # Errors
    /// [`KeyError::Sign`] if the key fails.
    pub fn mint(&self, claims: &Claims) -> Result<String, KeyError> {
        let header = Header { kid: Some(self.kid.clone()), typ: None, ..Header::new(Algorithm::ES256) };
        let claims = Claims { iss: self.issuer.clone(), ..claims.clone() };
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(KeyError::Sign)
    }

    /// Verifies what this signer and `older` ones signed, for these audiences.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] if a key has no usable public half.
    pub fn verifier(&self, older: &[&Self], audiences: &[&str]) -> Result<Verifier, KeyError> {
        let signers = || std::iter::once(self).chain(older.iter().copied());
        let key = |signer: &Self| {
            let key = DecodingKey::from_jwk(&signer.jwk).map_err(KeyError::Malformed)?;
            Ok((signer.kid.clone(), key))
        };
        Ok(Verifier {
            keys: signers().map(key).collect::<Result<_, KeyError>>()?,
            jwks: signers().map(|signer| signer.jwk.clone()).collect(),
            issuer: self.issuer.clone(),
            audiences: audiences.iter().map(|audience| (*audience).to_owned()).collect(),
        })
    }
}

impl Verifier {
    /// Checks signature, issuer, times and audiences: `wanted`, or the verifier's own if empty. `now` is Unix time in
    /// seconds. Bound objects are another check ([`super::check_bound`]).
    ///
    /// # Errors
    /// [`VerifyError`]; only [`VerifyError::Other`] leaves a chance to other authenticators.
    pub fn verify(&self, token: &str, wanted: &[String], now: i64) -> Result<Claims, VerifyError> {
        let claims = self.signed_claims(token)?;
        self.check(&claims, wanted, now)?;
        Ok(claims)
    }

    /// The checks of [`Self::verify`] that time may change: for claims whose signature was found good before.
    ///
    /// # Errors
    /// As [`Self::verify`], but for the signature.
    pub fn check(&self, claims: &Claims, wanted: &[String], now: i64) -> Result<(), VerifyError> {
        let wanted = if wanted.is_empty() { self.audiences.as_slice() } else { wanted };
        if now + LEEWAY_SECONDS < claims.nbf {
            return Err(VerifyError::NotYet);
        }
        if now - LEEWAY_SECONDS >= claims.exp {
            return Err(VerifyError::Expired);
        }
        if !claims.aud.iter().any(|audience| wanted.contains(audience)) {
            return Err(VerifyError::Audience { got: claims.aud.clone(), wanted: wanted.to_vec() });
        }
        Ok(())
    }

    /// Audiences of the API itself.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The keys for `/openid/v1/jwks`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.jwks })
    }

    /// The document for `/.well-known/openid-configuration`.
    #[must_use]
    pub fn openid_configuration(&self, jwks_uri: &str) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    fn signed_claims(&self, token: &str) -> Result<Claims, VerifyError> {
        if token.len() > TOKEN_MAX || token.matches('.').count() != 2 {
            return Err(VerifyError::Other);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| VerifyError::Other)?;
        let unproven =
            jsonwebtoken::dangerous::insecure_decode_claims::<Value>(token).map_err(|_| VerifyError::Other)?;
        if unproven.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(VerifyError::Other);
        }
        let named = |kid: &str| header.kid.as_deref().is_none_or(|wanted| wanted == kid);
        let keys = self.keys.iter().filter(|(kid, _)| named(kid));
        let claims = keys.filter_map(|(_, key)| signed_by(token, key)).next().ok_or(VerifyError::Invalid)?;
        if claims.is_consistent() { Ok(claims) } else { Err(VerifyError::Invalid) }
    }
}

/// Only the signature: the library would read the clock for the rest.
fn signed_by(token: &str, key: &DecodingKey) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Claims>(token, key, &validation).ok().map(|data| data.claims)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids: Vec<&str> = self.keys.iter().map(|(kid, _)| kid.as_str()).collect();
        f.debug_struct("Verifier").field("kids", &kids).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
