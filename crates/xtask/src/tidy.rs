//! `cargo xtask tidy`: the rules of this code base that no compiler checks. Reads sources and `cargo metadata` only.
//!
//! [`layers`] checks who may depend on whom, [`sources`] what files look like. A rule is a row: what it finds, why it
//! exists, what to do about it. Main type: [`Rule`].

mod layers;
mod sources;

use crate::workspace::Workspace;
use anyhow::{Result, bail};
use sources::Source;

/// One rule.
struct Rule {
    /// Short name.
    name: &'static str,
    /// Why it exists.
    reason: &'static str,
    /// What to do when it is broken.
    remedy: &'static str,
    /// Whether breaking it fails the check, or only warns.
    refuse: bool,
    /// The places that break it.
    find: fn(&Workspace, &[Source]) -> Vec<String>,
}

/// Checks all rules.
///
/// # Errors
/// When one is broken; all findings were printed.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let sources = sources::read(&workspace.root)?;
    let mut refused = 0;
    for rule in layers::RULES.iter().chain(sources::RULES) {
        let found = (rule.find)(workspace, &sources);
        if found.is_empty() {
            continue;
        }
        let weight = if rule.refuse { "refused" } else { "warning" };
        eprintln!("tidy: {} ({weight}): {}. {}.", rule.name, rule.reason, rule.remedy);
        found.iter().for_each(|place| eprintln!("  {place}"));
        refused += if rule.refuse { found.len() } else { 0 };
    }
    match refused {
        0 => Ok(()),
        count => bail!("{count} places break the rules"),
    }
}
