//! What the kernel holds for one front: elements of a few maps, and a chain that is shared by all fronts with as many
//! endpoints. Pure. Main type: [`Program`].
//!
//! An endpoint keeps its slot while it serves; the last one moves into a hole. So one endpoint that comes or goes
//! changes two or three elements, however many there are.

use std::net::{IpAddr, SocketAddr};

use super::chain::{Chain, remembers};
use super::front::{Answer, Family, Front};

/// Upper half of a packet's mark that says: endpoints see the client's own address. The lower half is a slot.
pub(super) const PLAIN_MARK: u32 = 0x4d45_0000;

/// Upper half of a packet's mark that says: endpoints see this node's overlay address.
pub(super) const MASQUERADE_MARK: u32 = 0x4d46_0000;

/// Offset basis and prime of FNV-1a, 32 bits (draft-eastlake-fnv).
const FNV: (u32, u32) = (0x811c_9dc5, 0x0100_0193);

/// An element of a set, or of a map where it has data. Ordered by set, then key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Element {
    /// The set's name.
    pub(super) set: String,
    /// As `nft -nn` writes it.
    pub(super) key: String,
    /// Likewise; empty in sets.
    pub(super) data: String,
}

impl Element {
    pub(super) fn new(set: &str, family: Family, key: String, data: String) -> Self {
        Self { set: format!("{set}{}", digit(family)), key, data }
    }
}

/// Suffix of the names that exist once a family.
pub(super) fn digit(family: Family) -> char {
    match family {
        Family::V4 => '4',
        Family::V6 => '6',
    }
}

/// What is installed for a front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Where to, by slot; empty where nobody serves.
    slots: Vec<Slot>,
    /// As in [`Answer::Serve`].
    affinity_seconds: Option<u32>,
    masquerade: bool,
    /// Nobody serves, and nobody is told.
    silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    endpoint: SocketAddr,
    /// What sticky clients remember: steady while the endpoint serves, and most often the same after a restart.
    id: u16,
}

impl Program {
    /// What is to be installed, given what is.
    pub(super) fn next(before: Option<&Self>, answer: &Answer) -> Self {
        let (endpoints, affinity_seconds, masquerade) = match answer {
            Answer::Serve { endpoints, affinity_seconds, masquerade } => {
                (endpoints.as_slice(), *affinity_seconds, *masquerade)
            }
            Answer::Refuse | Answer::Drop => (&[][..], None, false),
        };
        let mut slots = before.map(|program| program.slots.clone()).unwrap_or_default();
        let mut at = 0;
        while at < slots.len() {
            // `endpoints` is sorted, as chosen.
            match endpoints.binary_search(&slots[at].endpoint) {
                Ok(_) => at += 1,
                Err(_) => drop(slots.swap_remove(at)),
            }
        }
        let known: std::collections::BTreeSet<_> = slots.iter().map(|slot| slot.endpoint).collect();
        for endpoint in endpoints.iter().filter(|one| !known.contains(one)) {
            let id = free_id(&slots, endpoint);
            slots.push(Slot { endpoint: *endpoint, id });
        }
        Self { slots, affinity_seconds, masquerade, silent: *answer == Answer::Drop }
    }

    /// Where connections may go, by slot.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = SocketAddr> {
        self.slots.iter().map(|slot| slot.endpoint)
    }

    /// The chain that chooses an endpoint; none where nobody serves.
    pub(super) fn chain(&self, front: &Front) -> Option<Chain> {
        (!self.slots.is_empty()).then(|| Chain {
            family: Family::of(&front.address),
            node_port: front.is_node_port(),
            masquerade: self.masquerade,
            affinity_seconds: self.affinity_seconds,
            endpoints: self.slots.len(),
        })
    }

    /// Its elements.
    pub(super) fn elements(&self, front: &Front) -> Vec<Element> {
        let family = Family::of(&front.address);
        let key = format!("{} . {} . {}", front.address, front.protocol.number(), front.port);
        let element = |set: &str, key: String, data: String| Element::new(set, family, key, data);
        let Some(chain) = self.chain(front) else {
            let verdict = if self.silent { "drop" } else { "goto refuse" };
            return vec![element("refused", key, verdict.into())];
        };
        let mut all = vec![element("services", key.clone(), format!("goto {}", chain.name()))];
        let base = if self.masquerade { MASQUERADE_MARK } else { PLAIN_MARK };
        for (slot, number) in self.slots.iter().zip(0u32..) {
            let place = format!("{key} . {}", base | number);
            let target = format!("{} . {}", slot.endpoint.ip(), slot.endpoint.port());
            if self.affinity_seconds.is_some() && remembers(family) {
                let id = base | u32::from(slot.id);
                all.push(element("ids", place, id.to_string()));
                all.push(element("sticky", format!("{key} . {id}"), target));
            } else {
                all.push(element("slots", place, target));
            }
        }
        all
    }

    /// How many elements it has.
    pub(super) fn size(&self, front: &Front) -> usize {
        let remembered = self.affinity_seconds.is_some() && remembers(Family::of(&front.address));
        1 + self.slots.len() * if remembered { 2 } else { 1 }
    }

    /// Addresses that the kernel has to know beside the elements: see [`Shared`].
    pub(super) fn shared(&self, front: &Front, is_own_pod: impl Fn(&IpAddr) -> bool) -> Vec<Shared> {
        let own = (!front.is_node_port()).then_some(Shared::Service(front.address));
        let pods = self.endpoints().map(|endpoint| endpoint.ip()).filter(is_own_pod).map(Shared::OwnPod);
        own.into_iter().chain(pods).collect()
    }
}

