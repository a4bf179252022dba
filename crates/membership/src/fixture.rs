//! Members as the tests of several modules need them.

use crate::{KeyFingerprint, Member, NodeId, Role, VoterPreference};

/// One with a name and a key of its own, and nothing else that sets it apart.
pub(crate) fn member(id: u64, role: Role) -> Member {
    Member {
        id: NodeId(id),
        name: format!("n{id}"),
        key: KeyFingerprint([id as u8; 32]),
        addresses: Vec::new(),
        api_addresses: Vec::new(),
        pod_addresses: Vec::new(),
        role,
        voter: VoterPreference::Auto,
        zone: String::new(),
        pod_ranges: Vec::new(),
        leaving: false,
        labels: Default::default(),
    }
}
