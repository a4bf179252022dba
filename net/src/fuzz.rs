//! What fuzz targets (`tests/fuzz`) reach of what strangers send, which is private. For nothing else.

use crate::{admit, ca, key, wire};

/// A request to join, as far as it is looked at before the cluster is asked. Tells whether it is sound.
pub fn join_request(bytes: &[u8]) -> bool {
    let Ok(request) = wire::decode_request(bytes) else { return false };
    let shown = ca::csr_fingerprint(&request.csr).unwrap_or_else(|| key::of_spki(&[]));
    admit::check(&request, shown).is_ok()
}

/// The cluster's answer to it. Tells whether it can be read.
pub fn join_reply(bytes: &[u8]) -> bool {
    wire::decode_reply(bytes).is_ok()
}

/// A certificate that a peer shows. Tells whether it can be read.
pub fn certificate(der: &[u8]) -> bool {
    key::of_certificate(der).is_some() && key::end_of_certificate(der).is_some()
}
