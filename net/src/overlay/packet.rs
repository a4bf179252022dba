//! What the overlay looks at in a packet: RFC 791 and RFC 8200 headers, and the Internet checksum (RFC 1071). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of an IPv4 header without options, and of its fields' places.
pub(super) const V4_HEADER: usize = 20;
/// Length of the IPv6 header.
pub(super) const V6_HEADER: usize = 40;

/// Protocol numbers.
pub(super) const TCP: u8 = 6;
pub(super) const ICMP_V4: u8 = 1;
pub(super) const ICMP_V6: u8 = 58;

/// Source and destination of a packet; `None` where it is no whole IP packet.
pub(super) fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 if packet.len() >= V4_HEADER => {
            let whole = usize::from(be16(packet, 2)) == packet.len() && header_v4(packet).is_some();
            let address = |at: usize| Ipv4Addr::from(array::<4>(packet, at)).into();
            whole.then(|| (address(12), address(16)))
        }
        6 if packet.len() >= V6_HEADER => {
            let whole = usize::from(be16(packet, 4)) + V6_HEADER == packet.len();
            let address = |at: usize| Ipv6Addr::from(array::<16>(packet, at)).into();
            whole.then(|| (address(8), address(24)))
        }
        _ => None,
    }
}

/// Destination of a packet that the kernel gave us.
pub(super) fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 if packet.len() >= V4_HEADER => Some(Ipv4Addr::from(array::<4>(packet, 16)).into()),
        6 if packet.len() >= V6_HEADER => Some(Ipv6Addr::from(array::<16>(packet, 24)).into()),
        _ => None,
    }
}

/// Length of an IPv4 header, if it fits the packet.
pub(super) fn header_v4(packet: &[u8]) -> Option<usize> {
    let length = usize::from(packet.first()? & 0xf) * 4;
    (length >= V4_HEADER && length <= packet.len()).then_some(length)
}

/// Two bytes; the caller knows that they are there.
pub(super) fn be16(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// Puts two bytes.
pub(super) fn put16(packet: &mut [u8], at: usize, value: u16) {
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn array<const N: usize>(packet: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|place| packet[at + place])
}

/// The ones' complement sum of these bytes, an odd last one padded by zero.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder().first().map_or(0, |last| u32::from(*last) << 8);
    pairs.map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>() + odd
}

/// The checksum out of sums.
pub(super) fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Writes an IPv4 header's checksum.
pub(super) fn seal_v4(header: &mut [u8]) {
    put16(header, 10, 0);
    let checksum = fold(sum(header));
    put16(header, 10, checksum);
}

/// The sum over the pseudo header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1).
pub(super) fn pseudo(packet: &[u8], protocol: u8, length: usize) -> u32 {
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    sum(addresses) + u32::from(protocol) + length as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_packets_have_ends() {
        let mut v4 = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4];
        let both = |source: &str, to: &str| Some((source.parse().unwrap(), to.parse().unwrap()));
        assert_eq!(ends(&v4), both("10.0.0.1", "10.0.0.2"));
        assert_eq!(destination(&v4), Some("10.0.0.2".parse().unwrap()));
        (0..v4.len()).for_each(|length| assert_eq!(ends(&v4[..length]), None, "{length}"));
        v4[0] = 0x4f;
        assert_eq!(ends(&v4), None, "its header is longer than it is");
        let mut v6 = vec![0; 41];
        (v6[0], v6[5], v6[23], v6[39]) = (0x60, 1, 1, 2);
        assert_eq!(ends(&v6), both("::1", "::2"));
        assert_eq!(ends(&v6[..40]), None);
    }

    #[test]
    fn the_checksum_of_the_standard() {
        // RFC 1071 §3.
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x2_ddf0);
        assert_eq!(fold(0x2_ddf0), !0xddf2);
        assert_eq!(sum(&[1, 2, 3]), 0x0102 + 0x0300);
    }
}
