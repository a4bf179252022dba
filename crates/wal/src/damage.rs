//! What is wrong with a data directory, said so that a person knows the file, the place and what to do.

use crate::disk::DiskError;
use crate::envelope::{FileHeader, FileKey, FileKind, HeaderFault, VERSION};
use crate::keys::{KeyId, KeyRing};

/// Ends every error that loses acknowledged data if ignored.
const REMEDY: &str = "nothing was changed; on a cluster, wipe this node's data directory and run `mesh join --replace`, \
                      a node alone needs a backup (`mesh restore`)";

/// Bytes that were durable once and are no longer what they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}{}: {what}; {REMEDY}", index.map(|i| format!(" (log index {i})")).unwrap_or_default())]
pub struct Damage {
    /// The file.
    pub file: String,
    /// First byte of the record, or header, that is no good.
    pub offset: u64,
    /// Index of the log record there, where known.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: &'static str,
}

/// Why a log or a snapshot cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Acknowledged data is lost or rotten.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The file was sealed with a key that the ring does not have.
    #[error(
        "{file} is sealed with key {key}, which is not among this node's keys; restore the key file that belongs to this data directory"
    )]
    UnknownKey {
        /// The file.
        file: String,
        /// The key it names.
        key: KeyId,
    },
    /// The ring has a key of that name, but it is another one.
    #[error(
        "{file} does not open with key {key}: the key file does not belong to this data directory; restore the one that does"
    )]
    WrongKey {
        /// The file.
        file: String,
        /// The key it names.
        key: KeyId,
    },
    /// Written by a newer version.
    #[error(
        "{file} has format version {found}, this program reads up to {VERSION}; run the version of mesh that wrote it, or a newer one"
    )]
    UnknownVersion {
        /// The file.
        file: String,
        /// Its version.
        found: u8,
    },
    /// Something that no version of the log writes.
    #[error("{file} does not belong in the data directory; move it away, or name another directory")]
    UnknownFile {
        /// Its name.
        file: String,
    },
    /// The disk failed.
    #[error("the data directory cannot be read")]
    Disk(#[from] DiskError),
}

/// Checks a file's header and derives its key.
pub(crate) fn open_header(
    keys: &KeyRing,
    file: &str,
    bytes: &[u8],
    kind: FileKind,
    number: u64,
) -> Result<(FileHeader, FileKey), OpenError> {
    let header = FileHeader::decode(bytes, kind, number).map_err(|fault| match fault {
        HeaderFault::Damaged => damaged(file, 0, None, "the file's header is not readable"),
        HeaderFault::Version(found) => OpenError::UnknownVersion { file: file.to_owned(), found },
    })?;
    let master =
        keys.get(header.key).ok_or_else(|| OpenError::UnknownKey { file: file.to_owned(), key: header.key })?;
    let key = FileKey::derive(master, &header);
    Ok((header, key))
}

pub(crate) fn damaged(file: &str, offset: u64, index: Option<u64>, what: &'static str) -> OpenError {
    Damage { file: file.to_owned(), offset, index, what }.into()
}
