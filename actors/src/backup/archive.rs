//! The form of a backup, which is read for ever: `meshback`, the form's version (`u32`), then frames of a length (`u32`, not
//! 0) and that many bytes, then a length of 0, then the SHA-256 of all before. Numbers are little-endian. The first frame is
//! a [`Header`] in JSON, whose fields may grow; the others are the store's snapshot chunks (see `store::wire`). Main
//! functions: [`write()`] and [`read`].

use std::io::{self, Read};

use ring::digest::{Context as Digest, SHA256, SHA256_OUTPUT_LEN};
use serde::{Deserialize, Serialize};
use store::wire::CHUNK_LIMIT_BYTES;

use crate::home::KeyBytes;

/// How every backup begins.
const MAGIC: &[u8; 8] = b"meshback";

/// The form that is written; older ones are read too.
const VERSION: u32 = 1;

/// Largest header, in bytes: hundreds of fields fit.
const HEADER_LIMIT: usize = 64 << 10;

/// What a backup is of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Id of the cluster.
    pub cluster: String,
    /// Name of the node that made it.
    pub node: String,
    /// Release of mesh that made it.
    pub release: String,
    /// When, by that node's clock: Unix seconds.
    pub created: i64,
    /// The newest revision that it holds.
    pub revision: u64,
    /// What its cluster's commands may make use of.
    pub feature_level: u32,
    /// Opens the cluster's secrets: whoever has it can make himself administrator.
    pub cluster_key: KeyBytes,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Header");
        shown.field("cluster", &self.cluster).field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// Why bytes are no backup.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// They cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something else.
    #[error("it is no backup: name a file that `mesh backup` wrote")]
    Foreign,
    /// A later release's form.
    #[error("it has form {0} and this release reads up to {VERSION}: restore it with the release that wrote it")]
    Newer(u32),
    /// They end too early.
    #[error("it is cut off: it ends after {0} bytes; copy it again, or take another backup")]
    CutOff(u64),
    /// They were changed.
    #[error("it is damaged, before byte {at} ({why}): copy it again, or take another backup")]
    Damaged {
        /// Where that showed.
        at: u64,
        /// How.
        why: String,
    },
}

/// The bytes of a backup, a piece per chunk.
pub fn write(
    header: &Header,
    chunks: impl Iterator<Item = io::Result<Vec<u8>>>,
) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let mut digest = Digest::new(&SHA256);
    let header = serde_json::to_vec(header).map_err(io::Error::other);
    let first = header.and_then(|header| Ok([MAGIC.as_slice(), &VERSION.to_le_bytes(), &frame(&header)?].concat()));
    let frames = chunks.map(|chunk| frame(&chunk?));
    let content = std::iter::once(first).chain(frames).chain([Ok(0_u32.to_le_bytes().to_vec())]);
    let mut content = content.fuse();
    let mut ended = false;
    std::iter::from_fn(move || match content.next() {
        Some(piece) => Some(piece.inspect(|piece| digest.update(piece))),
        None if ended => None,
        None => {
            ended = true;
            Some(Ok(digest.clone().finish().as_ref().to_vec()))
        }
    })
}

fn frame(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    Ok([&length.to_le_bytes(), bytes].concat())
}

/// Reads a backup to its end and gives each chunk to `take`, which says what is wrong with it. What came of the chunks may be
/// used only if this succeeds: that they are whole is known at the end.
///
/// # Errors
/// [`ArchiveError`].
pub fn read(from: impl Read, mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<Header, ArchiveError> {
    let mut source = Source { from, at: 0, digest: Digest::new(&SHA256) };
    if source.exactly(MAGIC.len())? != MAGIC {
        return Err(ArchiveError::Foreign);
    }
    match source.number()? {
        VERSION => {}
        other => return Err(ArchiveError::Newer(other)),
    }
    let header = source.frame(HEADER_LIMIT)?.ok_or_else(|| source.damaged("it has no header"))?;
    let header = serde_json::from_slice(&header).map_err(|error| source.damaged(&error.to_string()))?;
    while let Some(chunk) = source.frame(CHUNK_LIMIT_BYTES)? {
        take(&chunk).map_err(|why| source.damaged(&why))?;
    }
    let expected = source.digest.clone().finish();
    if source.exactly(SHA256_OUTPUT_LEN)? != expected.as_ref() {
        return Err(source.damaged("its checksum is another"));
    }
    match source.from.read(&mut [0])? {
        0 => Ok(header),
        _ => Err(source.damaged("something follows its end")),
    }
}

/// Counts and sums up what is read.
struct Source<R> {
    from: R,
    at: u64,
    digest: Digest,
}

impl<R: Read> Source<R> {
    /// That many bytes.
    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        self.from.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        self.at += bytes.len() as u64;
        self.digest.update(&bytes);
        if bytes.len() < length { Err(ArchiveError::CutOff(self.at)) } else { Ok(bytes) }
    }

    fn number(&mut self) -> Result<u32, ArchiveError> {
        let bytes = self.exactly(size_of::<u32>())?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// The next frame; `None` at the end.
    fn frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, ArchiveError> {
        match self.number()? as usize {
            0 => Ok(None),
            length if length > limit => Err(self.damaged(&format!("a part of {length} bytes is over the limit"))),
            length => self.exactly(length).map(Some),
        }
    }

    fn damaged(&self, why: &str) -> ArchiveError {
        ArchiveError::Damaged { at: self.at, why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests;
