//! What crosses the wire when a node joins. **Fixed early**: versions are only ever added, samples are kept as tests.
//!
//! A frame is one bincode value of an enum whose variants are the versions, so an unknown version is told from
//! garbage by its first byte. The connection's ALPN names the exchange's version; [`WireRange`] that of all else.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{
    KeyFingerprint, NodeId,
    codec::{self, Malformed},
    peers::{Peer, Removed},
    token::{Token, TokenId, TokenSecret},
};

/// Wire versions this binary speaks: its own and the one before.
pub const WIRE: WireRange = WireRange { oldest: 1, newest: 1 };

/// Largest request, in bytes: names, labels and a CSR; a stranger sends it, so it is small.
pub(crate) const REQUEST_LIMIT: usize = 32 << 10;

/// Largest reply, in bytes: some hundred bytes per member or former member.
pub(crate) const REPLY_LIMIT: usize = 4 << 20;

/// Versions of the messages between members that a binary speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireRange {
    /// The oldest.
    pub oldest: u16,
    /// The newest.
    pub newest: u16,
}

impl WireRange {
    /// The newest version both speak.
    pub fn agree(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for WireRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.oldest == self.newest {
            true => write!(f, "{}", self.newest),
            false => write!(f, "{} to {}", self.oldest, self.newest),
        }
    }
}

pub use membership::VoterPreference;

/// A machine asks to become a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// What it speaks.
    pub wire: WireRange,
    /// Its release, for people.
    pub software: String,
    /// Which token it holds.
    pub token: TokenId,
    /// The token's secret.
    pub secret: TokenSecret,
    /// Its id.
    pub node: NodeId,
    /// The Node name it wants.
    pub name: String,
    /// Takes the name over from a node that is gone (`mesh join --replace`).
    pub replace: bool,
    /// CSR in DER, for the key it shows in the handshake.
    pub csr: Vec<u8>,
    /// Where its control endpoint listens, best first. Unspecified addresses are for the server to fill in.
    pub addresses: Vec<SocketAddr>,
    /// Where its API endpoint listens; likewise.
    pub api_addresses: Vec<SocketAddr>,
    /// Failure domain (`topology.kubernetes.io/zone`), if any.
    pub zone: Option<String>,
    /// Whether it wants to vote.
    pub voter: VoterPreference,
    /// Labels for its Node, region among them.
    pub labels: BTreeMap<String, String>,
    /// The cluster its data directory belongs to already, if any.
    pub cluster: Option<String>,
}

impl JoinRequest {
    /// A request with nothing but what must be said. Node and CSR are set by [`crate::join()`].
    pub fn new(token: &Token, name: &str, addresses: Vec<SocketAddr>) -> Self {
        Self {
            wire: WIRE,
            software: env!("CARGO_PKG_VERSION").into(),
            token: token.id,
            secret: token.secret.clone(),
            node: NodeId::default(),
            name: name.into(),
            replace: false,
            csr: Vec::new(),
            addresses,
            api_addresses: Vec::new(),
            zone: None,
            voter: VoterPreference::Auto,
            labels: BTreeMap::new(),
            cluster: None,
        }
    }
}

/// The machine is a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinAnswer {
    /// The version to speak.
    pub wire: u16,
    /// It was a member before; nothing changed.
    pub already: bool,
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
    /// The node authority's certificate in DER.
    pub authority: Vec<u8>,
    /// The API authority's certificate in DER.
    pub api_authority: Vec<u8>,
    /// Id of the cluster.
    pub cluster: String,
    /// Rises with `mesh recover` and `mesh restore`; members of an older one are refused.
    pub incarnation: u64,
    /// Behaviour in force in the cluster.
    pub feature_level: u32,
    /// All members, itself included.
    pub members: Vec<Peer>,
    /// All former members.
    pub removed: Vec<Removed>,
}

/// Why the machine is no member, in words for its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// No token of this id, or it was revoked.
    #[error("token {0} is unknown or was revoked: run `mesh token create` on a member for a new one")]
    UnknownToken(TokenId),
    /// The id is right, the secret is not.
    #[error("token {0} has a wrong secret: paste the whole line that `mesh token create` printed")]
    WrongSecret(TokenId),
    /// Past its time.
    #[error("token {0} has expired: run `mesh token create` on a member for a new one")]
    ExpiredToken(TokenId),
    /// `--once`, and it was.
    #[error("token {0} was for one use and has been used: run `mesh token create` on a member for a new one")]
    UsedToken(TokenId),
    /// Another node has the name.
    #[error(
        "the name {name:?} belongs to node {holder}: choose another with --name, or take it over with --replace if that \
         node is gone"
    )]
    NameTaken {
        /// The name asked for.
        name: String,
        /// Who has it.
        holder: NodeId,
    },
    /// The data directory is another cluster's.
    #[error(
        "this data directory belongs to cluster {theirs}, not to {ours}: leave that one with `mesh leave`, or choose an \
         empty data directory"
    )]
    OtherCluster {
        /// The server's cluster.
        ours: String,
        /// The joiner's.
        theirs: String,
    },
    /// The id or key was removed from the cluster.
    #[error("node {0} was removed from this cluster for ever: empty the data directory and join as a new node")]
    Removed(NodeId),
    /// No version in common.
    #[error("this mesh speaks wire version {theirs} and the cluster {ours}: install the release the cluster runs")]
    Version {
        /// The server's.
        ours: WireRange,
        /// The joiner's.
        theirs: WireRange,
    },
    /// The request breaks a rule; names the value.
    #[error("{0}")]
    Invalid(String),
    /// Too many join at once, or there is no quorum just now. Safe to try again.
    #[error("the cluster is busy; it asks to try again after {retry_after_ms} ms")]
    Busy {
        /// When, in milliseconds.
        retry_after_ms: u32,
    },
}

/// Request as it travels.
#[derive(Serialize, Deserialize)]
enum RequestWire {
    V1(JoinRequest),
}

/// Reply as it travels.
#[derive(Serialize, Deserialize)]
enum ReplyWire {
    V1(Result<JoinAnswer, JoinRefusal>),
}

pub(crate) fn encode_request(request: JoinRequest) -> Vec<u8> {
    codec::encode(&RequestWire::V1(request))
}

pub(crate) fn decode_request(bytes: &[u8]) -> Result<JoinRequest, Malformed> {
    let RequestWire::V1(request) = codec::decode::<_, REQUEST_LIMIT>(bytes)?;
    Ok(request)
}

pub(crate) fn encode_reply(reply: Result<JoinAnswer, JoinRefusal>) -> Vec<u8> {
    codec::encode(&ReplyWire::V1(reply))
}

pub(crate) fn decode_reply(bytes: &[u8]) -> Result<Result<JoinAnswer, JoinRefusal>, Malformed> {
    let ReplyWire::V1(reply) = codec::decode::<_, REPLY_LIMIT>(bytes)?;
    Ok(reply)
}

/// A key fingerprint stands in [`Peer`] and [`Removed`] as its 32 bytes.
const _: () = assert!(size_of::<KeyFingerprint>() == 32);

#[cfg(test)]
mod tests;
