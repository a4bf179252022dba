//! Keeps the kernel equal to a [`Table`]: carries its changes out, and starts over where one fails. Main type: [`Proxy`].

use std::time::Instant;

use tracing::{debug, info, warn};

use super::conntrack::Conntrack;
use super::nft::{Installed, Nft, NftError};
use super::table::Table;

/// See the file's head.
#[derive(Debug)]
pub struct Proxy {
    /// What is wanted. Change it, then call [`Proxy::sync`].
    pub table: Table,
    nft: Nft,
    /// Whether the kernel holds what the table thinks.
    known: bool,
}

impl Proxy {
    /// Nothing is touched before the first [`Proxy::sync`].
    pub fn new(table: Table, nft: Nft) -> Self {
        Self { table, nft, known: false }
    }

    /// Puts what changed in force; returns how many elements that were.
    ///
    /// # Errors
    /// [`NftError`]; the next call compares all and tries again.
    pub async fn sync(&mut self) -> Result<usize, NftError> {
        let started = Instant::now();
        let batch = self.table.batch();
        if self.known && batch.is_empty() {
            return Ok(0);
        }
        let changed = if self.known {
            self.known = false;
            self.nft.apply(&batch).await?;
            batch.len()
        } else {
            let changed = match self.nft.install(&self.table).await? {
                Installed::Made => {
                    info!(services = self.table.services(), "made the table of Services");
                    self.table.everything().1.len()
                }
                Installed::Compared(changed) => changed,
            };
            if let Err(error) = self.nft.admit_through_docker(&self.table).await {
                warn!(%error, "pods' packets are not let through Docker's rules");
            }
            changed
        };
        self.known = true;
        if !batch.withdrawn().is_empty() {
            let withdrawn = batch.withdrawn().to_vec();
            let forgotten = tokio::task::spawn_blocking(move || Conntrack::open()?.forget(&withdrawn)).await;
            match forgotten.map_err(std::io::Error::other).flatten() {
                Ok(0) => {}
                Ok(flows) => debug!(flows, "UDP flows to endpoints that serve no more are forgotten"),
                Err(error) => warn!(%error, "UDP flows to withdrawn endpoints were not forgotten"),
            }
        }
        debug!(changed, "Services in force after {:?}", started.elapsed());
        Ok(changed)
    }

    /// Looks whether the table is still in the kernel: others may have flushed all rules. The next [`Proxy::sync`] puts it back.
    ///
    /// # Errors
    /// [`NftError`].
    pub async fn look(&mut self) -> Result<(), NftError> {
        if self.known && !self.nft.is_there(&self.table).await? {
            warn!("the table of Services was taken out of the kernel and is put back");
            self.known = false;
        }
        Ok(())
    }

    /// Serves no Service any more.
    ///
    /// # Errors
    /// [`NftError`].
    pub async fn remove(&mut self) -> Result<(), NftError> {
        self.known = false;
        self.nft.remove().await
    }
}
