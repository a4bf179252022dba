//! Answers to questions. Main function: [`Zone::answer`]; main type: [`Answer`].
//!
//! A name that exists but has no record of the wanted kind (no data) is told apart from one that does not exist: a
//! resolver gives up its search for the latter only. A name exists too if there is one below it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::read::{Endpoint, Port, Service};
use super::{Entry, Zone, undashed};

/// Version of the specification that the names follow.
const SCHEMA: &str = "1.1.0";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Ports and who serves them.
    Srv,
    /// The name it stands for.
    Cname,
    /// The name of an address.
    Ptr,
    /// Text.
    Txt,
    /// The zone's authority.
    Soa,
    /// The zone's servers.
    Ns,
    /// Anything else, of which there is nothing.
    Other,
}

/// What a record holds. Names are whole, in lower case, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    Address(IpAddr),
    /// A port of a host.
    Srv {
        /// Port.
        port: u16,
        /// Host.
        target: String,
        /// Its share among all, out of 100.
        weight: u16,
    },
    /// Another name.
    Cname(String),
    /// The name of an address.
    Ptr(String),
    /// Text.
    Txt(String),
    /// The zone's authority, with its serial number.
    Soa(u32),
    /// A server.
    Ns(String),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name it is of; `None`: the one that was asked for, spelt as it was.
    pub name: Option<String>,
    /// What it holds.
    pub data: Data,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These, and what helps further.
    Found {
        /// Of the name asked for.
        records: Vec<Record>,
        /// Of others.
        additional: Vec<Record>,
    },
    /// The name stands for another one, which may be anywhere.
    Alias(String),
    /// The name exists; nothing of this kind is there.
    NoData,
    /// There is no such name.
    NoName,
    /// Not ours to answer.
    Foreign,
}

/// Finds hosts below a Service's name.
enum Part<'a> {
    Service,
    Host(&'a str),
    Protocol(&'a str),
    Port { port: &'a str, protocol: &'a str },
}

impl Answer {
    fn of(data: impl IntoIterator<Item = Data>) -> Self {
        let records: Vec<Record> = data.into_iter().map(|data| Record { name: None, data }).collect();
        if records.is_empty() { Self::NoData } else { Self::Found { records, additional: Vec::new() } }
    }
}

impl Zone {
    /// Answers a question for a name, given as labels from the left, in lower case.
    #[must_use]
    pub fn answer(&self, labels: &[&str], kind: Kind) -> Answer {
        if let [.., last, "arpa"] = labels
            && matches!(*last, "in-addr" | "ip6")
        {
            return self.pointer(labels, kind);
        }
        let Some(split) = labels.len().checked_sub(self.domain.len()) else { return Answer::Foreign };
        if self.domain.iter().zip(&labels[split..]).any(|(ours, asked)| ours != asked) {
            return Answer::Foreign;
        }
        self.within(&labels[..split], kind)
    }

    /// A question within the domain.
    fn within(&self, labels: &[&str], kind: Kind) -> Answer {
        match labels {
            [] => self.apex(kind),
            ["dns-version"] => only(kind == Kind::Txt, [Data::Txt(SCHEMA.to_owned())]),
            ["ns", "dns"] | ["svc" | "pod" | "dns"] => Answer::NoData,
            [namespace, "svc"] if self.services.contains_key(*namespace) => Answer::NoData,
            [_, "pod"] => Answer::NoData,
            [pod, _, "pod"] => undashed(pod).map_or(Answer::NoName, |ip| addresses([ip], kind)),
            [service, namespace, "svc"] => self.service(namespace, service, Part::Service, kind),
            [port, protocol, service, namespace, "svc"] => match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
                (Some(port), Some(protocol)) => self.service(namespace, service, Part::Port { port, protocol }, kind),
                _ => Answer::NoName,
            },
            [host, service, namespace, "svc"] => {
                let part = host.strip_prefix('_').map_or(Part::Host(host), Part::Protocol);
                self.service(namespace, service, part, kind)
            }
            _ => Answer::NoName,
        }
    }

    /// The record that tells how long negative answers hold.
    #[must_use]
    pub fn authority(&self) -> Record {
        Record { name: Some(self.domain()), data: Data::Soa(self.serial) }
    }

    fn apex(&self, kind: Kind) -> Answer {
        match kind {
            Kind::Soa => Answer::of([Data::Soa(self.serial)]),
            Kind::Ns => Answer::of([Data::Ns(format!("ns.dns.{}", self.domain()))]),
            _ => Answer::NoData,
        }
    }

    /// The names of an address; addresses that have none are somebody else's.
    fn pointer(&self, labels: &[&str], kind: Kind) -> Answer {
        let names = reversed(labels).and_then(|ip| self.reverse.get(&ip));
        let Some(names) = names else { return Answer::Foreign };
        let domain = self.domain();
        let whole = |name: &String| Data::Ptr(format!("{name}.svc.{domain}"));
        only(kind == Kind::Ptr, names.iter().map(whole))
    }

    fn service(&self, namespace: &str, name: &str, part: Part<'_>, kind: Kind) -> Answer {
        let entry = self.services.get(namespace).and_then(|all| all.get(name));
        let Some((entry, service)) = entry.and_then(|entry| Some((entry, entry.service.as_ref()?))) else {
            return Answer::NoName;
        };
        let own = || format!("{name}.{namespace}.svc.{}", self.domain());
        match (&service.external, part) {
            (Some(target), Part::Service) => Answer::Alias(target.clone()),
            (Some(_), _) => Answer::NoName,
            (None, Part::Service) if service.headless => hosts(entry.endpoints(), kind),
            (None, Part::Service) => addresses(service.addresses.iter().copied(), kind),
            (None, Part::Host(host)) if service.headless => hosts(entry.hosts(host), kind),
            (None, Part::Host(_)) => Answer::NoName,
            (None, Part::Protocol(protocol)) => {
                if service.ports.iter().any(|port| port.protocol == protocol) {
                    Answer::NoData
                } else {
                    Answer::NoName
                }
            }
            (None, Part::Port { port, protocol }) => ports(entry, service, &own(), (port, protocol), kind),
        }
    }
}

