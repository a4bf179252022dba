//! Settings of one node: what an operator may put into the configuration file, the environment or flags.
//! All is checked by [`Config::check`] before anything binds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use membership::VoterPreference;
use serde::{Deserialize, Serialize};

/// Smallest and largest prefix of one node's IPv4 pod range: 2 to 32,766 pods.
const NODE_PREFIXES: std::ops::RangeInclusive<u8> = 17..=30;

/// Usable [`Config::voter_dead_seconds`]: shorter is noise, longer is never.
const VOTER_DEAD_SECONDS: std::ops::RangeInclusive<u64> = 2..=86_400;

/// Settings of one node. The cluster's own (ranges, domain) count only where it is founded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Name of the node; empty takes the host's name.
    pub name: String,
    /// Everything the node keeps.
    pub data_dir: PathBuf,
    /// Control endpoint, UDP.
    pub listen: SocketAddr,
    /// API endpoint, TCP.
    pub api_listen: SocketAddr,
    /// Addresses others reach this node at, one a family; empty takes that of the default route.
    pub advertise: Vec<IpAddr>,
    /// Whether this node may vote; unset, it stays as the cluster has it, which is `auto` at first.
    pub voter: Option<VoterPreference>,
    /// Failure zone of this node (`topology.kubernetes.io/zone`); empty, it stays as the cluster has it.
    pub zone: String,
    /// Labels for its Node object.
    pub labels: BTreeMap<String, String>,
    /// Founding only: ranges that nodes' pod ranges are cut from, one a family.
    pub pod_ranges: Vec<IpNet>,
    /// Founding only: ranges of Services' addresses, one a family.
    pub service_ranges: Vec<IpNet>,
    /// Founding only: prefix length of one node's IPv4 pod range.
    pub node_prefix: u8,
    /// Founding only: suffix of Services' DNS names.
    pub domain: String,
    /// Largest quorum: 1, 3 or 5.
    pub max_voters: usize,
    /// A voter silent for so many seconds is replaced by another member, while quorum holds. The leader's setting counts.
    pub voter_dead_seconds: u64,
    /// Whether this node runs pods, which needs root and containerd. Without, it serves the API and has no Node object.
    pub pods: bool,
    /// What a reboot ends: network namespaces, sandboxes, the data plane's socket.
    pub state_dir: PathBuf,
    /// Pods' endpoint, UDP: packets between pods on different nodes.
    pub pods_listen: SocketAddr,
    /// Who runs the containers.
    pub containerd: Containerd,
    /// A file in which `mesh chaos` asks this node to break itself; only nodes that are there to be broken have one.
    pub chaos_hooks: Option<PathBuf>,
    /// The API server's own settings.
    pub api: apiserver::Config,
    /// The agreement's own settings.
    pub consensus: consensus::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            data_dir: PathBuf::from("/var/lib/mesh"),
            listen: (Ipv4Addr::UNSPECIFIED, 7443).into(),
            api_listen: (Ipv4Addr::UNSPECIFIED, 6443).into(),
            advertise: Vec::new(),
            voter: None,
            zone: String::new(),
            labels: BTreeMap::new(),
            pod_ranges: vec![IpNet::new_assert(Ipv4Addr::new(10, 42, 0, 0).into(), 16)],
            service_ranges: vec![IpNet::new_assert(Ipv4Addr::new(10, 43, 0, 0).into(), 16)],
            node_prefix: 24,
            domain: "cluster.local".into(),
            max_voters: membership::voters::MAX_VOTERS,
            voter_dead_seconds: 30,
            pods: true,
            state_dir: PathBuf::from("/run/mesh"),
            pods_listen: (Ipv4Addr::UNSPECIFIED, 7444).into(),
            containerd: Containerd::default(),
            chaos_hooks: None,
            api: apiserver::Config::default(),
            consensus: consensus::Config::default(),
        }
    }
}

/// How containerd is reached. Nodes that share one need a namespace each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Containerd {
    /// Its socket.
    pub socket: PathBuf,
    /// Our namespace in it: what others run there is not ours.
    pub namespace: String,
    /// Who keeps root filesystems: `overlayfs`, or `native` where that does not work.
    pub snapshotter: String,
}

