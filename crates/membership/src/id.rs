//! Who a node is: a random number made with its data directory, bound to its key in the replicated membership.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Random identity of one data directory. The upper 8 bits name the cell and are 0 in the first release.
/// Shown as 16 hexadecimal digits. Never used again once its node left (**fixed early**).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Bits of a [`NodeId`] that are random; the rest names the cell.
const RANDOM_BITS: u32 = 56;

impl NodeId {
    /// The id that 64 random bits stand for, in cell 0.
    pub fn from_random(bits: u64) -> Self {
        Self(bits & ((1 << RANDOM_BITS) - 1))
    }
}

impl From<u64> for NodeId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node id is 16 hexadecimal digits in lower case")]
pub struct NodeIdError;

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(digit) {
            return Err(NodeIdError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NodeIdError)
    }
}

/// Text for people (JSON, whose numbers lose 64-bit precision), a number for bincode.
impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer).map(NodeId)
        }
    }
}

/// What a member is to the quorum, by the replicated membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs pods; holds no copy of the store.
    Worker,
    /// Receives the log without a vote, ready to replace a voter.
    Standby,
    /// Votes, holds the store and the cluster key, serves the API.
    Voter,
}

/// SHA-256 of a public key's SubjectPublicKeyInfo: what a member is known by. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyFingerprint(pub [u8; 32]);

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 hexadecimal digits")]
pub struct KeyFingerprintError;

impl FromStr for KeyFingerprint {
    type Err = KeyFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(KeyFingerprintError);
        }
        let mut out = [0; 32];
        for (slot, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| KeyFingerprintError)?;
            *slot = u8::from_str_radix(pair, 16).map_err(|_| KeyFingerprintError)?;
        }
        Ok(Self(out))
    }
}

impl Serialize for KeyFingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for KeyFingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(KeyFingerprint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_fingerprints_read_what_they_print() {
        let id = NodeId::from_random(u64::MAX);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.0 >> RANDOM_BITS, 0);
        let fingerprint = KeyFingerprint([0xab; 32]);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!("é".repeat(32).parse::<KeyFingerprint>(), Err(KeyFingerprintError));
        let json = serde_json::to_string(&(id, fingerprint)).unwrap();
        assert_eq!(serde_json::from_str::<(NodeId, KeyFingerprint)>(&json).unwrap(), (id, fingerprint));
    }
}
