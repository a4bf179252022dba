//! The chains that choose an endpoint: one for each number of endpoints in use, made when first needed. Pure.
//! Main type: [`Chain`].
//!
//! A packet's mark carries the slot drawn, and then for a client that sticks the endpoint's number. Only the first packet
//! of a connection comes here; connection tracking treats the others alike.

use super::front::Family;
use super::program::{MASQUERADE_MARK, PLAIN_MARK, digit};

/// Makes the choice by a client's address the same on every node.
const CLIENT_SEED: u32 = 0x6d65_7368;

/// Chooses one of so many endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chain {
    /// Of the addresses.
    pub(super) family: Family,
    /// The client asked a port of a node.
    pub(super) node_port: bool,
    /// Endpoints see the overlay address.
    pub(super) masquerade: bool,
    /// How long a client sticks.
    pub(super) affinity_seconds: Option<u32>,
    /// How many there are to choose from.
    pub(super) endpoints: usize,
}

impl Chain {
    /// Its name in the table.
    pub(super) fn name(&self) -> String {
        let node = if self.node_port { "node_" } else { "" };
        let what = if self.masquerade { "masquerade" } else { "serve" };
        let sticky = self.affinity_seconds.map(|seconds| format!("_for_{seconds}")).unwrap_or_default();
        format!("{node}{what}{}_{}{sticky}", digit(self.family), self.endpoints)
    }

    /// Its rules, one a line.
    pub(super) fn rules(&self) -> Vec<String> {
        let (digit, ip) = (digit(self.family), header(self.family));
        let front = front_of(self.family, self.node_port);
        let base = if self.masquerade { MASQUERADE_MARK } else { PLAIN_MARK };
        let draw = format!("meta mark set numgen random mod {} offset {base}", self.endpoints);
        let to = format!("meta l4proto {{ tcp, udp, sctp }} dnat {ip} addr . port to {front} . meta mark map");
        let Some(seconds) = self.affinity_seconds else {
            return vec![draw, format!("{to} @slots{digit}")];
        };
        if !remembers(self.family) {
            let draw =
                format!("meta mark set jhash {ip} saddr mod {} seed {CLIENT_SEED} offset {base}", self.endpoints);
            return vec![draw, format!("{to} @slots{digit}")];
        }
        // In this order: the language takes a masked address only at the first place.
        let client = format!("{front} . {ip} saddr");
        let remember = format!("@affinity{digit} {{ {client} timeout {seconds}s : meta mark }}");
        let draw = format!("{draw} meta mark set {front} . meta mark map @ids{digit}");
        let to = format!("{to} @sticky{digit}");
        vec![
            // Whom it had. If that endpoint serves no more, the last map holds it not, and the next rule runs.
            format!("meta mark set {client} map @affinity{digit} update {remember} {to}"),
            format!("{draw} delete @affinity{digit} {{ {client} : meta mark }} add {remember} {to}"),
            // There is no room to remember one more client.
            format!("{draw} {to}"),
        ]
    }
}

/// Whether clients that stick are remembered. The key of an IPv6 client is too long for nft up to 1.0.6, which would fall over: its
/// endpoint is chosen by its address alone, for as long as the endpoints stay.
pub(super) fn remembers(family: Family) -> bool {
    family == Family::V4
}

/// The header's name in nft's language.
pub(super) fn header(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// The packet's part of a key that is a front. For a node's port the address is made zero.
pub(super) fn front_of(family: Family, node_port: bool) -> String {
    let zero = if node_port { format!(" & {}", family.unspecified()) } else { String::new() };
    format!("{} daddr{zero} . meta l4proto . th dport", header(family))
}