/// An element that several fronts want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    /// An address of a Service: its other ports are refused.
    Service(IpAddr),
    /// A pod of this node that serves: it may reach itself through a Service.
    OwnPod(IpAddr),
}

impl Shared {
    pub(super) fn element(&self) -> Element {
        match self {
            Self::Service(ip) => Element::new("addresses", Family::of(ip), ip.to_string(), String::new()),
            Self::OwnPod(ip) => Element::new("hairpin", Family::of(ip), format!("{ip} . {ip}"), String::new()),
        }
    }
}

/// The endpoint's hash, or the next number that is free. There are as many as slots at most.
fn free_id(slots: &[Slot], endpoint: &SocketAddr) -> u16 {
    let text = endpoint.to_string();
    let hash = text.bytes().fold(FNV.0, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(FNV.1));
    let [high, low, ..] = (hash ^ (hash >> 16)).to_le_bytes();
    let first = u16::from_le_bytes([high, low]);
    let taken = |id: &u16| slots.iter().any(|slot| slot.id == *id);
    (0..=u16::MAX).map(|step| first.wrapping_add(step)).find(|id| !taken(id)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::objects::Protocol;

    const FRONT: &str = "10.43.0.5 . 6 . 80";

    fn front() -> Front {
        Front { address: "10.43.0.5".parse().unwrap(), protocol: Protocol::Tcp, port: 80 }
    }

    fn serve(hosts: &[u8], affinity_seconds: Option<u32>) -> Answer {
        let endpoints = hosts.iter().map(|host| SocketAddr::from(([10, 42, 0, *host], 8080))).collect();
        Answer::Serve { endpoints, affinity_seconds, masquerade: false }
    }

    /// Last numbers of the endpoints by slot, after these answers one after another.
    fn check(answers: &[&[u8]], expect: &[u8]) {
        let mut program = None;
        for hosts in answers {
            program = Some(Program::next(program.as_ref(), &serve(hosts, None)));
        }
        let hosts = program.iter().flat_map(Program::endpoints).map(|one| match one.ip() {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(_) => 0,
        });
        assert_eq!(hosts.collect::<Vec<_>>(), expect, "{answers:?}");
    }

    #[test]
    fn endpoints_keep_their_slots_and_the_last_fills_a_hole() {
        check(&[&[1, 2, 3]], &[1, 2, 3]);
        check(&[&[1, 2, 3], &[2, 3]], &[3, 2]);
        check(&[&[2, 3], &[1, 2, 3]], &[2, 3, 1]);
        check(&[&[1, 2, 3, 4], &[9]], &[9]);
        check(&[&[1, 2], &[], &[2]], &[2]);
    }

    fn texts(program: &Program) -> Vec<String> {
        program.elements(&front()).iter().map(|one| format!("{} {} : {}", one.set, one.key, one.data)).collect()
    }

    #[test]
    fn elements_name_the_slot_and_the_chain() {
        let plain = Program::next(None, &serve(&[1, 2], None));
        assert_eq!(
            texts(&plain),
            [
                format!("services4 {FRONT} : goto serve4_2"),
                format!("slots4 {FRONT} . 1296367616 : 10.42.0.1 . 8080"),
                format!("slots4 {FRONT} . 1296367617 : 10.42.0.2 . 8080"),
            ]
        );
        let silent = Program::next(Some(&plain), &Answer::Drop);
        assert_eq!(texts(&silent), [format!("refused4 {FRONT} : drop")]);
        assert_eq!(texts(&Program::next(None, &Answer::Refuse)), [format!("refused4 {FRONT} : goto refuse")]);
    }

    #[test]
    fn sticky_endpoints_are_remembered_by_a_number_that_survives_a_restart() {
        let first = Program::next(None, &serve(&[1, 2, 3], Some(60)));
        let grown =
            Program::next(Some(&Program::next(Some(&first), &serve(&[3], Some(60)))), &serve(&[1, 3], Some(60)));
        let fresh = Program::next(None, &serve(&[1, 3], Some(60)));
        let sticky = |program: &Program| {
            let mut all = texts(program);
            all.retain(|text| text.starts_with("sticky4"));
            all.sort();
            all
        };
        assert_eq!(sticky(&grown), sticky(&fresh));
        assert_eq!(sticky(&fresh).len(), 2);
        assert!(texts(&fresh)[0].ends_with("goto serve4_2_for_60"));
    }
}
