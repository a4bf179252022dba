//! What clients ask, and what becomes of it: from a Service and its slices to one [`Answer`] per [`Front`]. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::choose::{Choice, Policy, Surroundings, choose};
use super::objects::{Protocol, Service, ServicePort, Slice};

/// Endpoints of one port that are looked at: marks leave 16 bits for their number.
pub const ENDPOINTS_LIMIT: usize = 1 << 16;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The address that stands for "any of this node's": 0.0.0.0 or ::.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::from([0; 4]),
            Self::V6 => IpAddr::from([0; 16]),
        }
    }
}

/// What a client asks: an address (unspecified for a port on every node's addresses), a protocol, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Front {
    /// Where.
    pub address: IpAddr,
    /// How.
    pub protocol: Protocol,
    /// Which port.
    pub port: u16,
}

impl Front {
    /// Whether it is a port on the nodes' own addresses.
    pub fn is_node_port(&self) -> bool {
        self.address.is_unspecified()
    }
}

/// What becomes of new connections to a front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They go to one of these; never empty, at most [`ENDPOINTS_LIMIT`].
    Serve {
        /// Where to.
        endpoints: Vec<SocketAddr>,
        /// How long a client sticks to one of them, in seconds.
        affinity_seconds: Option<u32>,
        /// Whether endpoints see this node's overlay address instead of the client's.
        masquerade: bool,
    },
    /// The client is told that nobody serves: TCP reset, ICMP port unreachable.
    Refuse,
    /// The client hears nothing.
    Drop,
}

/// All fronts of a Service.
pub fn answers(service: &Service, slices: &[&Slice], around: &Surroundings) -> BTreeMap<Front, Answer> {
    let mut all = BTreeMap::new();
    let families = service.cluster_ips.iter().map(Family::of);
    for (port, family) in service.ports.iter().flat_map(|port| families.clone().map(move |family| (port, family))) {
        let internal = policy(service.internal_local);
        let external = policy(service.external_local);
        let balancers = service.balancer_ips.iter().map(|ip| (*ip, port.port, external, true));
        let own = service.cluster_ips.iter().map(|ip| (*ip, port.port, internal, false));
        let nodes = (port.node_port != 0).then_some((family.unspecified(), port.node_port, external, true));
        for (address, number, policy, outside) in own.chain(balancers).chain(nodes) {
            if Family::of(&address) == family {
                let front = Front { address, protocol: port.protocol, port: number };
                all.insert(front, answer(service, slices, port, family, policy, outside, around));
            }
        }
    }
    all
}

fn policy(local: bool) -> Policy {
    if local { Policy::Local } else { Policy::Cluster }
}

fn answer(
    service: &Service,
    slices: &[&Slice],
    port: &ServicePort,
    family: Family,
    policy: Policy,
    outside: bool,
    around: &Surroundings,
) -> Answer {
    let mut candidates = Vec::new();
    for slice in slices {
        let fits = |one: &&super::objects::SlicePort| {
            one.name.as_deref().unwrap_or_default() == port.name && one.protocol.unwrap_or_default() == port.protocol
        };
        let Some(number) = slice.ports.iter().find(fits).and_then(|one| one.port) else { continue };
        let fitting = slice.endpoints.iter().filter(|one| Family::of(&one.address) == family);
        candidates.extend(fitting.map(|one| (SocketAddr::new(one.address, number), one)));
    }
    candidates.truncate(ENDPOINTS_LIMIT);
    match choose(&candidates, policy, around) {
        Choice::Endpoints(endpoints) => Answer::Serve {
            endpoints,
            affinity_seconds: service.affinity_seconds,
            masquerade: outside && policy == Policy::Cluster,
        },
        Choice::Nowhere => Answer::Refuse,
        Choice::NotHere => Answer::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::objects::{Endpoint, SlicePort};

    fn service() -> Service {
        Service {
            cluster_ips: vec!["10.43.0.5".parse().unwrap(), "fd00::5".parse().unwrap()],
            ports: vec![
                ServicePort { name: "web".into(), port: 80, node_port: 30080, ..ServicePort::default() },
                ServicePort { name: "dns".into(), protocol: Protocol::Udp, port: 53, ..ServicePort::default() },
            ],
            ..Service::default()
        }
    }

    fn slice(address: &str, node: &str) -> Slice {
        let port = |name: &str, protocol, port| SlicePort {
            name: Some(name.into()),
            protocol: Some(protocol),
            port: Some(port),
        };
        Slice {
            service: "web".into(),
            ports: vec![port("web", Protocol::Tcp, 8080), port("dns", Protocol::Udp, 5353)],
            endpoints: vec![Endpoint {
                address: address.parse().unwrap(),
                ready: true,
                serving: true,
                terminating: false,
                node: Some(node.into()),
                zones: Vec::new(),
                nodes: Vec::new(),
            }],
        }
    }

    /// Fronts as `address/protocol/port -> what`.
    fn check(service: &Service, slices: &[Slice], expect: &[&str]) {
        let around = Surroundings { node: "here".into(), ..Surroundings::default() };
        let slices: Vec<_> = slices.iter().collect();
        let told = answers(service, &slices, &around).into_iter().map(|(front, answer)| {
            let what = match answer {
                Answer::Serve { endpoints, masquerade, .. } => format!("{endpoints:?} {masquerade}"),
                other => format!("{other:?}"),
            };
            format!("{}/{}/{} {what}", front.address, front.protocol.number(), front.port)
        });
        assert_eq!(told.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn every_family_and_port_has_its_endpoints() {
        check(
            &service(),
            &[slice("10.42.0.7", "here"), slice("fd01::7", "n2")],
            &[
                "0.0.0.0/6/30080 [10.42.0.7:8080] true",
                "10.43.0.5/6/80 [10.42.0.7:8080] false",
                "10.43.0.5/17/53 [10.42.0.7:5353] false",
                "::/6/30080 [[fd01::7]:8080] true",
                "fd00::5/6/80 [[fd01::7]:8080] false",
                "fd00::5/17/53 [[fd01::7]:5353] false",
            ],
        );
    }

    #[test]
    fn no_endpoints_are_told_and_none_here_is_silent() {
        let single = Service { cluster_ips: vec!["10.43.0.5".parse().unwrap()], ..service() };
        check(&single, &[], &["0.0.0.0/6/30080 Refuse", "10.43.0.5/6/80 Refuse", "10.43.0.5/17/53 Refuse"]);
        let local = Service { external_local: true, ..single.clone() };
        let elsewhere =
            ["0.0.0.0/6/30080 Drop", "10.43.0.5/6/80 [10.42.0.7:8080] false", "10.43.0.5/17/53 [10.42.0.7:5353] false"];
        check(&local, &[slice("10.42.0.7", "n2")], &elsewhere);
        let balanced = Service { balancer_ips: vec!["192.0.2.1".parse().unwrap()], ..single };
        check(
            &balanced,
            &[slice("10.42.0.7", "n2")],
            &[
                "0.0.0.0/6/30080 [10.42.0.7:8080] true",
                "10.43.0.5/6/80 [10.42.0.7:8080] false",
                "10.43.0.5/17/53 [10.42.0.7:5353] false",
                "192.0.2.1/6/80 [10.42.0.7:8080] true",
                "192.0.2.1/17/53 [10.42.0.7:5353] true",
            ],
        );
    }
}
