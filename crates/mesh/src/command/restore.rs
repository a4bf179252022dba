//! `mesh restore`: this machine becomes the only member of the cluster that a backup is of. See `actors::restore`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use actors::restore::Restore;
use anyhow::{Context, Result};
use indicatif::{HumanBytes, HumanDuration};

use super::image::spinner;
use crate::cli::NodeArgs;
use crate::config;

/// Reads the backup, says what it is of, and makes the data directory.
pub(crate) fn run(file: &Path, args: &NodeArgs) -> Result<()> {
    // The only provider in the binary; a second install can only mean that it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config::load(args)?;
    // Read twice: that it is whole, then what it holds.
    let total = file.metadata().with_context(|| file.display().to_string())?.len().saturating_mul(2);
    let shown = spinner(format!("reading {}", file.display()));
    let mut done = 0;
    let restore = Restore::open(file, &config, |bytes| {
        done += bytes;
        shown.set_message(format!("reading {}, {} of {}", file.display(), HumanBytes(done), HumanBytes(total)));
    })?;
    eprint!("{}", summary(&restore));
    shown.set_message("writing the new history");
    let name = restore.recovery().voter.name.clone();
    let revision = restore.restore()?;
    shown.finish_and_clear();
    println!(
        "node {name} is the only member of its cluster now, at revision {revision}\nstart it with `mesh up`; then run \
         `mesh token create` here, and on each further machine, with an empty data directory, the line that it prints"
    );
    Ok(())
}

/// What a person should know of what he gets.
fn summary(restore: &Restore) -> String {
    let header = restore.header();
    let made = u64::try_from(header.created).unwrap_or(0);
    let age = clock::system().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(made)).unwrap_or_default();
    let forgotten: Vec<_> = restore.recovery().forgotten.iter().map(|member| member.name.as_str()).collect();
    format!(
        "Restoring cluster {} as it was {} ago, at revision {} (made on node {}, mesh {}).\n\
         - What was written after that is not in it.\n\
         - Its former members ({}) are forgotten and refused for ever; emptied, they can join anew.\n\
         - If any of them still runs somewhere, there will be TWO clusters of this name.\n\
         - Kubeconfigs, ServiceAccount tokens and join tokens go on. Every client lists anew: revisions jump, and watches\n  \
         from before end with 410 Gone.\n",
        header.cluster,
        HumanDuration(age),
        header.revision,
        header.node,
        header.release,
        forgotten.join(", ")
    )
}
