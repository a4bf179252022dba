//! Bincode with bounds, in one place: what is decoded is limited, and nothing may follow it.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub(crate) struct Malformed;

/// Encodes one of our own wire types.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).expect("our wire types have no unencodable part")
}

/// Decodes all of `bytes`, allocating at most `LIMIT`.
pub(crate) fn decode<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, Malformed> {
    if bytes.len() > LIMIT {
        return Err(Malformed);
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(Malformed),
    }
}
