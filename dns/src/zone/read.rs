//! What names need of Services and EndpointSlices. Main types: [`Service`], [`Slice`].

use std::net::IpAddr;

use api::kinds::{
    endpoint_slice::SERVICE_NAME,
    read::{items, text},
    service::fields,
};
use api::meta;
use serde_json::Value;

use super::dashed;

/// A Service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    /// Its addresses; none for a headless one.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) headless: bool,
    pub(super) ports: Vec<Port>,
    /// The name it stands for, if it does.
    pub(super) external: Option<String>,
}

/// A named port.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Port {
    pub(super) name: String,
    /// In lower case.
    pub(super) protocol: String,
    pub(super) number: u16,
}

/// The ready endpoints of one EndpointSlice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) ports: Vec<Port>,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Endpoint {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) hostname: Option<String>,
}

impl Service {
    pub(super) fn read(object: &Value) -> Self {
        let external = text(object, "/spec/externalName").trim_end_matches('.').to_ascii_lowercase();
        let is_external = fields::service_type(object) == "ExternalName";
        Self {
            addresses: fields::cluster_ips(object).iter().filter_map(|ip| ip.parse().ok()).collect(),
            headless: fields::is_headless(object),
            ports: ports(fields::ports(object)),
            external: is_external.then_some(external),
        }
    }
}

impl Slice {
    pub(super) fn read(object: &Value) -> Self {
        // An endpoint that does not say whether it is ready is.
        let ready = |one: &&Value| one.pointer("/conditions/ready") != Some(&Value::Bool(false));
        let endpoints = items(object, "/endpoints").iter().filter(ready).map(Endpoint::read);
        Self { ports: ports(items(object, "/ports")), endpoints: endpoints.collect() }
    }
}

impl Endpoint {
    fn read(object: &Value) -> Self {
        let addresses = items(object, "/addresses").iter().filter_map(Value::as_str);
        let hostname = text(object, "/hostname").to_ascii_lowercase();
        Self {
            addresses: addresses.filter_map(|ip| ip.parse().ok()).collect(),
            hostname: (!hostname.is_empty()).then_some(hostname),
        }
    }

    /// Its name below that of its Service, for one of its addresses.
    pub(super) fn hostname(&self, ip: IpAddr) -> String {
        self.hostname.clone().unwrap_or_else(|| dashed(ip))
    }
}

/// The Service that a slice belongs to.
pub(super) fn service_of(slice: &Value) -> Option<&str> {
    meta::label(slice, SERVICE_NAME).filter(|name| !name.is_empty())
}

/// Only ports with names are found by name.
fn ports(all: &[Value]) -> Vec<Port> {
    let port = |port: &Value| {
        let number = u16::try_from(fields::number(port, "port")).ok()?;
        let (name, protocol) = (text(port, "/name"), text(port, "/protocol"));
        let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_ascii_lowercase() };
        (!name.is_empty()).then(|| Port { name: name.to_ascii_lowercase(), protocol, number })
    };
    all.iter().filter_map(port).collect()
}
