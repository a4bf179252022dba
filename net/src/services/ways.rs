//! What the node's own processes need beside the table: a route to Services, under the overlay address, and the addresses that
//! the node answers itself. Blocking, in the calling thread's network namespace.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

use super::front::Family;
use crate::netlink::{LOOPBACK, Netlink, Route, Target};
use crate::overlay::OVERLAY_LINK;

/// Leads this machine's own packets for Services towards the overlay: their destination is translated before they leave,
/// and their source is one that all nodes' pods can answer.
///
/// # Errors
/// What the kernel says, `NotFound` where there is no overlay.
pub fn route_services(ranges: &[IpNet], overlay: &[IpAddr]) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let link = netlink.link(OVERLAY_LINK)?.ok_or(io::ErrorKind::NotFound)?;
    for range in ranges {
        let source = overlay.iter().copied().find(|address| Family::of(address) == Family::of(&range.addr()));
        if source.is_some() {
            netlink.set_route(&Route { target: Target::Link(link), source, ..Route::new(*range) })?;
        }
    }
    Ok(())
}

/// Puts addresses on `lo`, so that this machine answers at them.
///
/// # Errors
/// What the kernel says.
pub fn answer_at(addresses: &[IpAddr]) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    addresses.iter().try_for_each(|address| netlink.add_address(LOOPBACK, *address))
}

/// Undoes [`answer_at`]; what is not there is as good.
///
/// # Errors
/// What the kernel says.
pub fn answer_no_more_at(addresses: &[IpAddr]) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    addresses.iter().try_for_each(|address| netlink.delete_address(LOOPBACK, *address))
}
