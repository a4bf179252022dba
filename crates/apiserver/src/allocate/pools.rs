//! What can be given out: ranges of addresses, and of node ports. Main type: [`Pools`].
//!
//! Both have a lower band for those who ask for a value by name, so that drawn ones seldom are in their way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Smallest lower band of a range; ranges of up to as many values have none.
const BAND_MIN: u128 = 16;

/// Largest lower band of addresses, and its part of the range.
const ADDRESS_BAND: (u128, u128) = (256, 16);

/// Largest lower band of node ports, and its part of the range.
const PORT_BAND: (u128, u128) = (128, 32);

/// Values looked at in one draw before the range counts as full.
const LOOKS: u128 = 65_536;

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Pools {
    addresses: Vec<Range>,
    ports: Range,
    /// As messages tell the range of node ports.
    pub(super) ports_text: String,
}

/// A range as an operator wrote it, which cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} is not a usable range: {why}")]
pub struct PoolError {
    /// What was given.
    pub value: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Consecutive values, of which the first `band` are given only to those who name them while others are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Whether the values are IPv4 addresses (or ports).
    four: bool,
    first: u128,
    count: u128,
    band: u128,
}

impl Pools {
    /// From ranges in CIDR notation, the primary family first, and a range of ports such as `30000-32767`.
    ///
    /// # Errors
    /// The first range that cannot work.
    pub fn new(ranges: &[String], ports: &str) -> Result<Self, PoolError> {
        let addresses = ranges.iter().map(|range| Range::of_addresses(range)).collect::<Result<Vec<_>, _>>()?;
        let error = |why| PoolError { value: ports.to_owned(), why };
        let (first, last) = ports.split_once('-').ok_or_else(|| error("give two ports with a dash between"))?;
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).map(u128::from);
        let (first, last) = port(first).zip(port(last)).ok_or_else(|| error("ports are from 1 to 65535"))?;
        if last < first {
            return Err(error("the first port is above the last"));
        }
        let families = addresses.iter().filter(|range| range.four).count();
        if addresses.is_empty() || families > 1 || addresses.len() - families > 1 {
            return Err(PoolError {
                value: ranges.join(","),
                why: "give one range of each family at most, and one at least",
            });
        }
        Ok(Self {
            addresses,
            ports: Range::new(true, first, last - first + 1, PORT_BAND),
            ports_text: ports.to_owned(),
        })
    }

    /// Families of the ranges, the primary one first.
    #[must_use]
    pub fn families(&self) -> Vec<&'static str> {
        self.addresses.iter().map(|range| if range.four { "IPv4" } else { "IPv6" }).collect()
    }

    /// Whether an address is of one of the ranges.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|range| range.four == ip.is_ipv4() && range.has(number(ip)))
    }

    /// Whether a port is of the range.
    pub(super) fn has_port(&self, port: i64) -> bool {
        u128::try_from(port).is_ok_and(|port| self.ports.has(port))
    }

    /// An address that is free, drawn from a random number.
    pub(super) fn draw_address(&self, four: bool, random: u64, free: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let range = self.addresses.iter().find(|range| range.four == four)?;
        let address = |value: u128| match four {
            true => IpAddr::V4(Ipv4Addr::from(u32::try_from(value).unwrap_or_default())),
            false => IpAddr::V6(Ipv6Addr::from(value)),
        };
        range.draw(random, |value| free(address(value))).map(address)
    }

    /// A port that is free, drawn from a random number.
    pub(super) fn draw_port(&self, random: u64, free: impl Fn(i64) -> bool) -> Option<i64> {
        let port = |value: u128| i64::try_from(value).unwrap_or_default();
        self.ports.draw(random, |value| free(port(value))).map(port)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(four) => u128::from(u32::from(four)),
        IpAddr::V6(six) => u128::from(six),
    }
}

impl Range {
    fn new(four: bool, first: u128, count: u128, (most, part): (u128, u128)) -> Self {
        let band = if count <= BAND_MIN { 0 } else { (count / part).clamp(BAND_MIN, most) };
        Self { four, first, count, band }
    }

    /// All but the first address, and the last of an IPv4 range.
    fn of_addresses(text: &str) -> Result<Self, PoolError> {
        let error = |why| PoolError { value: text.to_owned(), why };
        let (address, bits) = api::address::range(text).map_err(error)?;
        let (four, width) = (address.is_ipv4(), if address.is_ipv4() { 32 } else { 128 });
        let host_bits = width - u32::from(bits);
        if !(2..=64).contains(&host_bits) {
            return Err(error("its prefix leaves too few or too many addresses"));
        }
        let size = 1u128 << host_bits;
        let base = number(address) & !(size - 1);
        let band = Self::new(four, 0, size, ADDRESS_BAND).band;
        Ok(Self { four, first: base + 1, count: size - 1 - u128::from(four), band })
    }

    const fn has(&self, value: u128) -> bool {
        value >= self.first && value - self.first < self.count
    }

    /// The upper band from a random place on, then the lower one.
    fn draw(&self, random: u64, free: impl Fn(u128) -> bool) -> Option<u128> {
        let bands = [(self.first + self.band, self.count - self.band), (self.first, self.band)];
        bands.into_iter().filter(|(_, count)| *count > 0).find_map(|(first, count)| {
            let start = u128::from(random) % count;
            (0..count.min(LOOKS)).map(|step| first + (start + step) % count).find(|value| free(*value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(range: &str, ports: &str) -> Result<Pools, PoolError> {
        Pools::new(&[range.to_owned()], ports)
    }

    #[test]
    fn bands_are_those_of_kubernetes() {
        let check = |range: &str, first: &str, count: u128, band: u128| {
            let range = Range::of_addresses(range).expect("a range");
            let expect = number(first.parse().expect("an address"));
            assert_eq!((range.first, range.count, range.band), (expect, count, band));
        };
        check("10.43.0.0/16", "10.43.0.1", 65_534, 256);
        check("10.0.0.0/24", "10.0.0.1", 254, 16);
        check("10.0.0.0/28", "10.0.0.1", 14, 0);
        check("fd00::/108", "fd00::1", (1 << 20) - 1, 256);
        let ports = pools("10.0.0.0/24", "30000-32767").expect("ranges").ports;
        assert_eq!((ports.first, ports.count, ports.band), (30_000, 2768, 86));
    }

    #[test]
    fn draws_from_the_upper_band_until_it_is_full() {
        let pools = pools("10.0.0.0/24", "30000-30099").expect("ranges");
        let text = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
        assert_eq!(text(pools.draw_address(true, 0, |_| true)), "10.0.0.17");
        assert_eq!(text(pools.draw_address(true, 237, |_| true)), "10.0.0.254");
        let lower = |ip: IpAddr| number(ip) & 0xff <= 16;
        assert_eq!(text(pools.draw_address(true, 3, lower)), "10.0.0.4");
        assert_eq!(pools.draw_address(true, 3, |_| false), None);
        assert_eq!(pools.draw_address(false, 3, |_| true), None);
        assert_eq!(pools.draw_port(0, |_| true), Some(30_016));
    }

    #[test]
    fn refuses_what_cannot_work() {
        for (range, ports) in
            [("10.0.0.0", "1-2"), ("10.0.0.0/32", "1-2"), ("10.0.0.0/24", "2-1"), ("10.0.0.0/24", "x")]
        {
            assert!(pools(range, ports).is_err(), "{range} {ports}");
        }
        assert!(Pools::new(&["10.0.0.0/24".into(), "10.1.0.0/24".into()], "1-2").is_err());
    }
}
