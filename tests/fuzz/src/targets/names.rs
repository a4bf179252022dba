//! Packets that ask for names.

use std::sync::OnceLock;

use dns::Zone;

use crate::Target;

/// Bytes of an answer over UDP, at most.
const UDP_MAX: usize = 1232;

/// A question, answered from an empty zone.
pub(super) const PACKET: Target = Target {
    name: "DNS packet",
    run: |bytes| {
        static ZONE: OnceLock<Zone> = OnceLock::new();
        let zone = ZONE.get_or_init(|| Zone::new("cluster.local"));
        if let Some(answer) = dns::server::fuzz::answer(zone, bytes) {
            assert!((12..=UDP_MAX).contains(&answer.len()), "an answer of {} bytes", answer.len());
        }
    },
    seeds: || {
        let head = |more: u8| [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, more];
        let name = b"\x03web\x07default\x03svc\x07cluster\x05local\x00";
        let plain = [&head(0)[..], name, &[0, 1, 0, 1]].concat();
        // With EDNS, and a name that points back into itself.
        let edns = [&head(1)[..], name, &[0, 33, 0, 1], &[0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]].concat();
        let ring = [&head(0)[..], &[0xc0, 12, 0, 1, 0, 1]].concat();
        vec![plain, edns, ring]
    },
};
