//! Join tokens as stored: only a hash of the secret. The text form that people paste is `net`'s.

use serde::{Deserialize, Serialize};
use store::View;

use crate::{keys, member};

/// How long a token admits nodes, unless said otherwise: 24 h, in seconds.
pub const DEFAULT_TTL_SECONDS: i64 = 24 * 3600;

/// A stored join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    /// Public part, which names the token.
    pub id: String,
    /// Hash of the secret, hexadecimal.
    pub secret_hash: String,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds from which on it is refused.
    pub expires: i64,
    /// Admits one node only.
    pub once: bool,
    /// Name of the node that used a `once` token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
}

impl TokenRecord {
    /// Whether it still admits a node at this time (Unix seconds).
    pub fn usable(&self, now: i64) -> bool {
        now < self.expires && self.used_by.is_none()
    }
}

/// All tokens, by id.
pub fn tokens(view: &View) -> Vec<TokenRecord> {
    view.range(keys::TOKENS, None).filter_map(|record| member::decode(record)).collect()
}
