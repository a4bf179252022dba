//! `mesh leave`.

use anyhow::Result;

use crate::admin::{Request, client};
use crate::cli::At;

/// Gives up this node's part; the running process ends itself afterwards.
pub(crate) async fn run(at: &At) -> Result<()> {
    eprintln!("leaving: handing on this node's part in the quorum");
    let name: String = client::ask(&at.data_dir, &Request::Leave).await?;
    println!("node {name} has left the cluster; it ends now, and leaves {} empty", at.data_dir.display());
    Ok(())
}
