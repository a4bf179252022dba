//! The kernel's links, addresses, routes and neighbours, asked for over route netlink (RFC 3549, rtnetlink(7)).
//!
//! Main type: [`Netlink`]: one socket, one question at a time, on the calling thread. The kernel answers within the
//! call, so there is nothing to await, and a socket belongs for ever to the network namespace it was opened in.

mod message;

use std::{io, net::IpAddr};

use ipnet::IpNet;
pub(crate) use message::{Route, Target, Veth};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage as Message,
    address::AddressAttribute,
    link::{LinkAttribute, LinkMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Answers read for one question at most; a dump sends a few dozen messages in each.
const MAX_DATAGRAMS: usize = 65_536;

/// `lo` is the first link of every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// See the module.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// A socket in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The index of a link, if there is one of this name.
    pub(crate) fn link(&mut self, name: &str) -> io::Result<Option<u32>> {
        let mut question = LinkMessage::default();
        question.attributes.push(LinkAttribute::IfName(name.into()));
        match self.ask(Message::GetLink(question), 0) {
            Ok(answers) => Ok(answers.into_iter().find_map(|answer| match answer {
                Message::NewLink(link) => Some(link.header.index),
                _ => None,
            })),
            Err(error) if is_no_device(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a pair of connected links.
    pub(crate) fn add_veth(&mut self, veth: &Veth<'_>) -> io::Result<()> {
        self.ask(Message::NewLink(veth.message()), NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Brings a link up, with this MTU where one is given.
    pub(crate) fn set_up(&mut self, link: u32, mtu: Option<u32>) -> io::Result<()> {
        self.ask(Message::SetLink(message::up(link, mtu)), 0).map(drop)
    }

    /// Removes a link, and with it its peer; none of that index is as good.
    pub(crate) fn delete_link(&mut self, link: u32) -> io::Result<()> {
        let mut question = LinkMessage::default();
        question.header.index = link;
        absent_is_fine(self.ask(Message::DelLink(question), 0).map(drop))
    }

    /// Gives a link an address of its own, without a route to its neighbourhood.
    pub(crate) fn add_address(&mut self, link: u32, address: IpAddr) -> io::Result<()> {
        self.ask(Message::NewAddress(message::address(link, address)), NLM_F_CREATE | NLM_F_REPLACE).map(drop)
    }

    /// Takes an address from a link; one that it has not is as good.
    pub(crate) fn delete_address(&mut self, link: u32, address: IpAddr) -> io::Result<()> {
        match absent_is_fine(self.ask(Message::DelAddress(message::address(link, address)), 0).map(drop)) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Ok(()),
            outcome => outcome,
        }
    }

    /// The addresses of a link that are good beyond it.
    pub(crate) fn addresses(&mut self, link: u32) -> io::Result<Vec<IpAddr>> {
        let answers = self.ask(Message::GetAddress(message::any_address()), NLM_F_DUMP)?;
        let of_link = answers.into_iter().filter_map(|answer| match answer {
            Message::NewAddress(found) if message::is_global(&found, link) => Some(found.attributes),
            _ => None,
        });
        Ok(of_link
            .flatten()
            .filter_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(address),
                _ => None,
            })
            .collect())
    }

    /// Puts a route into the main table, in place of one to the same destination.
    pub(crate) fn set_route(&mut self, route: &Route) -> io::Result<()> {
        self.ask(Message::NewRoute(route.message()), NLM_F_CREATE | NLM_F_REPLACE).map(drop)
    }

    /// Takes a route out of the main table; none is as good.
    pub(crate) fn delete_route(&mut self, to: IpNet) -> io::Result<()> {
        absent_is_fine(self.ask(Message::DelRoute(message::route_to(to)), 0).map(drop))
    }

    /// Fixes where an address is found on a link, so that nobody has to ask for it.
    pub(crate) fn set_neighbour(&mut self, link: u32, address: IpAddr, mac: Mac) -> io::Result<()> {
        let neighbour = message::neighbour(link, address, mac);
        self.ask(Message::NewNeighbour(neighbour), NLM_F_CREATE | NLM_F_REPLACE).map(drop)
    }

    /// One question; its answers, once the kernel has said that these are all.
    fn ask(&mut self, question: Message, flags: u16) -> io::Result<Vec<Message>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = NetlinkMessage::from(question);
        packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        for _ in 0..MAX_DATAGRAMS {
            let (datagram, _) = self.socket.recv_from_full()?;
            if self.read(&datagram, &mut answers)? {
                return Ok(answers);
            }
        }
        Err(io::Error::other("the kernel's answer has no end"))
    }

    /// Reads one datagram of the present answer; tells whether it was the last.
    fn read(&self, mut datagram: &[u8], answers: &mut Vec<Message>) -> io::Result<bool> {
        while !datagram.is_empty() {
            let packet = NetlinkMessage::<Message>::deserialize(datagram).map_err(io::Error::other)?;
            let length = (packet.header.length as usize).next_multiple_of(4).clamp(1, datagram.len());
            datagram = &datagram[length..];
            if packet.header.sequence_number != self.sequence {
                continue;
            }
            match packet.payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// No such link, route or process.
fn absent_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if is_no_device(&error) || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) => Ok(()),
        outcome => outcome,
    }
}

fn is_no_device(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32)
}
