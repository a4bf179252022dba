//! Forgets flows to endpoints that serve no more (ctnetlink over netlink(7), kernel's nfnetlink_conntrack.h).
//! Main type: [`Conntrack`].
//!
//! A UDP client keeps its port for hours, and connection tracking would send its packets to the old endpoint for as
//! long as they come. A TCP client of a dead node would wait for many minutes: once its flow is forgotten, its next packet goes
//! to another endpoint, which does not know the connection and resets it. Blocking: the kernel answers within the call.

mod message;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;

use ipnet::IpNet;
use message::{Flow, Said};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr, protocols::NETLINK_NETFILTER};

use super::batch::Withdrawn;
use super::front::Front;
use super::objects::Protocol;

/// Datagrams of one dump, some dozen flows each: beyond the largest table that a kernel takes by default.
const DATAGRAMS_LIMIT: usize = 1 << 17;

/// Flows forgotten by one call; a later change finds what is left.
const FLOWS_LIMIT: usize = 1 << 16;

/// A socket to the kernel, in the network namespace of the thread that opened it.
pub struct Conntrack {
    socket: Socket,
    sequence: u32,
}

impl Conntrack {
    /// Opens it; needs CAP_NET_ADMIN.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&NetlinkAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Forgets all flows to these fronts that lead elsewhere than to the endpoints kept; returns how many those were.
    ///
    /// # Errors
    /// What the kernel says; flows that end meanwhile are none.
    pub fn forget(&mut self, withdrawn: &[Withdrawn]) -> io::Result<usize> {
        let fronts: BTreeMap<Front, &BTreeSet<SocketAddr>> =
            withdrawn.iter().map(|one| (one.front, &one.keep)).collect();
        self.forget_all(|flow| is_stale(flow, &fronts))
    }

    /// Forgets all TCP flows through a front to endpoints in these ranges, which nobody reaches any more.
    ///
    /// # Errors
    /// As [`Conntrack::forget`].
    pub fn reset(&mut self, ranges: &[IpNet]) -> io::Result<usize> {
        self.forget_all(|flow| {
            let gone = ranges.iter().any(|range| range.contains(&flow.answers.ip()));
            gone && flow.protocol == Protocol::Tcp.number() && flow.answers != flow.asked
        })
    }

    fn forget_all(&mut self, stale: impl Fn(&Flow) -> bool) -> io::Result<usize> {
        let stale = self.dump(stale)?;
        for flow in &stale {
            self.ask(|sequence| message::delete(sequence, flow), |_| {}).or_else(|error| {
                let ended = error.kind() == io::ErrorKind::NotFound;
                if ended { Ok(()) } else { Err(error) }
            })?;
        }
        Ok(stale.len())
    }

    fn dump(&mut self, wanted: impl Fn(&Flow) -> bool) -> io::Result<Vec<Flow>> {
        let mut found = Vec::new();
        self.ask(message::dump, |flow| {
            if found.len() < FLOWS_LIMIT && wanted(&flow) {
                found.push(flow);
            }
        })?;
        Ok(found)
    }

    fn ask(&mut self, question: impl Fn(u32) -> Vec<u8>, mut take: impl FnMut(Flow)) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&question(self.sequence), 0)?;
        for _ in 0..DATAGRAMS_LIMIT {
            let (datagram, _) = self.socket.recv_from_full()?;
            for said in message::read(&datagram, self.sequence) {
                match said {
                    Said::Flow(flow) => take(flow),
                    Said::Done => return Ok(()),
                    Said::Error(code) => return Err(io::Error::from_raw_os_error(code)),
                }
            }
        }
        Err(io::Error::other("the kernel's answer has no end"))
    }
}

/// Whether a flow leads to an endpoint that its front has no more. A flow to a node's port is only then a front's if its
/// destination was translated, or nothing was: others are this machine's own, on their way through.
fn is_stale(flow: &Flow, fronts: &BTreeMap<Front, &BTreeSet<SocketAddr>>) -> bool {
    if flow.protocol != Protocol::Udp.number() {
        return false;
    }
    let front = |address| Front { address, protocol: Protocol::Udp, port: flow.asked.port() };
    let gone = |front: &Front| fronts.get(front).is_some_and(|keep| !keep.contains(&flow.answers));
    let own = front(flow.asked.ip());
    let node = front(super::front::Family::of(&flow.asked.ip()).unspecified());
    let through = flow.answers == flow.asked && flow.answered != flow.client;
    gone(&own) || (!through && !fronts.contains_key(&own) && gone(&node))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flow `client -> asked`, answered by `answers` to `answered`; one front and one endpoint kept.
    fn check(front: &str, flow: [&str; 4], stale: bool) {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let asked = address(front);
        let front = Front { address: asked.ip(), protocol: Protocol::Udp, port: asked.port() };
        let keep = BTreeSet::from([address("10.42.0.7:53")]);
        let [client, asked, answers, answered] = flow.map(address);
        let flow = Flow { protocol: 17, client, asked, answers, answered, original: Vec::new() };
        assert_eq!(is_stale(&flow, &BTreeMap::from([(front, &keep)])), stale, "{flow:?}");
    }

    #[test]
    fn flows_to_other_endpoints_are_stale() {
        let client = "10.42.0.9:4000";
        check("10.43.0.5:53", [client, "10.43.0.5:53", "10.42.0.7:53", client], false);
        check("10.43.0.5:53", [client, "10.43.0.5:53", "10.42.0.8:53", client], true);
        check("10.43.0.5:53", [client, "10.43.0.6:53", "10.42.0.8:53", client], false);
    }

    #[test]
    fn flows_through_this_machine_to_the_same_port_are_not_a_node_ports() {
        let (client, node) = ("10.42.0.9:4000", "192.0.2.1:30053");
        check("0.0.0.0:30053", [client, node, "10.42.0.8:53", "10.42.0.1:4000"], true);
        check("0.0.0.0:30053", [client, node, "10.42.0.7:53", client], false);
        check("0.0.0.0:30053", [client, node, node, client], true);
        check("0.0.0.0:30053", [client, "198.51.100.1:30053", "198.51.100.1:30053", "192.0.2.1:4000"], false);
    }
}
