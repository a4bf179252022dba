//! What the data plane reads of Services and EndpointSlices: their fields that decide where packets go.
//! Main types: [`Service`], [`Slice`]. Spec: <https://kubernetes.io/docs/reference/networking/virtual-ips/>.
//!
//! Left out: `externalIPs` (off by default, CVE-2020-8554), addresses of type FQDN, and every address of an endpoint but
//! its first (the API says that all are alike).

mod raw;

use std::{fmt, net::IpAddr};

use raw::{RawEndpoint, RawService, RawSlice};
use serde::Deserialize;

/// `spec.clusterIP` of a headless Service.
const NO_ADDRESS: &str = "None";

/// How long a client sticks to an endpoint unless the Service says (upstream's default), in seconds.
const AFFINITY_SECONDS: u32 = 10_800;

/// Transport protocols that Services know, by their IP protocol number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Protocol {
    /// RFC 9293.
    #[default]
    Tcp = 6,
    /// RFC 768.
    Udp = 17,
    /// RFC 9260.
    Sctp = 132,
}

impl Protocol {
    /// Its number in an IP header.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// From its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Bytes that are no such object.
#[derive(Debug, thiserror::Error)]
#[error("not a readable {kind}")]
pub struct Unreadable {
    kind: &'static str,
    source: serde_json::Error,
}

/// One port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name, empty where there is only one.
    pub name: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its number on the Service's own addresses.
    pub port: u16,
    /// Its number on every node's addresses; 0 where it has none.
    pub node_port: u16,
}

/// A Service that has virtual addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its own addresses, one a family.
    pub cluster_ips: Vec<IpAddr>,
    /// Addresses that a load balancer gave it.
    pub balancer_ips: Vec<IpAddr>,
    /// What it serves.
    pub ports: Vec<ServicePort>,
    /// How long a client sticks to an endpoint, in seconds.
    pub affinity_seconds: Option<u32>,
    /// `internalTrafficPolicy: Local`: clients within the cluster get endpoints of their own node only.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`: clients from outside get endpoints of the node that they asked only.
    pub external_local: bool,
}

/// One port of a slice's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SlicePort {
    /// The Service port's name.
    pub name: Option<String>,
    /// How it is spoken to.
    pub protocol: Option<Protocol>,
    /// Its number.
    pub port: Option<u16>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub address: IpAddr,
    /// Wants new connections.
    pub ready: bool,
    /// Answers, although it may be about to end.
    pub serving: bool,
    /// Is about to end.
    pub terminating: bool,
    /// The node it is on.
    pub node: Option<String>,
    /// Zones that should use it; none where all may.
    pub zones: Vec<String>,
    /// Nodes that should use it; none where all may.
    pub nodes: Vec<String>,
}

/// Endpoints of one Service in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The Service's name, in the slice's own namespace.
    pub service: String,
    /// Ports of all its endpoints.
    pub ports: Vec<SlicePort>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Service {
    /// Reads an object; `None` where it has no virtual address or another proxy serves it.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(json: &[u8]) -> Result<Option<Self>, Unreadable> {
        let raw: RawService = serde_json::from_slice(json).map_err(|source| Unreadable { kind: "Service", source })?;
        let spec = raw.spec;
        let has_address = !spec.cluster_ip.is_empty() && spec.cluster_ip != NO_ADDRESS;
        if !has_address || spec.r#type == "ExternalName" || raw.metadata.is_anothers() {
            return Ok(None);
        }
        let own = if spec.cluster_ips.is_empty() { vec![spec.cluster_ip] } else { spec.cluster_ips };
        let sticky = (spec.session_affinity == "ClientIP").then(|| {
            let config = spec.session_affinity_config.and_then(|config| config.client_ip);
            config.and_then(|config| config.timeout_seconds).unwrap_or(AFFINITY_SECONDS)
        });
        let balanced = raw.status.load_balancer.ingress.into_iter();
        Ok(Some(Self {
            cluster_ips: own.iter().filter_map(|ip| ip.parse().ok()).collect(),
            // `Proxy`: the balancer's packets do not carry the Service's address.
            balancer_ips: balanced
                .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
                .filter_map(|ingress| ingress.ip?.parse().ok())
                .collect(),
            ports: spec.ports,
            affinity_seconds: sticky,
            internal_local: spec.internal_traffic_policy == "Local",
            external_local: spec.external_traffic_policy == "Local",
        }))
    }
}

