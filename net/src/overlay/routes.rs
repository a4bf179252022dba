//! Which node has an address: the longest range that contains it. Pure. Main type: [`Routes`].

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;

/// Values by range. A look-up costs one hash per length of range that occurs, which is one or two in a cluster.
#[derive(Debug)]
pub(super) struct Routes<T> {
    /// By length of the range; the longest are looked at first.
    v4: BTreeMap<u8, HashMap<IpAddr, T>>,
    v6: BTreeMap<u8, HashMap<IpAddr, T>>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { v4: BTreeMap::new(), v6: BTreeMap::new() }
    }
}

impl<T> Routes<T> {
    /// Puts a range in; gives back what was there for just that.
    pub(super) fn insert(&mut self, range: IpNet, value: T) -> Option<T> {
        let lengths = match range {
            IpNet::V4(_) => &mut self.v4,
            IpNet::V6(_) => &mut self.v6,
        };
        lengths.entry(range.prefix_len()).or_default().insert(range.network(), value)
    }

    /// What the longest range says that contains this address.
    pub(super) fn find(&self, address: IpAddr) -> Option<&T> {
        let lengths = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        lengths.iter().rev().find_map(|(length, ranges)| {
            let range = IpNet::new(address, *length).ok()?;
            ranges.get(&range.network())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_wins() {
        let mut routes = Routes::default();
        for (range, name) in
            [("10.42.0.0/16", "all"), ("10.42.1.0/24", "one"), ("10.42.1.9/32", "host"), ("fd00::/48", "six")]
        {
            assert_eq!(routes.insert(range.parse().unwrap(), name), None);
        }
        for (address, expect) in [
            ("10.42.1.9", Some("host")),
            ("10.42.1.8", Some("one")),
            ("10.42.2.8", Some("all")),
            ("10.43.0.1", None),
            ("fd00::1", Some("six")),
            ("::1", None),
        ] {
            assert_eq!(routes.find(address.parse().unwrap()).copied(), expect, "{address}");
        }
        assert_eq!(routes.insert("10.42.1.0/24".parse().unwrap(), "other"), Some("one"));
    }
}
