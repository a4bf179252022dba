//! What a puller says and is told: who asks a registry, and why an image did not come. Main type: [`PullError`].

mod secrets;

use std::fmt;

pub use secrets::{PullSecrets, SecretsError};

use crate::RuntimeError;

/// Who asks a registry. What is secret in it is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User's name.
    pub username: String,
    /// His password, or a token in its place.
    pub password: String,
    /// A refresh token of the registry's authorization server; then the others are not used.
    pub identity_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why an image was not pulled. The texts are those people know from other runtimes, without their `rpc error`.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The reference is none; asking again is of no use.
    #[error("failed to pull and unpack image {reference:?}: failed to parse reference: {reason}")]
    InvalidReference {
        /// As it was given.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry has no such image.
    #[error(
        "failed to pull and unpack image {reference:?}: failed to resolve reference {reference:?}: {reference}: not found"
    )]
    NotFound {
        /// Its full form.
        reference: String,
    },
    /// The registry wants to know who asks, or does not let him have it.
    #[error(
        "failed to pull and unpack image {reference:?}: failed to resolve reference {reference:?}: pull access denied, \
         repository does not exist or may require authorization: {reason}"
    )]
    Unauthorized {
        /// Its full form.
        reference: String,
        /// What the registry said.
        reason: String,
    },
    /// Nobody answers, or not as a registry does. Asking later may help.
    #[error("failed to pull and unpack image {reference:?}: failed to do request: {reason}")]
    Unreachable {
        /// Its full form.
        reference: String,
        /// What happened.
        reason: String,
    },
    /// The registry's answer cannot be used.
    #[error("failed to pull and unpack image {reference:?}: {reason}")]
    Unusable {
        /// Its full form.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is there for other machines only.
    #[error("failed to pull and unpack image {reference:?}: no match for platform in manifest: not found")]
    Platform {
        /// Its full form.
        reference: String,
    },
    /// The runtime did not take it.
    #[error("failed to pull and unpack image {reference:?}: {source}")]
    Runtime {
        /// Its full form.
        reference: String,
        /// Why.
        source: RuntimeError,
    },
}

impl PullError {
    /// For `map_err` where it cannot be written down that an image is pulled; then it is not used.
    pub fn unwritten(reference: &str) -> impl Fn(std::io::Error) -> Self + '_ {
        move |error| Self::Unusable { reference: reference.to_owned(), reason: format!("cannot be noted: {error}") }
    }

    /// For `map_err` on what a runtime does.
    pub(crate) fn runtime(reference: &str) -> impl Fn(RuntimeError) -> Self + '_ {
        move |source| Self::Runtime { reference: reference.to_owned(), source }
    }
}
