//! Pages of a list: tokens that name a revision and a place. Any node makes any page: see [`store::Storage::as_of`].
//! Spec: <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use store::Revision;

use crate::status::ApiError;

/// Longest token that is looked at: a key has at most some 700 bytes.
const MAX_TOKEN_BYTES: usize = 4096;

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// At which revision; `None` goes on in whatever is newest.
    pub revision: Option<Revision>,
    /// After which key.
    pub after: String,
}

impl Place {
    /// As the client keeps it.
    #[must_use]
    pub fn token(&self) -> String {
        let revision = self.revision.map_or(json!(-1), |r| json!(r.0));
        URL_SAFE_NO_PAD.encode(json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": self.after }).to_string())
    }

    /// Reads a token; its key must lie under `prefix`.
    ///
    /// # Errors
    /// 400 where it is no token of this collection.
    pub fn parse(token: &str, prefix: &str) -> Result<Self, ApiError> {
        let bad = |why: &str| ApiError::bad_request(format!("continue key is not valid: {why}"));
        if token.len() > MAX_TOKEN_BYTES {
            return Err(bad("too long"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).map_err(|e| bad(&e.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        if value["v"] != "meta.k8s.io/v1" {
            return Err(bad("server does not recognize this encoded version"));
        }
        let after =
            value["start"].as_str().filter(|key| key.starts_with(prefix)).ok_or_else(|| bad("wrong start key"))?;
        let revision = match value["rv"].as_i64() {
            Some(-1) => None,
            Some(revision @ 1..) => Some(Revision(revision.unsigned_abs())),
            _ => return Err(bad("incorrect encoded start resourceVersion")),
        };
        Ok(Self { revision, after: after.to_owned() })
    }

    /// 410 with a token that goes on inconsistently.
    #[must_use]
    pub fn expired(&self) -> ApiError {
        const MESSAGE: &str = "The provided continue parameter is too old \
            to display a consistent list result. You can start a new list without \
            the continue parameter, or use the continue token in this response to \
            retrieve the remainder of the results. Continuing with the provided \
            token results in an inconsistent list - objects that were created, \
            modified, or deleted between the time the first chunk was returned \
            and now may show up in the list.";
        let token = Self { revision: None, after: self.after.clone() }.token();
        ApiError { continue_token: Some(token), ..ApiError::expired(MESSAGE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(token: &str, ok: bool) {
        assert_eq!(Place::parse(token, "core/configmaps/").is_ok(), ok, "{token}");
    }

    #[test]
    fn takes_only_its_own_tokens() {
        let place = |revision, after: &str| Place { revision, after: after.into() };
        let good = place(Some(Revision(5)), "core/configmaps/a/b");
        assert_eq!(Place::parse(&good.token(), "core/configmaps/"), Ok(good.clone()));
        check(&place(None, "core/configmaps/a/b").token(), true);
        check(&place(Some(Revision(5)), "core/secrets/a/b").token(), false);
        check("nonsense", false);
        check(&"A".repeat(MAX_TOKEN_BYTES + 1), false);
    }
}
