//! Bytes of the versioned types in [`crate::wire`]: one version byte, then bincode. The one place that names it.
//!
//! A reader refuses versions it does not know, trailing bytes, and lengths past [`net::channel::FRAME_LIMIT`].

use bytes::Bytes;
use net::channel::FRAME_LIMIT;
use serde::{Serialize, de::DeserializeOwned};

/// The version written. All versions ever written stay readable, see [`crate::wire`].
pub(crate) const VERSION: u8 = 1;

/// Why bytes of a peer or of the disk make no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Written by a newer program.
    #[error("version {0} is unknown, the newest known is {VERSION}")]
    Version(u8),
    /// Not what the version promises.
    #[error("malformed: {0}")]
    Malformed(String),
}

fn layout() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<FRAME_LIMIT>()
}

/// The bytes of a message, in the present version.
pub(crate) fn encode<T: Serialize>(message: &T) -> Bytes {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(message, &mut bytes, layout())
        .expect("a vector takes all bytes, and our types have no failing serializer");
    bytes.into()
}

/// The message in these bytes.
///
/// # Errors
/// [`DecodeError`]: retrying does not help.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (&version, rest) = bytes.split_first().ok_or_else(|| DecodeError::Malformed("empty".into()))?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    match bincode::serde::decode_from_slice(rest, layout()) {
        Ok((message, read)) if read == rest.len() => Ok(message),
        Ok((_, read)) => Err(DecodeError::Malformed(format!("{} bytes too many", rest.len() - read))),
        Err(error) => Err(DecodeError::Malformed(error.to_string())),
    }
}
