//! ServiceAccount tokens: minted, verified, and checked against what they are bound to.
//! Main types: [`Signer`], [`Verifier`], [`Claims`]. Spec: RFC 7519, RFC 7515 (ES256), RFC 7517, and
//! <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>.
//! Leaves out legacy tokens in Secrets.

pub mod bound;
pub mod cache;
pub mod claims;
pub mod key;
pub mod request;

pub use bound::{BoundError, Lookup, check_bound};
pub use cache::TokenCache;
pub use claims::{Bound, Claims, Reference};
pub use key::{KeyError, Signer, Verifier, VerifyError};
pub use request::{TokenSpec, read_request, validate_request};

#[cfg(test)]
mod tests;
