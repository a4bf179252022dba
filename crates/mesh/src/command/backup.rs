//! `mesh backup`: the running cluster's state as a file. What is written and why only a voter does it: `actors::backup`.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{HumanBytes, ProgressBar};
use net::Channel;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde::{Deserialize, Serialize};

use super::image::spinner;
use crate::admin::{Request, client};
use crate::cli::At;

/// What the file is called until it is whole.
const UNFINISHED: &str = "part";

/// What a backup is of, as the node tells before it sends it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Taken {
    /// Id of the cluster.
    pub(crate) cluster: String,
    /// The newest revision in it.
    pub(crate) revision: u64,
}

/// Writes a backup of the cluster that the node of this machine votes in.
pub(crate) async fn run(output: Option<PathBuf>, force: bool, at: &At) -> Result<()> {
    let to_stdout = output.as_deref() == Some(Path::new("-"));
    ensure!(!to_stdout || !io::stdout().is_terminal(), "a backup is no text: send it to a file or a program");
    if let Some(path) = output.as_deref().filter(|_| !to_stdout && !force) {
        ensure!(!path.exists(), "{} exists: choose another name, or overwrite it with --force", path.display());
    }
    let (taken, mut channel) = client::stream::<Taken>(&at.data_dir, &Request::Backup).await?;
    if to_stdout {
        let length = copy(&mut channel, &mut io::stdout().lock()).await?;
        told(&taken, "standard output", length);
        return Ok(());
    }
    let path = output.unwrap_or_else(|| format!("mesh-{}-{}.backup", taken.cluster, taken.revision).into());
    let length = write(&mut channel, &path, force).await.with_context(|| path.display().to_string())?;
    told(&taken, &path.display().to_string(), length);
    Ok(())
}

/// Beside the name, and under it once it is whole and on the disk.
async fn write(channel: &mut Channel, path: &Path, force: bool) -> Result<u64> {
    let beside = PathBuf::from(format!("{}.{UNFINISHED}", path.display()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let flags = if force { RenameFlags::empty() } else { RenameFlags::RENAME_NOREPLACE };
    let whole = async {
        let length = copy(channel, &mut file).await?;
        file.sync_all()?;
        renameat2(AT_FDCWD, &beside, AT_FDCWD, path, flags)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(length)
    };
    whole.await.inspect_err(|_: &anyhow::Error| drop(std::fs::remove_file(&beside)))
}

/// Copies until the node says that this is all; how much it was, in bytes.
async fn copy(channel: &mut Channel, to: &mut impl Write) -> Result<u64> {
    let shown: ProgressBar = spinner("writing the backup".into());
    let mut length = 0;
    loop {
        match channel.receive().await?.context("the node ended, and the backup is not whole")? {
            piece if piece.is_empty() => break,
            piece => {
                to.write_all(&piece)?;
                length += piece.len() as u64;
                shown.set_message(format!("writing the backup, {}", HumanBytes(length)));
            }
        }
    }
    to.flush()?;
    shown.finish_and_clear();
    if length == 0 {
        bail!("the node sent nothing");
    }
    Ok(length)
}

/// To the person: standard output may be the backup itself.
fn told(taken: &Taken, path: &str, length: u64) {
    eprintln!(
        "cluster {} at revision {} is in {path} ({})\nIt holds every Secret in the clear and the keys of the cluster's own \
         authorities: keep it like a root password.",
        taken.cluster,
        taken.revision,
        HumanBytes(length)
    );
}
