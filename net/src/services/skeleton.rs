//! The table's fixed part: maps, hooks, what is refused, and which packets leave under the overlay address. Pure.
//! Main type: [`Facts`]. Spec: <https://wiki.nftables.org>, nft(8).
//!
//! Hooks: refuse before translation (a front without endpoints), translate, refuse after it (what is still
//! addressed to a Service has no such port), and translate the source on the way out.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use super::chain::{Chain, front_of, header};
use super::front::Family;
use super::program::{MASQUERADE_MARK, digit};
use crate::key::sha256;

/// The table, in the node's own network namespace.
pub(super) const TABLE: &str = "inet mesh";

/// Clients that are remembered for session affinity, each family. About 200 bytes each.
const STICKY_CLIENTS_LIMIT: usize = 1 << 17;

/// Half of a mark that tells what it means.
const MARK_MASK: u32 = 0xffff_0000;

/// What does not change while a node lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Addresses of this node's pods, a range a family.
    pub own_pods: Vec<IpNet>,
    /// Addresses of all nodes' pods.
    pub all_pods: Vec<IpNet>,
    /// Addresses of Services.
    pub services: Vec<IpNet>,
    /// This node's overlay addresses, one a family.
    pub overlay: Vec<IpAddr>,
    /// Service addresses that this node answers itself: the cluster's DNS.
    pub own_services: Vec<IpAddr>,
}

impl Facts {
    pub(super) fn is_own_pod(&self, ip: &IpAddr) -> bool {
        self.own_pods.iter().any(|range| range.contains(ip))
    }
}

/// Names the fixed part, so that a table made by an older release or with other facts is told apart.
pub(super) fn version_chain(facts: &Facts) -> String {
    let chain = |(family, affinity_seconds)| Chain {
        family,
        node_port: true,
        masquerade: true,
        affinity_seconds,
        endpoints: 1,
    };
    let kinds = Family::ALL.iter().flat_map(|family| [(*family, None), (*family, Some(1))]);
    let chains: Vec<_> = kinds.flat_map(|kind| chain(kind).rules()).collect();
    let chains = chains.join("\n");
    let digest = sha256(&[text(facts).as_bytes(), chains.as_bytes()]);
    digest.iter().take(8).fold("version_".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// The fixed part, for an empty table.
pub(super) fn text(facts: &Facts) -> String {
    let mut out = String::new();
    for family in Family::ALL {
        sets(&mut out, family);
    }
    let both = |rules: &dyn Fn(Family) -> Vec<String>| Family::ALL.iter().flat_map(|one| rules(*one)).collect();
    let chain = |out: &mut String, name: &str, hook: &str, rules: Vec<String>| {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "chain {TABLE} {name} {{ {hook} }}");
        for rule in rules {
            let _ = writeln!(out, "add rule {TABLE} {name} {rule}");
        }
    };
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
    chain(
        &mut out,
        "refuse",
        "",
        lines(&["meta l4proto tcp reject with tcp reset", "reject with icmpx type port-unreachable"]),
    );
    chain(&mut out, "refused", "", both(&|family| lookups(family, "refused")));
    chain(&mut out, "services", "", both(&|family| lookups(family, "services")));
    let mut unserved = lines(&["fib daddr type local return"]);
    unserved.extend(Family::ALL.map(|f| format!("{} daddr @addresses{} goto refuse", header(f), digit(f))));
    unserved.push("drop".into());
    chain(&mut out, "unserved", "", unserved);
    for (hook, word) in [("prerouting", "incoming"), ("output", "own")] {
        let at = |kind: &str, priority: i32| format!("type {kind} hook {hook} priority {priority}; policy accept;");
        chain(&mut out, &format!("{word}_refused"), &at("filter", -110), lines(&["ct state new jump refused"]));
        chain(&mut out, &format!("{word}_services"), &at("nat", -100), lines(&["jump services"]));
        chain(&mut out, &format!("{word}_unserved"), &at("filter", -90), both(&|family| left_over(facts, family)));
    }
    let hook = "type nat hook postrouting priority 100; policy accept;";
    chain(&mut out, "leaving", hook, both(&|family| sources(facts, family)));
    out
}

fn sets(out: &mut String, family: Family) {
    let address = match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    };
    let front = format!("{address} . inet_proto . inet_service");
    let target = format!("{address} . inet_service");
    let rows: [(&str, &str, String); 8] = [
        ("map", "services", format!("type {front} : verdict;")),
        ("map", "refused", format!("type {front} : verdict;")),
        ("map", "slots", format!("type {front} . mark : {target};")),
        ("map", "ids", format!("type {front} . mark : mark;")),
        ("map", "sticky", format!("type {front} . mark : {target};")),
        (
            "map",
            "affinity",
            format!("type {front} . {address} : mark; flags dynamic, timeout; size {STICKY_CLIENTS_LIMIT};"),
        ),
        ("set", "addresses", format!("type {address};")),
        ("set", "hairpin", format!("type {address} . {address};")),
    ];
    for (kind, name, what) in rows {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{kind} {TABLE} {name}{} {{ {what} }}", digit(family));
    }
}

/// Looks the packet up, first as asked, then as a port of this node. Ports of loopback addresses are nobody's.
fn lookups(family: Family, map: &str) -> Vec<String> {
    let loopback = match family {
        Family::V4 => "ip daddr != 127.0.0.0/8",
        Family::V6 => "ip6 daddr != ::1",
    };
    let map = format!("vmap @{map}{}", digit(family));
    vec![
        format!("{} {map}", front_of(family, false)),
        format!("fib daddr type local {loopback} {} {map}", front_of(family, true)),
    ]
}

fn left_over(facts: &Facts, family: Family) -> Vec<String> {
    let ranges = ranges(&facts.services, family);
    ranges.map(|range| format!("ct state new {} daddr {range} jump unserved", header(family))).into_iter().collect()
}

/// Rules for sources, in order: asked for by a node port; a pod that reached itself; others than pods towards pods; pods towards
/// the world.
fn sources(facts: &Facts, family: Family) -> Vec<String> {
    let (ip, digit) = (header(family), digit(family));
    let overlay = facts.overlay.iter().find(|one| Family::of(one) == family);
    let own = ranges(&facts.own_pods, family);
    let (Some(overlay), Some(own), Some(all)) = (overlay, own, ranges(&facts.all_pods, family)) else {
        return Vec::new();
    };
    let services = ranges(&facts.services, family).map(|range| format!("{ip} daddr != {range} ")).unwrap_or_default();
    let translate = format!("snat {ip} to {overlay}");
    let family_of = match family {
        Family::V4 => "meta nfproto ipv4",
        Family::V6 => "meta nfproto ipv6",
    };
    vec![
        format!("{family_of} meta mark & {MARK_MASK} == {MASQUERADE_MARK} {translate}"),
        format!("ct status dnat {ip} saddr . {ip} daddr @hairpin{digit} {translate}"),
        format!("{ip} saddr != {all} {ip} daddr {all} {ip} daddr != {own} {translate}"),
        format!("fib saddr type local {ip} saddr != {all} {ip} daddr {own} {translate}"),
        format!("oifname != lo {ip} saddr {own} {ip} daddr != {all} {services}masquerade"),
    ]
}

/// A set of this family's ranges; `None` where there is none.
fn ranges(all: &[IpNet], family: Family) -> Option<String> {
    let ours = all.iter().filter(|range| Family::of(&range.addr()) == family).map(|range| range.trunc().to_string());
    let ours: Vec<_> = ours.collect();
    (!ours.is_empty()).then(|| format!("{{ {} }}", ours.join(", ")))
}
