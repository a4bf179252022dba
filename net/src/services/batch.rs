//! A change of the kernel's table: what to add and to delete, as one transaction of `nft`. Pure. Main type: [`Batch`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;

use super::chain::Chain;
use super::front::Front;
use super::program::Element;
use super::skeleton::{self, Facts, TABLE};

/// One transaction. Elements deleted and added under one key are changed in place: no packet sees the gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(super) chains: BTreeSet<Chain>,
    pub(super) delete: BTreeSet<Element>,
    pub(super) add: BTreeSet<Element>,
    pub(super) withdrawn: Vec<Withdrawn>,
}

/// A UDP front whose clients may still be bound to an endpoint that serves no more: UDP has no end that would free them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// What the clients ask.
    pub front: Front,
    /// Endpoints that still serve it.
    pub keep: BTreeSet<SocketAddr>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.delete.is_empty() && self.add.is_empty() && self.withdrawn.is_empty()
    }

    /// Elements that change.
    pub fn len(&self) -> usize {
        self.delete.len() + self.add.len()
    }

    /// UDP fronts that lost an endpoint.
    pub fn withdrawn(&self) -> &[Withdrawn] {
        &self.withdrawn
    }

    /// Notes what becomes of a front's or service's elements.
    pub(super) fn replace(&mut self, before: Vec<Element>, after: Vec<Element>) {
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.into_iter().collect(), after.into_iter().collect());
        for gone in before.difference(&after) {
            self.drop_or(gone, false);
        }
        for new in after.difference(&before) {
            self.drop_or(new, true);
        }
    }

    /// An element that comes and goes within one batch is none.
    fn drop_or(&mut self, element: &Element, add: bool) {
        let (same, other) = if add { (&mut self.add, &mut self.delete) } else { (&mut self.delete, &mut self.add) };
        if !other.remove(element) {
            same.insert(element.clone());
        }
    }

    /// As `nft -f -` reads it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for chain in &self.chains {
            // Writing into a string cannot fail. Adding what exists is no error, but would double its rules: flush.
            let _ = writeln!(out, "add chain {TABLE} {name}\nflush chain {TABLE} {name}", name = chain.name());
            for rule in chain.rules() {
                let _ = writeln!(out, "add rule {TABLE} {} {rule}", chain.name());
            }
        }
        write_elements(&mut out, "delete", &self.delete);
        write_elements(&mut out, "add", &self.add);
        out
    }

    /// As [`Batch::text`], with the table made anew: all or nothing, so that packets see the old one or the new one.
    pub(super) fn rebuild_text(&self, facts: &Facts) -> String {
        let version = skeleton::version_chain(facts);
        let fixed = skeleton::text(facts);
        format!(
            "table {TABLE}\ndelete table {TABLE}\ntable {TABLE}\n{fixed}chain {TABLE} {version} {{ }}\n{}",
            self.text()
        )
    }
}

fn write_elements(out: &mut String, verb: &str, elements: &BTreeSet<Element>) {
    let mut by_set: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for element in elements {
        // A deletion names the key alone: of a map's element whose data has moved on, too.
        let with_data = verb == "add" && !element.data.is_empty();
        let text = if with_data { format!("{} : {}", element.key, element.data) } else { element.key.clone() };
        by_set.entry(&element.set).or_default().push(text);
    }
    for (set, texts) in by_set {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{verb} element {TABLE} {set} {{ {} }}", texts.join(", "));
    }
}
