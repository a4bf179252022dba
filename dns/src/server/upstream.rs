//! Who answers what the zone does not. Main type: [`Upstream`]. Spec: resolv.conf(5).

use std::net::{IpAddr, SocketAddr};

/// Servers that are taken from a file; resolvers of the C library look at as many.
const SERVERS_MAX: usize = 3;

/// Port of DNS.
const PORT: u16 = 53;

/// Servers to forward to, in order of preference. None: nothing else is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Their addresses.
    pub servers: Vec<SocketAddr>,
}

impl Upstream {
    /// The `nameserver` lines of a `resolv.conf`, as far as they are addresses of somebody else.
    #[must_use]
    pub fn from_resolv_conf(text: &str, own: &[IpAddr]) -> Self {
        let address = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            (words.next()? == "nameserver").then_some(())?;
            words.next()?.parse::<IpAddr>().ok()
        };
        let servers = text.lines().filter_map(address).filter(|ip| !own.contains(ip));
        Self { servers: servers.take(SERVERS_MAX).map(|ip| SocketAddr::new(ip, PORT)).collect() }
    }

    /// Without a server's own addresses: it must never ask itself.
    pub(super) fn without(&self, own: &[SocketAddr]) -> Self {
        Self { servers: self.servers.iter().filter(|server| !own.contains(server)).copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_servers_of_others() {
        let text = "# nameserver 1.1.1.1\nsearch x\nnameserver 10.43.0.10\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n\
                    nameserver\t2001:db8::1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let own = ["10.43.0.10".parse().expect("an address")];
        let found = Upstream::from_resolv_conf(text, &own).servers;
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"]);
        assert_eq!(Upstream::from_resolv_conf("", &own), Upstream::default());
    }
}
