//! Which names there are and what they lead to: built from Services and EndpointSlices, one changed object at a time.
//! Main type: [`Zone`]. Spec: <https://github.com/kubernetes/dns/blob/master/docs/specification.md>, version 1.1.0.
//!
//! Pure; knows nothing of the wire. A change costs what the changed object has, a question what its answer has.
//! Leaves out: names outside of the cluster's domain and of its addresses, which the server forwards.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

mod answer;
mod read;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Data, Kind, Record};
use read::{Service, Slice};

/// Lifetime of every record of ours, in seconds: CoreDNS' default.
pub const TTL: u32 = 5;

/// An object that changed.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What it is.
    pub kind: Object,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// As it is now; `None` where it is gone.
    pub object: Option<&'a Value>,
}

/// Kinds that names are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
}

/// All names of a cluster.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Labels of the cluster's domain, in lower case, from the left.
    domain: Vec<String>,
    /// By namespace and name.
    services: HashMap<String, HashMap<String, Entry>>,
    /// Which Service a slice belongs to, by its namespace and name.
    owners: HashMap<(String, String), String>,
    /// Names of addresses, for questions the other way round.
    reverse: HashMap<IpAddr, BTreeSet<String>>,
    /// Rises with every change.
    serial: u32,
}

/// A Service and its slices; either may come first.
#[derive(Clone, Debug, Default)]
struct Entry {
    service: Option<Service>,
    slices: BTreeMap<String, Slice>,
}

impl Zone {
    /// A zone without Services.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        let labels = domain.trim_matches('.').split('.').map(str::to_ascii_lowercase);
        Self {
            domain: labels.filter(|label| !label.is_empty()).collect(),
            services: HashMap::new(),
            owners: HashMap::new(),
            reverse: HashMap::new(),
            serial: 1,
        }
    }

    /// Its domain, without a dot at the end.
    #[must_use]
    pub fn domain(&self) -> String {
        self.domain.join(".")
    }

    /// How many Services are known.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services.values().map(HashMap::len).sum()
    }

    /// Takes in one object. Doing it again changes nothing but the serial number.
    pub fn apply(&mut self, change: Change<'_>) {
        self.serial = self.serial.wrapping_add(1);
        match change.kind {
            Object::Service => {
                let service = change.object.map(Service::read);
                self.edit(change.namespace, change.name, |entry| entry.service = service);
            }
            Object::EndpointSlice => self.apply_slice(change),
        }
    }

    /// A slice may also have changed its Service.
    fn apply_slice(&mut self, change: Change<'_>) {
        let key = (change.namespace.to_owned(), change.name.to_owned());
        let owner = change.object.and_then(read::service_of);
        if let Some(former) = self.owners.remove(&key).filter(|former| Some(former.as_str()) != owner) {
            self.edit(change.namespace, &former, |entry| _ = entry.slices.remove(change.name));
        }
        if let Some((object, owner)) = change.object.zip(owner) {
            let slice = Slice::read(object);
            self.edit(change.namespace, owner, |entry| _ = entry.slices.insert(change.name.to_owned(), slice));
            self.owners.insert(key, owner.to_owned());
        }
    }

    /// Changes an entry, and the names of its addresses with it; an empty one goes.
    fn edit(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut Entry)) {
        let of_namespace = self.services.entry(namespace.to_owned()).or_default();
        let entry = of_namespace.entry(name.to_owned()).or_default();
        let before = entry.pointers(namespace, name);
        change(entry);
        let after = entry.pointers(namespace, name);
        if entry.service.is_none() && entry.slices.is_empty() {
            of_namespace.remove(name);
        }
        if of_namespace.is_empty() {
            self.services.remove(namespace);
        }
        for (ip, name) in before.difference(&after) {
            if let Some(names) = self.reverse.get_mut(ip) {
                names.remove(name);
                if names.is_empty() {
                    self.reverse.remove(ip);
                }
            }
        }
        for (ip, name) in after.difference(&before) {
            self.reverse.entry(*ip).or_default().insert(name.clone());
        }
    }
}

impl Entry {
    /// Addresses and the names they have, below `svc.<domain>`.
    fn pointers(&self, namespace: &str, name: &str) -> BTreeSet<(IpAddr, String)> {
        let Some(service) = &self.service else { return BTreeSet::new() };
        let own = service.addresses.iter().map(|ip| (*ip, format!("{name}.{namespace}")));
        let headless = service.headless.then_some(&self.slices).into_iter().flat_map(BTreeMap::values);
        let endpoints = headless.flat_map(|slice| &slice.endpoints).flat_map(|endpoint| {
            let pointer = move |ip: &IpAddr| (*ip, format!("{}.{name}.{namespace}", endpoint.hostname(*ip)));
            endpoint.addresses.iter().map(pointer)
        });
        own.chain(endpoints).collect()
    }
}

/// An address with dashes, as names of pods and of endpoints without a hostname have it.
fn dashed(ip: IpAddr) -> String {
    ip.to_string().replace(['.', ':'], "-")
}

/// The reverse of [`dashed`], also in the long form of IPv6.
fn undashed(label: &str) -> Option<IpAddr> {
    let four = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    four.or_else(|_| label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6)).ok()
}