impl Entry {
    fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.slices.values().flat_map(|slice| &slice.endpoints)
    }

    /// Endpoints of this name below the Service's.
    fn hosts<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Endpoint> {
        let named = move |endpoint: &&Endpoint| match &endpoint.hostname {
            Some(name) => name == host,
            None => undashed(host).is_some_and(|ip| endpoint.addresses.contains(&ip)),
        };
        self.endpoints().filter(named)
    }
}

/// Records of a name that has this kind only.
fn only(fits: bool, data: impl IntoIterator<Item = Data>) -> Answer {
    if fits { Answer::of(data) } else { Answer::NoData }
}

fn addresses(all: impl IntoIterator<Item = IpAddr>, kind: Kind) -> Answer {
    let fits = |ip: &IpAddr| matches!((ip, kind), (IpAddr::V4(_), Kind::A) | (IpAddr::V6(_), Kind::Aaaa));
    Answer::of(all.into_iter().filter(fits).map(Data::Address))
}

/// Addresses of endpoints. A name without a ready endpoint does not exist.
fn hosts<'a>(endpoints: impl Iterator<Item = &'a Endpoint>, kind: Kind) -> Answer {
    let mut all: Vec<IpAddr> = endpoints.flat_map(|endpoint| endpoint.addresses.iter().copied()).collect();
    // An endpoint may be in two slices for a moment.
    all.sort_unstable();
    all.dedup();
    if all.is_empty() { Answer::NoName } else { addresses(all, kind) }
}

fn ports(entry: &Entry, service: &Service, own: &str, (port, protocol): (&str, &str), kind: Kind) -> Answer {
    let fits = |one: &&Port| one.name == port && one.protocol == protocol;
    let mut found: Vec<(u16, String, Vec<IpAddr>)> = Vec::new();
    if service.headless {
        for slice in entry.slices.values() {
            let Some(port) = slice.ports.iter().find(fits) else { continue };
            for endpoint in &slice.endpoints {
                for ip in &endpoint.addresses {
                    found.push((port.number, format!("{}.{own}", endpoint.hostname(*ip)), vec![*ip]));
                }
            }
        }
        found.sort();
        found.dedup();
    } else if let Some(port) = service.ports.iter().find(fits) {
        found.push((port.number, own.to_owned(), service.addresses.clone()));
    }
    match (found.is_empty(), kind) {
        (true, _) => Answer::NoName,
        (false, Kind::Srv) => srv(found),
        (false, _) => Answer::NoData,
    }
}

fn srv(found: Vec<(u16, String, Vec<IpAddr>)>) -> Answer {
    let weight = u16::try_from(100 / found.len().max(1)).unwrap_or_default().max(1);
    let (mut records, mut additional): (Vec<Record>, Vec<Record>) = (Vec::new(), Vec::new());
    for (port, target, ips) in found {
        let host = |ip: IpAddr| Record { name: Some(target.clone()), data: Data::Address(ip) };
        additional.extend(ips.into_iter().map(host));
        let data = Data::Srv { port, target, weight };
        if records.last().is_none_or(|last: &Record| last.data != data) {
            records.push(Record { name: None, data });
        }
    }
    Answer::Found { records, additional }
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
fn reversed(labels: &[&str]) -> Option<IpAddr> {
    match labels {
        [d, c, b, a, "in-addr", "arpa"] => format!("{a}.{b}.{c}.{d}").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        [digits @ .., "ip6", "arpa"] if digits.len() == 32 => {
            let digit = |text: &&str| if text.len() == 1 { u128::from_str_radix(text, 16).ok() } else { None };
            let number = digits.iter().rev().try_fold(0u128, |sum, text| Some(sum << 4 | digit(text)?))?;
            Some(IpAddr::V6(Ipv6Addr::from(number)))
        }
        _ => None,
    }
}
