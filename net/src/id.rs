//! Who a node is: a random number made with its data directory, bound to its key in the replicated membership.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Random identity of one data directory. The upper 8 bits name the cell and are 0 in the first release.
/// Shown as 16 hexadecimal digits. Never used again once its node left (**fixed early**).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

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

impl From<u64> for NodeId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

/// What a member is to the quorum, by the replicated membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Runs pods; holds no copy of the store.
    Worker,
    /// Receives the log without a vote, ready to replace a voter.
    Standby,
    /// Votes, holds the store and the cluster key, serves the API.
    Voter,
}

/// Who is at the other end, proven by its key; never by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Showed no key that the membership knows.
    Anonymous,
    /// A member, in its present role.
    Member(NodeId, Role),
}
