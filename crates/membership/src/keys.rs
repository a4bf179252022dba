//! Where membership lives in the store. Everything of ours is under `mesh/`, apart from Kubernetes objects.

use std::sync::Arc;

use ipnet::IpNet;

use crate::id::{KeyFingerprint, NodeId};

/// The one [`crate::Cluster`] record.
pub const CLUSTER: &str = "mesh/cluster";
/// Prefix of [`crate::Member`] records.
pub const MEMBERS: &str = "mesh/members/";
/// Prefix of [`crate::token::TokenRecord`]s.
pub const TOKENS: &str = "mesh/tokens/";
/// Prefix of secrets sealed by the cluster key.
pub const SECRETS: &str = "mesh/secrets/";

/// Prefix of what members say that they know ([`crate::features`]).
pub const FEATURES: &str = "mesh/features/";

/// Prefix of the claims on ids.
pub const ID_CLAIMS: &str = "member-id/";

/// Key of one member's record.
pub fn member(id: NodeId) -> Arc<str> {
    format!("{MEMBERS}{id}").into()
}

/// Key of one token's record.
pub fn token(id: &str) -> Arc<str> {
    format!("{TOKENS}{id}").into()
}

/// Key of one sealed secret.
pub fn secret(name: &str) -> Arc<str> {
    format!("{SECRETS}{name}").into()
}

/// Key of what one member says that it knows.
pub fn features(id: NodeId) -> Arc<str> {
    format!("{FEATURES}{id}").into()
}

/// Claim on a node's name, held by its id while it is a member.
pub fn name_claim(name: &str) -> Arc<str> {
    format!("member-name/{name}").into()
}

/// Claim on an id, held for ever by the fingerprint of its key.
pub fn id_claim(id: NodeId) -> Arc<str> {
    format!("{ID_CLAIMS}{id}").into()
}

/// Claim on a key, held for ever by the id it belongs to.
pub fn key_claim(fingerprint: KeyFingerprint) -> Arc<str> {
    format!("member-key/{fingerprint}").into()
}

/// Claim on a range of pod addresses, held by the node's id while it is a member.
pub fn pod_range_claim(range: IpNet) -> Arc<str> {
    format!("pod-range/{range}").into()
}
