//! Shows members as addresses to chitchat, and its messages as bytes to members.
//!
//! A member's address is made from its id, so none is ever learnt from gossip. Chitchat keeps its codec to itself but
//! for its UDP socket; so each message makes a loop through a pair of loopback sockets, of which one is chitchat's.
//!
//! An exchange tells both sides everything, whoever begins it: a member that began one within the last interval is not
//! called on again. In small clusters, where everybody calls on everybody, that is half of all messages.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use chitchat::{
    ChitchatEnvelope, ChitchatMessage,
    transport::{RecvOutcome, SendOutcome, Socket, Transport, UdpSocket},
};
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::outbound::Outbound;
use crate::{Dial, NodeId};

/// Chitchat's largest message, in bytes (its own limit, that of UDP).
pub(super) const MESSAGE_LIMIT: usize = 65_507;

/// First bytes of a chitchat message: its magic number. What lacks them is not worth the loop.
const MAGIC: [u8; 2] = 45_139u16.to_le_bytes();

/// Loopback delivers at once; a message that has not come out by then was malformed.
const LOOP_TIMEOUT: Duration = Duration::from_millis(50);

/// Prefix of the addresses that stand for nodes: a unique local one (RFC 4193), routed nowhere.
const PREFIX: u128 = 0xfd6d_6573_6800_0000 << 64;

/// Stands for a port, which chitchat's addresses have.
const PORT: u16 = 1;

/// The address that stands for a node.
pub(super) fn address_of(node: NodeId) -> SocketAddr {
    (Ipv6Addr::from(PREFIX | u128::from(node.0)), PORT).into()
}

/// The node that an address stands for.
pub(super) fn node_at(address: SocketAddr) -> Option<NodeId> {
    let SocketAddr::V6(v6) = address else { return None };
    let node = NodeId(u128::from(*v6.ip()) as u64);
    (address_of(node) == address).then_some(node)
}

/// Carries chitchat's messages over [`Dial`]; opened once.
pub(super) struct Messages {
    dial: Arc<dyn Dial>,
    own: NodeId,
    interval: Duration,
    inbox: Mutex<Option<mpsc::Receiver<(NodeId, Bytes)>>>,
}

impl Messages {
    /// `interval`: between two rounds of gossip.
    pub(super) fn new(
        dial: Arc<dyn Dial>,
        own: NodeId,
        interval: Duration,
        inbox: mpsc::Receiver<(NodeId, Bytes)>,
    ) -> Self {
        Self { dial, own, interval, inbox: Mutex::new(Some(inbox)) }
    }
}

#[async_trait]
impl Transport for Messages {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let inbox = self.inbox.lock().take().context("opened once")?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let codec = UdpSocket::open(any).await?;
        let codec_address = codec.local_addr()?;
        let tap = tokio::net::UdpSocket::bind(any).await?;
        let tap_address = tap.local_addr()?;
        tap.connect(codec_address).await?;
        Ok(Box::new(MemberSocket {
            own: self.own,
            outbound: Outbound::new(self.dial.clone()),
            inbox,
            begun: Begun { interval: self.interval, by: HashMap::new() },
            codec,
            tap,
            tap_address,
            buffer: vec![0; MESSAGE_LIMIT].into(),
            within: None,
        }))
    }
}

struct MemberSocket {
    own: NodeId,
    outbound: Outbound,
    inbox: mpsc::Receiver<(NodeId, Bytes)>,
    begun: Begun,
    /// Chitchat's end of the loop.
    codec: UdpSocket,
    /// Our end, connected to it: nobody else is heard.
    tap: tokio::net::UdpSocket,
    tap_address: SocketAddr,
    buffer: Box<[u8]>,
    /// Whose message is within the loop, and until when; at most one.
    within: Option<(NodeId, Instant)>,
}

/// Which members began an exchange, and when.
struct Begun {
    interval: Duration,
    /// Only those of the last interval, so no more than the inbox lets through in that time.
    by: HashMap<NodeId, Instant>,
}

impl Begun {
    fn note(&mut self, node: NodeId, now: Instant) {
        let interval = self.interval;
        self.by.retain(|_, at| now.duration_since(*at) < interval);
        self.by.insert(node, now);
    }

    fn lately(&self, node: NodeId, now: Instant) -> bool {
        self.by.get(&node).is_some_and(|at| now.duration_since(*at) < self.interval)
    }
}

#[async_trait]
impl Socket for MemberSocket {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(address_of(self.own))
    }

    async fn send(&mut self, to: SocketAddr, envelope: ChitchatEnvelope) -> anyhow::Result<SendOutcome> {
        let begins = matches!(envelope.message, ChitchatMessage::Syn { .. });
        if begins && node_at(to).is_some_and(|node| self.begun.lately(node, Instant::now())) {
            return Ok(SendOutcome { num_bytes_sent: 0 });
        }
        let outcome = self.codec.send(self.tap_address, envelope).await?;
        let length = timeout(LOOP_TIMEOUT, self.tap.recv(&mut self.buffer)).await??;
        // A forged address stands for nobody; what would go there is lost.
        if let Some(node) = node_at(to).filter(|node| *node != self.own) {
            self.outbound.send(node, Bytes::copy_from_slice(&self.buffer[..length]));
        }
        Ok(outcome)
    }

    /// May be cancelled at any await: what is within the loop is remembered.
    async fn recv(&mut self) -> anyhow::Result<RecvOutcome> {
        loop {
            if let Some((node, deadline)) = self.within {
                let received = timeout_at(deadline, self.codec.recv()).await;
                match received {
                    Ok(outcome) => {
                        let outcome = outcome?;
                        // Other processes of this machine may knock; they are not heard.
                        if outcome.from_addr == self.tap_address {
                            self.within = None;
                            if matches!(outcome.envelope.message, ChitchatMessage::Syn { .. }) {
                                self.begun.note(node, Instant::now());
                            }
                            return Ok(RecvOutcome { from_addr: address_of(node), ..outcome });
                        }
                    }
                    Err(_) => self.within = None,
                }
            } else {
                let (node, message) = self.inbox.recv().await.context("gossip stops")?;
                if message.starts_with(&MAGIC) {
                    self.tap.send(&message).await?;
                    self.within = Some((node, Instant::now() + LOOP_TIMEOUT));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_began_an_exchange_is_not_called_on_within_the_interval() {
        let (one, other, start) = (NodeId(1), NodeId(2), Instant::now());
        let mut begun = Begun { interval: Duration::from_millis(300), by: HashMap::new() };
        begun.note(one, start);
        for (after, lately) in [(0, true), (299, true), (300, false)] {
            let now = start + Duration::from_millis(after);
            assert_eq!((begun.lately(one, now), begun.lately(other, now)), (lately, false), "{after}");
        }
        begun.note(other, start + Duration::from_millis(300));
        assert_eq!(begun.by.len(), 1, "the old one is forgotten");
    }

    #[test]
    fn an_address_stands_for_one_node() {
        let node = NodeId(0x00ab_cdef_0123_4567);
        assert_eq!(node_at(address_of(node)), Some(node));
        for other in ["10.0.0.1:1", "[fd00::1]:1", "[fd6d:6573:6800::1]:2"] {
            assert_eq!(node_at(other.parse().unwrap()), None, "{other}");
        }
    }
}
