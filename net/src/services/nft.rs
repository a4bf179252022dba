//! Carries batches out by the `nft` program: text on standard input, one transaction a batch. Main type: [`Nft`].
//!
//! At start the kernel's table is compared with what is wanted and changed where it differs, so that a restart breaks no flow;
//! a table of another release is replaced within one transaction. The table is that of the caller's network namespace.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::batch::Batch;
use super::chain::header;
use super::front::Family;
use super::listing::{Present, UnreadableListing};
use super::skeleton::{TABLE, version_chain};
use super::table::Table;

/// One run: 100,000 elements take two seconds.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// Largest listing, in bytes: about 500,000 elements.
const LISTING_LIMIT: u64 = 64 << 20;

/// Longest complaint of the program that is read, in bytes. It repeats the line that it did not like.
const COMPLAINT_LIMIT: u64 = 64 << 10;

/// Longest part of it that is told.
const TOLD_LIMIT: usize = 300;

/// Why the kernel's table is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// It is not installed, or may not run.
    #[error("the program {program:?} cannot be run: install the package nftables")]
    Program {
        /// What was to run.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// Reading or writing failed.
    #[error("nft cannot be talked to")]
    Talk(#[source] io::Error),
    /// It refused.
    #[error("nft refused: {0}")]
    Refused(String),
    /// It took too long.
    #[error("nft gave no answer within {RUN_LIMIT:?}")]
    Late,
    /// It said something strange.
    #[error(transparent)]
    Listing(#[from] UnreadableListing),
}

/// How a table came to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It was there, but for so many elements.
    Compared(usize),
    /// It was not, or was another release's.
    Made,
}

/// Runs the program.
#[derive(Clone, Debug)]
pub struct Nft {
    program: String,
}

impl Default for Nft {
    fn default() -> Self {
        Self { program: "nft".into() }
    }
}

impl Nft {
    /// Puts all that a table wants in force, whatever was there. Call after [`Table::batch`].
    ///
    /// # Errors
    /// [`NftError`]; nothing has changed then.
    pub async fn install(&self, table: &Table) -> Result<Installed, NftError> {
        let (chains, elements) = table.everything();
        let version = version_chain(table.facts());
        if let Some(present) = self.present().await?.filter(|present| present.chains.contains(&version)) {
            let batch = Batch {
                delete: present.elements.difference(&elements).cloned().collect(),
                add: elements.difference(&present.elements).cloned().collect(),
                chains: chains.into_iter().filter(|chain| !present.chains.contains(&chain.name())).collect(),
                withdrawn: Vec::new(),
            };
            self.apply(&batch).await?;
            return Ok(Installed::Compared(batch.len()));
        }
        let batch = Batch { chains, add: elements, ..Batch::default() };
        self.run(&batch.rebuild_text(table.facts())).await?;
        Ok(Installed::Made)
    }

    /// One change.
    ///
    /// # Errors
    /// [`NftError`]; nothing has changed then. The table in the kernel may differ from what was thought: install anew.
    pub async fn apply(&self, batch: &Batch) -> Result<(), NftError> {
        let text = batch.text();
        if text.is_empty() { Ok(()) } else { self.run(&text).await.map(drop) }
    }

    /// Whether the table is still that of [`Nft::install`]: others may have flushed all rules. Looks at one empty chain.
    ///
    /// # Errors
    /// [`NftError`].
    pub async fn is_there(&self, table: &Table) -> Result<bool, NftError> {
        let version = version_chain(table.facts());
        present(self.start(&["list", "chain", "inet", "mesh", &version], "").await).map(|there| there.is_some())
    }

    /// Lets pods' packets through where Docker forwards nothing but its own: adds them to the chain that Docker leaves to
    /// others (<https://docs.docker.com/engine/network/packet-filtering-firewalls/>). Nothing to do without that chain.
    ///
    /// # Errors
    /// [`NftError`].
    pub async fn admit_through_docker(&self, table: &Table) -> Result<(), NftError> {
        for range in &table.facts().all_pods {
            let family = header(Family::of(&range.addr()));
            let place = [family, "filter", "DOCKER-USER"];
            let listing = self.start(&[&["-n", "list", "chain"], &place[..]].concat(), "").await;
            let Some(listing) = present(listing)? else { continue };
            for side in ["saddr", "daddr"] {
                let rule = format!("{family} {side} {}", range.trunc());
                if !String::from_utf8_lossy(&listing).contains(&rule) {
                    // With a counter and without a set, iptables can show it as well.
                    self.run(&format!("insert rule {} {rule} counter accept\n", place.join(" "))).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes the table: Services are served here no more.
    ///
    /// # Errors
    /// [`NftError`].
    pub async fn remove(&self) -> Result<(), NftError> {
        self.run(&format!("table {TABLE}\ndelete table {TABLE}\n")).await.map(drop)
    }

    async fn present(&self) -> Result<Option<Present>, NftError> {
        let listing = present(self.start(&["-j", "-nn", "list", "table", "inet", "mesh"], "").await)?;
        Ok(listing.map(|listing| Present::read(&listing)).transpose()?)
    }

    async fn run(&self, text: &str) -> Result<Vec<u8>, NftError> {
        self.start(&["-f", "-"], text).await
    }

    async fn start(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, NftError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("LC_ALL", "C").kill_on_drop(true);
        let program = self.program.clone();
        let mut child = command.spawn().map_err(|source| NftError::Program { program, source })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                stdin.write_all(input.as_bytes()).await?;
            }
            Ok(())
        };
        let talk = async {
            let (_, answer, complaint) =
                tokio::try_join!(write, take(stdout, LISTING_LIMIT), take(stderr, COMPLAINT_LIMIT))?;
            Ok((child.wait().await?, answer, complaint))
        };
        let ended = timeout(RUN_LIMIT, talk).await.map_err(|_| NftError::Late)?;
        let (status, answer, complaint) = ended.map_err(NftError::Talk)?;
        if status.success() { Ok(answer) } else { Err(NftError::Refused(told(&complaint))) }
    }
}

/// `None` where what was asked for is not there.
fn present<T>(listing: Result<T, NftError>) -> Result<Option<T>, NftError> {
    match listing {
        Ok(listing) => Ok(Some(listing)),
        Err(NftError::Refused(words)) if words.contains("No such file or directory") => Ok(None),
        Err(error) => Err(error),
    }
}

async fn take(from: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let mut from = from;
        (&mut from).take(limit).read_to_end(&mut bytes).await?;
        // What is over the limit is read as well, so that the program ends.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

/// The first line, which names what is wrong.
fn told(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("without a word");
    line.chars().take(TOLD_LIMIT).collect()
}
