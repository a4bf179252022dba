//! Checks of IP addresses and ranges in fields, in the words of upstream. Main functions: [`ip`], [`range`], [`special`].
//!
//! Parsing is strict: no leading zeros, no IPv4 in IPv6 notation by another name. Leaves out who owns which address.

use std::net::{IpAddr, Ipv6Addr};

/// An address; or what is wrong with the text.
///
/// # Errors
/// The message of a field error.
pub fn ip(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
}

/// A range in CIDR notation: its address as written and the length of the prefix in bits.
///
/// # Errors
/// The message of a field error.
pub fn range(text: &str) -> Result<(IpAddr, u8), &'static str> {
    const WHY: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let (address, length) = text.split_once('/').ok_or(WHY)?;
    let address: IpAddr = address.parse().map_err(|_| WHY)?;
    let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let bits: u8 = length.parse().ok().filter(|_| plain).ok_or(WHY)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits > most { Err(WHY) } else { Ok((address, bits)) }
}

/// Why traffic should not be sent to an address given by a user; `None` where it may. Spec: the special ranges of
/// [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry/) and
/// [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry/).
#[must_use]
pub fn special(address: IpAddr) -> Option<String> {
    let why = match address {
        _ if address.is_unspecified() => return Some(format!("may not be unspecified ({address})")),
        _ if address.is_loopback() => "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        _ if is_link_local(address) => "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        _ if is_link_local_multicast(address) => {
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.octets()[..3] == [224, 0, 0],
        IpAddr::V6(six) => first_two(six) & 0xff0f == 0xff02,
    }
}

const fn first_two(six: Ipv6Addr) -> u16 {
    six.segments()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_sound_addresses_and_ranges_from_others() {
        for (text, good) in
            [("10.0.0.1", true), ("::1", true), ("010.0.0.1", false), ("a", false), ("1.2.3.4/8", false)]
        {
            assert_eq!(ip(text).is_ok(), good, "{text}");
        }
        for (text, good) in [("10.0.0.0/8", true), ("fd00::/64", true), ("10.0.0.0/33", false), ("10.0.0.0", false)] {
            assert_eq!(range(text).is_ok(), good, "{text}");
        }
        assert!(range("10.0.0.0/+8").is_err());
    }

    #[test]
    fn names_why_an_address_is_special() {
        let check = |address: &str, word: Option<&str>| {
            let why = special(address.parse().expect("an address"));
            assert_eq!(why.as_deref().map(|why| word.is_some_and(|word| why.contains(word))), word.map(|_| true));
        };
        check("10.1.2.3", None);
        check("0.0.0.0", Some("unspecified (0.0.0.0)"));
        check("127.0.0.9", Some("loopback"));
        check("169.254.1.1", Some("link-local range"));
        check("fe80::1", Some("link-local range"));
        check("224.0.0.5", Some("multicast"));
        check("ff02::1", Some("multicast"));
    }
}
