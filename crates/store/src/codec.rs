//! The one place that knows how wire types become bytes: a version byte, then bincode.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes a decoder may claim while it reads one message: the largest message (see [`crate::wire`]), times four
/// since small integers take fewer bytes than they claim.
const CLAIM_LIMIT: usize = 128 << 20;

/// Why bytes are no message, or a message makes no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Past the bound of its kind.
    #[error("message of {size} bytes, more than {limit}")]
    TooLarge {
        /// What it has.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// No bytes at all.
    #[error("message is empty")]
    Empty,
    /// Made by a newer binary, or not a message.
    #[error("message has version {0}, this binary knows {1}")]
    Version(u8, u8),
    /// Not what the version says.
    #[error("message is malformed")]
    Malformed(#[source] bincode::error::DecodeError),
    /// A whole message, then more.
    #[error("message has {0} bytes too many")]
    Trailing(usize),
    /// A value that has no encoding.
    #[error("message cannot be encoded")]
    Encode(#[source] bincode::error::EncodeError),
}

/// Version byte and content, at most `limit` bytes.
pub(crate) fn encode<T: Serialize>(version: u8, limit: usize, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![version];
    let config = bincode::config::standard();
    bincode::serde::encode_into_std_write(value, &mut out, config).map_err(CodecError::Encode)?;
    match out.len() > limit {
        true => Err(CodecError::TooLarge { size: out.len(), limit }),
        false => Ok(out),
    }
}

/// The whole of `bytes` as one message of this version.
pub(crate) fn decode<T: DeserializeOwned>(version: u8, limit: usize, bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { size: bytes.len(), limit });
    }
    let (found, content) = bytes.split_first().ok_or(CodecError::Empty)?;
    if *found != version {
        return Err(CodecError::Version(*found, version));
    }
    let config = bincode::config::standard().with_limit::<CLAIM_LIMIT>();
    let (value, used) = bincode::serde::decode_from_slice(content, config).map_err(CodecError::Malformed)?;
    match content.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::Trailing(extra)),
    }
}
