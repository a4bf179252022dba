//! `mesh recover`: the survivor of lost disks goes on alone. Tells what may be lost, and asks, before it changes anything.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write as _};

use actors::recover::Survivor;
use anyhow::{Result, bail, ensure};

use crate::cli::At;

/// Longest answer that is read, in bytes: node names are shorter.
const ANSWER_LIMIT: u64 = 1024;

/// Asks, then recovers.
pub(crate) fn run(sure: bool, at: &At) -> Result<()> {
    // The only provider in the binary; a second install can only mean that it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let survivor = Survivor::open(&at.data_dir)?;
    eprint!("{}", warning(&survivor));
    if !sure {
        confirm(survivor.name())?;
    }
    let name = survivor.name().to_owned();
    let recovered = survivor.recover()?;
    println!(
        "node {name} is the only voter of its cluster now, at revision {}\nstart it with `mesh up`; when all is well, \
         delete {}",
        recovered.revision,
        recovered.old.display()
    );
    Ok(())
}

/// What a person must know before he says yes.
fn warning(survivor: &Survivor) -> String {
    let mut text = format!(
        "WARNING: recovering cluster {} from the disk of node {} alone. This cannot be undone.\n\
         - This disk has everything up to revision {}. What the other voters acknowledged without it is LOST, and nobody\n  \
         can tell how much that is. Where the disk of another voter can be had, start that node instead of this.\n",
        survivor.recovery().cluster.id,
        survivor.name(),
        survivor.revision(),
    );
    let mut add = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "- {line}"); // a string takes all
    };
    if survivor.unconfirmed() > 0 {
        add(format_args!(
            "Its last {} entries may never have been acknowledged to anybody; they count as written from now on.",
            survivor.unconfirmed()
        ));
    }
    if !survivor.voted() {
        add(format_args!("This node did not vote: it may have been behind. A node that voted is the better choice."));
    }
    if !survivor.has_secrets() {
        add(format_args!(
            "It has no key to the cluster's secrets, which are made anew: every kubeconfig, ServiceAccount token and join \
             token ENDS."
        ));
    }
    for member in &survivor.recovery().forgotten {
        add(format_args!(
            "Node {} ({}) is forgotten and refused for ever, also if its disk turns up; emptied, it can join anew.",
            member.name, member.id
        ));
    }
    add(format_args!("If a quorum of the others still runs somewhere, there will be TWO clusters of this name."));
    add(format_args!("Every client lists anew: revisions jump, and watches from before end with 410 Gone."));
    text
}

/// Takes the node's name for a yes.
fn confirm(name: &str) -> Result<()> {
    ensure!(std::io::stdin().is_terminal(), "nothing was changed: say --yes-lose-data if this is what you want");
    eprint!("To go on, type the name of this node: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::Read::take(std::io::stdin().lock(), ANSWER_LIMIT).read_line(&mut answer)?;
    if answer.trim() != name {
        bail!("nothing was changed: {:?} is not {name:?}", answer.trim());
    }
    Ok(())
}