impl Default for Containerd {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/containerd/containerd.sock"),
            namespace: "mesh".into(),
            snapshotter: "overlayfs".into(),
        }
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value} is not usable: {remedy}")]
pub struct ConfigError {
    /// Name of the setting in the configuration file.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What to give instead.
    pub remedy: &'static str,
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let errors: [(bool, &'static str, String, &'static str); 7] = [
            (
                !self.name.is_empty() && !api::names::dns1123_subdomain(&self.name).is_empty(),
                "name",
                format!("{:?}", self.name),
                "use lower case letters, digits, '-' and '.', as in host names",
            ),
            (
                ![1, 3, 5].contains(&self.max_voters),
                "maxVoters",
                self.max_voters.to_string(),
                "give 1, 3 or 5: an even quorum survives no more than the odd one below it",
            ),
            (
                !VOTER_DEAD_SECONDS.contains(&self.voter_dead_seconds),
                "voterDeadSeconds",
                self.voter_dead_seconds.to_string(),
                "give 2 to 86400: gossip needs about two seconds to notice a death",
            ),
            (!NODE_PREFIXES.contains(&self.node_prefix), "nodePrefix", self.node_prefix.to_string(), "give 17 to 30"),
            (
                self.pod_ranges.is_empty() || self.pod_ranges.iter().any(|range| !self.fits(range)),
                "podRanges",
                format!("{:?}", self.pod_ranges),
                "give one range a family, larger than a node's part of it (nodePrefix, /64 for IPv6)",
            ),
            (self.service_ranges.is_empty(), "serviceRanges", "[]".into(), "give one range a family"),
            (
                self.listen.port() == 0 || self.api_listen.port() == 0,
                "listen",
                format!("{} and {}", self.listen, self.api_listen),
                "name the ports: other nodes and kubeconfigs keep them",
            ),
        ];
        match errors.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, field, value, remedy)) => Err(ConfigError { field, value, remedy }),
            None => Ok(()),
        }
    }

    fn fits(&self, range: &IpNet) -> bool {
        range.prefix_len() <= if range.addr().is_ipv4() { self.node_prefix } else { 64 }
    }

    /// Where others reach this node's control endpoint.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.reachable(self.listen)
    }

    /// Where others reach this node's API endpoint.
    pub fn api_addresses(&self) -> Vec<SocketAddr> {
        self.reachable(self.api_listen)
    }

    /// Where others reach this node's pods' endpoint.
    pub fn pod_addresses(&self) -> Vec<SocketAddr> {
        self.reachable(self.pods_listen)
    }

    fn reachable(&self, listen: SocketAddr) -> Vec<SocketAddr> {
        if !self.advertise.is_empty() {
            return self.advertise.iter().map(|ip| SocketAddr::new(*ip, listen.port())).collect();
        }
        let ip = if listen.ip().is_unspecified() { default_route_address() } else { listen.ip() };
        vec![SocketAddr::new(ip, listen.port())]
    }
}

/// The address packets to the outside carry; loopback on a machine without a default route. Sends nothing: connecting
/// a UDP socket only looks up the route. 192.0.2.1 is documentation's (RFC 5737).
fn default_route_address() -> IpAddr {
    let route = || {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok::<_, std::io::Error>(socket.local_addr()?.ip())
    };
    route().unwrap_or(Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), field: Option<&str>) {
        let mut config = Config::default();
        change(&mut config);
        assert_eq!(config.check().err().map(|error| error.field), field);
    }

    #[test]
    fn names_the_setting_that_cannot_work() {
        check(|_| {}, None);
        check(|config| config.name = "Node_1".into(), Some("name"));
        check(|config| config.max_voters = 4, Some("maxVoters"));
        check(|config| config.voter_dead_seconds = 0, Some("voterDeadSeconds"));
        check(|config| config.node_prefix = 8, Some("nodePrefix"));
        check(|config| config.pod_ranges = vec!["10.0.0.0/25".parse().unwrap()], Some("podRanges"));
        check(|config| config.service_ranges.clear(), Some("serviceRanges"));
        check(|config| config.listen.set_port(0), Some("listen"));
    }

    #[test]
    fn advertised_addresses_carry_the_listening_port() {
        let advertise = vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let config = Config { advertise, ..Config::default() };
        assert_eq!(config.addresses(), ["10.0.0.1:7443".parse().unwrap(), "[fd00::1]:7443".parse().unwrap()]);
    }
}
