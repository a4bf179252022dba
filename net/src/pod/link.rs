//! The kernel's side of a pod's network: namespace, veth pair, addresses, routes. Each step may be done again.
//!
//! A pod's next hop is `169.254.1.1` and `fe80::1`, which nobody has: both ends of the pair know each other's Ethernet address
//! for ever, so nothing is asked for by ARP or neighbour discovery, and no proxy has to answer.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    key::sha256,
    netlink::{LOOPBACK, Mac, Netlink, Route, Target, Veth},
    netns::{self, Namespace},
};

/// Names of the nodes' ends of pods' links begin so, and no others do.
pub const HOST_LINK_PREFIX: &str = "pod";

/// Name of a pod's own end.
const POD_LINK: &str = "eth0";

/// All nodes' ends have this address: each pod sees only its own. Set from the start, it is left alone by udev.
const HOST_MAC: Mac = [0xee; 6];

/// A pod's next hop.
const GATEWAY_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const GATEWAY_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

/// What is to be attached.
pub(super) struct Pod<'a> {
    pub(super) uid: &'a str,
    /// Where its namespace is mounted.
    pub(super) path: &'a Path,
    pub(super) addresses: &'a [IpAddr],
    pub(super) mtu: u32,
}

/// Attaches a pod, or makes it whole. The calling thread changes its namespace.
pub(super) fn attach(pod: &Pod<'_>, node: &Namespace) -> io::Result<()> {
    let namespace = match Namespace::mounted(pod.path)? {
        Some(namespace) => namespace,
        None => netns::create(pod.path)?,
    };
    namespace.enter()?;
    let mut inside = Netlink::open()?;
    inside.set_up(LOOPBACK, None)?;
    let (name, mac) = (host_link(pod.uid), pod_mac(pod.uid));
    if inside.link(POD_LINK)?.is_none() {
        node.enter()?;
        let mut outside = Netlink::open()?;
        // One without its peer is of an earlier pod of this UID.
        if let Some(stale) = outside.link(&name)? {
            outside.delete_link(stale)?;
        }
        let ends = Veth { here: (&name, HOST_MAC), there: (POD_LINK, mac), namespace: namespace.as_fd(), mtu: pod.mtu };
        outside.add_veth(&ends)?;
        namespace.enter()?;
    }
    attach_inside(pod, &mut inside)?;
    node.enter()?;
    attach_outside(pod, &name, mac)
}

/// The pod's side: its addresses, and everything else by way of the node.
fn attach_inside(pod: &Pod<'_>, netlink: &mut Netlink) -> io::Result<()> {
    let link = found(netlink.link(POD_LINK)?)?;
    if pod.addresses.iter().any(IpAddr::is_ipv6) {
        set("ipv6/conf/eth0/disable_ipv6", "0")?;
        set("ipv6/conf/eth0/accept_ra", "0")?;
        set("ipv6/conf/eth0/accept_dad", "0")?;
    }
    netlink.set_up(link, Some(pod.mtu))?;
    for address in pod.addresses {
        let (gateway, all) = match address {
            IpAddr::V4(_) => (GATEWAY_V4, IpNet::V4(Ipv4Net::default())),
            IpAddr::V6(_) => (GATEWAY_V6, IpNet::V6(Ipv6Net::default())),
        };
        netlink.add_address(link, *address)?;
        netlink.set_neighbour(link, gateway, HOST_MAC)?;
        netlink.set_route(&Route { target: Target::Gateway(link, gateway), ..Route::new(all) })?;
    }
    Ok(())
}

/// The node's side: a route to each address, and none from any other.
fn attach_outside(pod: &Pod<'_>, name: &str, mac: Mac) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let link = found(netlink.link(name)?)?;
    // A pod that sends from an address which is not its own is not heard.
    set(&format!("ipv4/conf/{name}/rp_filter"), "1")?;
    netlink.set_up(link, Some(pod.mtu))?;
    for address in pod.addresses {
        netlink.set_neighbour(link, *address, mac)?;
        netlink.set_route(&Route { target: Target::Link(link), ..Route::new(IpNet::from(*address)) })?;
    }
    Ok(())
}

/// Detaches a pod; one that is not attached is as good. The calling thread changes its namespace.
pub(super) fn detach(uid: &str, path: &Path, node: &Namespace) -> io::Result<()> {
    netns::apart(|| {
        node.enter()?;
        let mut netlink = Netlink::open()?;
        // With the link go its peer and the routes.
        match netlink.link(&host_link(uid))? {
            Some(link) => netlink.delete_link(link),
            None => Ok(()),
        }
    })?;
    netns::remove(path)
}

/// The addresses that a pod has.
pub(super) fn addresses(pod: &Namespace) -> io::Result<Vec<IpAddr>> {
    netns::apart(|| {
        pod.enter()?;
        let mut netlink = Netlink::open()?;
        match netlink.link(POD_LINK)? {
            Some(link) => netlink.addresses(link),
            None => Ok(Vec::new()),
        }
    })
}

/// Lets the calling thread's namespace forward packets, and answers for addresses that no pod has.
pub(super) fn prepare_node(ranges: &[IpNet]) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    if ranges.iter().any(|range| matches!(range, IpNet::V4(_))) {
        set("ipv4/ip_forward", "1")?;
    }
    if ranges.iter().any(|range| matches!(range, IpNet::V6(_))) {
        keep_router_advertisements()?;
        set("ipv6/conf/all/forwarding", "1")?;
    }
    ranges.iter().try_for_each(|range| netlink.set_route(&Route::new(*range)))
}

/// Takes back the routes of [`prepare_node`]; forwarding stays, others may rely on it by now.
pub(super) fn release_node(ranges: &[IpNet], node: &Namespace) -> io::Result<()> {
    node.enter()?;
    let mut netlink = Netlink::open()?;
    ranges.iter().try_for_each(|range| netlink.delete_route(*range))
}

/// A machine that forwards stops listening to routers, and would lose its own default route (`accept_ra`: 1 is "unless it
/// forwards", 2 is "always").
fn keep_router_advertisements() -> io::Result<()> {
    for link in fs::read_dir("/proc/sys/net/ipv6/conf")? {
        let path = link?.path().join("accept_ra");
        if fs::read_to_string(&path)?.trim() == "1" {
            fs::write(&path, "2")?;
        }
    }
    Ok(())
}

/// Sets a network parameter of the calling thread's namespace.
fn set(parameter: &str, value: &str) -> io::Result<()> {
    let path = Path::new("/proc/sys/net").join(parameter);
    let explained = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::read_to_string(&path).map_err(explained)?.trim() == value {
        true => Ok(()),
        false => fs::write(&path, value).map_err(explained),
    }
}

fn found(link: Option<u32>) -> io::Result<u32> {
    link.ok_or_else(|| io::Error::other("the pod's link was removed by somebody else"))
}

/// Name of the node's end: the prefix and 12 digits of the UID's hash, which fit a link's 15.
fn host_link(uid: &str) -> String {
    let digits: String = sha256(&[uid.as_bytes()])[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{HOST_LINK_PREFIX}{digits}")
}

/// The pod's Ethernet address: locally administered, of one machine.
fn pod_mac(uid: &str) -> Mac {
    let hash = sha256(&[b"mac", uid.as_bytes()]);
    [0x02, hash[0], hash[1], hash[2], hash[3], hash[4]]
}
