//! The packet filter of a node whose network is broken. Main type: [`Rule`].
//!
//! Everything is dropped where it arrives: what a node does not get out, its peers do not take in. A drop on the way out would tell
//! the sender (`EPERM`), which no broken network does. Loss is `numgen random`, since not every kernel has netem.

use std::fmt::Write;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::target::Place;
use super::{Cut, Fault, Kind, Way};

/// Everything, in [`Rule::per_mille`].
const ALL: u16 = 1000;

/// Before connection tracking and everything else sees a packet (-400 and later).
const PRIORITY: i32 = -450;

/// Packets that a node does not take in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// From whom.
    from: IpAddr,
    /// How many of a thousand.
    per_mille: u16,
}

/// What this node does not take in under these faults.
pub(super) fn of(place: &Place, places: &[Place], faults: &[Fault]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for fault in faults {
        let (cut, per_mille) = match &fault.kind {
            Kind::Partition(cut) => (cut, ALL),
            Kind::Loss { cut, per_mille } => (cut, *per_mille),
            _ => continue,
        };
        for from in places.iter().filter(|from| from.name != place.name && dropped(fault, cut, &from.name, &place.name))
        {
            rules.push(Rule { from: from.address, per_mille });
        }
    }
    rules
}

/// Whether a fault concerns packets from one node to another.
fn dropped(fault: &Fault, cut: &Cut, from: &str, to: &str) -> bool {
    let named = |other: &str| cut.from.is_empty() || cut.from.iter().any(|name| name == other);
    let inward = to == fault.node && named(from) && cut.way != Way::Out;
    let outward = from == fault.node && named(to) && cut.way != Way::In;
    inward || outward
}

/// The table as `nft -f` reads it; it replaces the one before.
fn text(rules: &[Rule]) -> String {
    let mut text = "table inet mesh-chaos {}\ndelete table inet mesh-chaos\n".to_owned();
    if rules.is_empty() {
        return text;
    }
    let _ = writeln!(text, "table inet mesh-chaos {{\nchain in {{\ntype filter hook prerouting priority {PRIORITY};");
    for Rule { from, per_mille } in rules {
        let family = if from.is_ipv4() { "ip" } else { "ip6" };
        let chance = if *per_mille < ALL { format!("numgen random mod {ALL} < {per_mille} ") } else { String::new() };
        let _ = writeln!(text, "{family} saddr {from} {chance}drop");
    }
    text.push_str("}\n}\n");
    text
}

/// Puts the rules in force.
pub(super) fn install(place: &Place, rules: &[Rule]) -> Result<()> {
    let mut child = Command::new("nsenter")
        .arg(format!("--net={}", place.namespace.display()))
        .args(["nft", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run nsenter and nft: apt-get install -y util-linux nftables")?;
    child.stdin.take().context("it has an input")?.write_all(text(rules).as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("nft refused on {}: {}", place.name, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u8) -> Place {
        Place {
            name: format!("node-{number}"),
            address: [10, 0, 0, number].into(),
            namespace: "/none".into(),
            hooks: "/none".into(),
        }
    }

    fn fault(node: u8, from: &[&str], way: Way, per_mille: u16) -> Fault {
        let cut = Cut { from: from.iter().map(|name| (*name).to_owned()).collect(), way };
        let kind = if per_mille == ALL { Kind::Partition(cut) } else { Kind::Loss { cut, per_mille } };
        Fault { node: format!("node-{node}"), kind, since: 0, until: None }
    }

    /// Which packets are lost, as (from, to, of a thousand).
    fn check(faults: &[Fault], expect: &[(u8, u8, u16)]) {
        let places = [place(1), place(2), place(3)];
        let mut lost = Vec::new();
        for (to, place) in (1..).zip(&places) {
            for rule in of(place, &places, faults) {
                let from = (1..).zip(&places).find(|(_, one)| one.address == rule.from).map_or(0, |(number, _)| number);
                lost.push((from, to, rule.per_mille));
            }
        }
        lost.sort_unstable();
        assert_eq!(lost, expect, "{faults:?}");
    }

    #[test]
    fn each_cut_loses_its_packets_and_no_others() {
        check(&[], &[]);
        check(&[fault(1, &[], Way::Both, ALL)], &[(1, 2, ALL), (1, 3, ALL), (2, 1, ALL), (3, 1, ALL)]);
        check(&[fault(1, &[], Way::In, ALL)], &[(2, 1, ALL), (3, 1, ALL)]);
        check(&[fault(1, &[], Way::Out, ALL)], &[(1, 2, ALL), (1, 3, ALL)]);
        check(&[fault(1, &["node-3"], Way::Both, ALL)], &[(1, 3, ALL), (3, 1, ALL)]);
        check(&[fault(2, &["node-3"], Way::Out, 50), fault(1, &["node-2"], Way::In, ALL)], &[(2, 1, ALL), (2, 3, 50)]);
    }

    #[test]
    fn the_table_replaces_the_one_before_and_goes_with_the_last_rule() {
        assert_eq!(text(&[]), "table inet mesh-chaos {}\ndelete table inet mesh-chaos\n");
        let rules = [
            Rule { from: [10, 0, 0, 2].into(), per_mille: ALL },
            Rule { from: "fd00::2".parse().unwrap(), per_mille: 50 },
        ];
        let text = text(&rules);
        assert!(text.contains("\nip saddr 10.0.0.2 drop\n"), "{text}");
        assert!(text.contains("\nip6 saddr fd00::2 numgen random mod 1000 < 50 drop\n"), "{text}");
    }
}
