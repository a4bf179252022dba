//! The messages that [`Netlink`](super::Netlink) sends. What the kernel fills in by itself is left out.

use std::{
    net::IpAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

use ipnet::IpNet;
use netlink_packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope},
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
    },
};

use super::Mac;

/// A pair of links, one of them in another network namespace.
pub(crate) struct Veth<'a> {
    /// Name and address of the end here.
    pub(crate) here: (&'a str, Mac),
    /// Name and address of the end there.
    pub(crate) there: (&'a str, Mac),
    /// The namespace of the end there.
    pub(crate) namespace: BorrowedFd<'a>,
    /// Largest packet of both ends, in bytes.
    pub(crate) mtu: u32,
}

impl Veth<'_> {
    pub(super) fn message(&self) -> LinkMessage {
        let mut there = end(self.there, self.mtu);
        there.attributes.push(LinkAttribute::NetNsFd(self.namespace.as_raw_fd()));
        let data = LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(there)));
        let mut here = end(self.here, self.mtu);
        here.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), data]));
        here
    }
}

fn end((name, mac): (&str, Mac), mtu: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes =
        vec![LinkAttribute::IfName(name.into()), LinkAttribute::Mtu(mtu), LinkAttribute::Address(mac.to_vec())];
    message
}

pub(super) fn up(link: u32, mtu: Option<u32>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = link;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message
}

pub(super) fn address(link: u32, address: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = link;
    message.header.family = family(address);
    message.header.prefix_len = bits(address);
    // Nobody else can have it: looking for a duplicate would only make it unusable for a second.
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    message
}

pub(super) fn any_address() -> AddressMessage {
    AddressMessage::default()
}

pub(super) fn is_global(message: &AddressMessage, link: u32) -> bool {
    message.header.index == link && message.header.scope == AddressScope::Universe
}

pub(super) fn neighbour(link: u32, address: IpAddr, mac: Mac) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = link;
    message.header.state = NeighbourState::Permanent;
    let destination = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes =
        vec![NeighbourAttribute::Destination(destination), NeighbourAttribute::LinkLayerAddress(mac.to_vec())];
    message
}

/// Where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Onto the link, to the destination itself.
    Link(u32),
    /// Onto the link, to this next hop, which need not be within reach of any other route.
    Gateway(u32, IpAddr),
    /// Nowhere: the sender is told that it is unreachable.
    Unreachable,
    /// Nowhere, silently.
    Discard,
}

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// For which packets.
    pub(crate) to: IpNet,
    /// Where they go.
    pub(crate) target: Target,
    /// The source that packets of this machine get which have none yet.
    pub(crate) source: Option<IpAddr>,
    /// Of several routes to the same the lowest is taken; 0 leaves it to the kernel.
    pub(crate) metric: u32,
}

impl Route {
    /// A route that leads nowhere yet.
    pub(crate) fn new(to: IpNet) -> Self {
        Self { to, target: Target::Unreachable, source: None, metric: 0 }
    }

    pub(super) fn message(&self) -> RouteMessage {
        let mut message = route_to(self.to);
        message.header.protocol = RouteProtocol::Static;
        message.header.kind = RouteType::Unicast;
        message.header.scope = RouteScope::Universe;
        let attributes = &mut message.attributes;
        match self.target {
            Target::Link(link) => {
                message.header.scope = RouteScope::Link;
                attributes.push(RouteAttribute::Oif(link));
            }
            Target::Gateway(link, gateway) => {
                message.header.flags = RouteFlags::Onlink;
                attributes.extend([RouteAttribute::Oif(link), RouteAttribute::Gateway(route_address(gateway))]);
            }
            Target::Unreachable => message.header.kind = RouteType::Unreachable,
            Target::Discard => message.header.kind = RouteType::BlackHole,
        }
        if self.metric > 0 {
            attributes.push(RouteAttribute::Priority(self.metric));
        }
        attributes.extend(self.source.map(|source| RouteAttribute::PrefSource(route_address(source))));
        message
    }
}

/// Any route of the main table to this destination.
pub(super) fn route_to(to: IpNet) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(to.addr());
    message.header.destination_prefix_length = to.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.scope = RouteScope::NoWhere;
    if to.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(route_address(to.network())));
    }
    message
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