impl Slice {
    /// Reads an object; `None` where it belongs to no Service that is served here.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(json: &[u8]) -> Result<Option<Self>, Unreadable> {
        let raw: RawSlice =
            serde_json::from_slice(json).map_err(|source| Unreadable { kind: "EndpointSlice", source })?;
        let service = raw.metadata.labels.service.clone().unwrap_or_default();
        if service.is_empty() || raw.address_type == "FQDN" || raw.metadata.is_anothers() {
            return Ok(None);
        }
        let endpoints = raw.endpoints.unwrap_or_default().into_iter().filter_map(RawEndpoint::read);
        Ok(Some(Self { service, ports: raw.ports.unwrap_or_default(), endpoints: endpoints.collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(json: serde_json::Value) -> Option<Service> {
        Service::read(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_service_without_virtual_addresses_is_nobodys_here() {
        let with = |spec: serde_json::Value| service(serde_json::json!({ "metadata": {}, "spec": spec }));
        assert_eq!(with(serde_json::json!({ "clusterIP": "None" })), None);
        assert_eq!(with(serde_json::json!({ "type": "ExternalName", "externalName": "a.b" })), None);
        assert!(with(serde_json::json!({ "clusterIP": "10.43.0.5" })).is_some());
        let labels = serde_json::json!({ "service.kubernetes.io/service-proxy-name": "x" });
        let spec = serde_json::json!({ "clusterIP": "10.43.0.5" });
        assert_eq!(service(serde_json::json!({ "metadata": { "labels": labels }, "spec": spec })), None);
    }

    #[test]
    fn a_service_is_read_with_upstreams_defaults() {
        let read = service(serde_json::json!({
            "spec": {
                "clusterIP": "10.43.0.5", "clusterIPs": ["10.43.0.5", "fd00::5"], "sessionAffinity": "ClientIP",
                "externalTrafficPolicy": "Local", "ports": [{ "port": 80, "nodePort": 30080, "protocol": "UDP" }],
            },
            "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }, { "ip": "192.0.2.2", "ipMode": "Proxy" }] } },
        }))
        .unwrap();
        assert_eq!((read.cluster_ips.len(), read.affinity_seconds), (2, Some(AFFINITY_SECONDS)));
        assert_eq!(read.balancer_ips, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((read.internal_local, read.external_local), (false, true));
        assert_eq!((read.ports[0].protocol, read.ports[0].node_port), (Protocol::Udp, 30080));
    }

    #[test]
    fn what_a_slice_leaves_out_means_ready() {
        let json = serde_json::json!({
            "metadata": { "labels": { "kubernetes.io/service-name": "web" } }, "addressType": "IPv4", "ports": [{ "port": 8080 }],
            "endpoints": [
                { "addresses": ["10.42.0.7"] },
                { "addresses": ["10.42.0.8"], "conditions": { "ready": false }, "nodeName": "n2" },
            ],
        });
        let slice = Slice::read(json.to_string().as_bytes()).unwrap().unwrap();
        let states: Vec<_> = slice.endpoints.iter().map(|one| (one.ready, one.serving, one.terminating)).collect();
        assert_eq!(states, [(true, true, false), (false, false, false)]);
        assert_eq!(slice.service, "web");
    }

    #[test]
    fn slices_without_a_service_or_without_addresses_are_left_alone() {
        for labels in [
            serde_json::json!({}),
            serde_json::json!({ "kubernetes.io/service-name": "web", "service.kubernetes.io/headless": "" }),
        ] {
            let json =
                serde_json::json!({ "metadata": { "labels": labels }, "addressType": "IPv4", "endpoints": null });
            assert_eq!(Slice::read(json.to_string().as_bytes()).unwrap(), None);
        }
        assert!(Slice::read(b"[]").is_err());
    }
}
