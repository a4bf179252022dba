//! Which address comes next. Main type: [`Pool`], one range and the place where to look on.
//!
//! Addresses are handed out in their order, round and round, so that one which was freed comes again as late as
//! possible: peers, resolvers and connection tracking may still think of its former pod.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

/// The node's own address is the range's second: the first names the range, or any of its routers (RFC 4291 §2.6.1).
const OVERLAY: u128 = 1;

/// The address by which this range's node is known within the cluster: its first usable one. No pod ever gets it.
/// `None` where the range has no room for it and one pod (IPv4: `/30`, IPv6: `/126` and longer have little or none).
pub fn overlay_address(range: IpNet) -> Option<IpAddr> {
    (last(range) > OVERLAY).then(|| at(range, OVERLAY))
}

/// The addresses of one range.
#[derive(Debug)]
pub(super) struct Pool {
    range: IpNet,
    /// Offset of the address to look at first.
    next: u128,
}

impl Pool {
    pub(super) fn new(range: IpNet) -> Self {
        Self { range: range.trunc(), next: OVERLAY + 1 }
    }

    pub(super) fn range(&self) -> IpNet {
        self.range
    }

    /// Goes on behind this address, if it is one of the range.
    pub(super) fn skip_to(&mut self, address: IpAddr) {
        if self.range.contains(&address) {
            self.next = self.wrapped(offset(self.range, address));
        }
    }

    /// The address to look at first.
    pub(super) fn next(&self) -> IpAddr {
        at(self.range, self.next)
    }

    /// Takes the next address that is not in use; `None` where all are.
    pub(super) fn take(&mut self, used: &BTreeSet<IpAddr>) -> Option<IpAddr> {
        let size = last(self.range).saturating_sub(OVERLAY);
        // One more than are in use is enough to find a free one.
        let tries = size.min(used.len() as u128 + 1);
        for _ in 0..tries {
            let address = at(self.range, self.next);
            self.next = self.wrapped(self.next + 1);
            if !used.contains(&address) {
                return Some(address);
            }
        }
        None
    }

    fn wrapped(&self, offset: u128) -> u128 {
        if offset > OVERLAY && offset <= last(self.range) { offset } else { OVERLAY + 1 }
    }
}

/// Offset of the last address a pod may have: IPv4 ends with the broadcast address.
fn last(range: IpNet) -> u128 {
    match range {
        IpNet::V4(range) => u128::from(u32::from(range.broadcast()) - u32::from(range.network())).saturating_sub(1),
        IpNet::V6(range) => u128::from(range.broadcast()) - u128::from(range.network()),
    }
}

fn at(range: IpNet, offset: u128) -> IpAddr {
    match range {
        // Offsets stay below the range's size, which fits.
        IpNet::V4(range) => Ipv4Addr::from(u32::from(range.network()).wrapping_add(offset as u32)).into(),
        IpNet::V6(range) => Ipv6Addr::from(u128::from(range.network()).wrapping_add(offset)).into(),
    }
}

fn offset(range: IpNet, address: IpAddr) -> u128 {
    match (range, address) {
        (IpNet::V4(range), IpAddr::V4(address)) => u128::from(u32::from(address) - u32::from(range.network())),
        (IpNet::V6(range), IpAddr::V6(address)) => u128::from(address) - u128::from(range.network()),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    /// Takes as many as asked, freeing none; addresses by their last number.
    fn check(text: &str, used: &[&str], expect: &[&str]) {
        let mut used: BTreeSet<IpAddr> = used.iter().map(|address| address.parse().unwrap()).collect();
        let mut pool = Pool::new(range(text));
        let mut taken = Vec::new();
        while let Some(address) = (taken.len() < 4).then(|| pool.take(&used)).flatten() {
            used.insert(address);
            taken.push(address.to_string());
        }
        assert_eq!(taken, expect, "{text}");
    }

    #[test]
    fn network_broadcast_and_overlay_address_are_never_given_out() {
        check("10.42.1.0/24", &[], &["10.42.1.2", "10.42.1.3", "10.42.1.4", "10.42.1.5"]);
        check("10.42.1.0/29", &["10.42.1.3"], &["10.42.1.2", "10.42.1.4", "10.42.1.5", "10.42.1.6"]);
        check("10.42.1.0/30", &[], &["10.42.1.2"]);
        check("10.42.1.0/31", &[], &[]);
        check("10.42.1.0/32", &[], &[]);
        check("fd00::/64", &[], &["fd00::2", "fd00::3", "fd00::4", "fd00::5"]);
        check("fd00::/126", &[], &["fd00::2", "fd00::3"]);
        check("fd00::/128", &[], &[]);
    }

    #[test]
    fn a_freed_address_comes_again_last() {
        let mut pool = Pool::new(range("10.0.0.0/29"));
        let mut used = BTreeSet::new();
        let mut taken = Vec::new();
        for _ in 0..12 {
            let address = pool.take(&used).unwrap();
            taken.push(address.to_string().chars().last().unwrap());
            // Only the newest is in use.
            used = BTreeSet::from([address]);
        }
        assert_eq!(taken.iter().collect::<String>(), "234562345623");
    }

    #[test]
    fn the_overlay_address_is_the_first_usable_one() {
        for (text, expect) in
            [("10.42.1.0/24", Some("10.42.1.1")), ("fd00:1::/64", Some("fd00:1::1")), ("10.0.0.0/31", None)]
        {
            assert_eq!(overlay_address(range(text)), expect.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn the_place_to_go_on_from_stays_within_the_range() {
        let mut pool = Pool::new(range("10.0.0.0/29"));
        for (from, expect) in
            [("10.0.0.5", "10.0.0.5"), ("10.0.0.7", "10.0.0.2"), ("10.9.9.9", "10.0.0.2"), ("10.0.0.1", "10.0.0.2")]
        {
            pool.skip_to(from.parse().unwrap());
            assert_eq!(pool.next().to_string(), expect, "{from}");
        }
    }
}
