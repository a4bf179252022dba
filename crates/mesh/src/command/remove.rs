//! `mesh remove`: another member is gone for good, and somebody says so.

use anyhow::Result;
use serde::Deserialize;

use crate::admin::{Request, client};
use crate::cli::At;

/// Whom the cluster has forgotten.
#[derive(Debug, Deserialize)]
struct Removed {
    name: String,
    id: String,
}

/// Asks the running node of this machine to see to it.
pub(crate) async fn run(node: String, force: bool, at: &At) -> Result<()> {
    let removed: Removed = client::ask(&at.data_dir, &Request::Remove { node, force }).await?;
    println!(
        "node {} ({}) is removed: its id and key are refused for ever; its Node object goes now, its pods within a \
         minute\nits machine can join again as a new node once its data directory is emptied",
        removed.name, removed.id
    );
    Ok(())
}
