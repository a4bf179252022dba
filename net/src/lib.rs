//! How nodes reach each other: identity, encrypted endpoints, who may call what, gossip, pass-through.
//!
//! Everything between nodes is QUIC with mutual TLS. Other crates see only [`Channel`], [`Dial`] and [`Serve`],
//! which a simulation implements as well; quinn and chitchat are named nowhere else.

mod accept;
pub mod admit;
mod base32;
pub mod ca;
pub mod callers;
pub mod channel;
mod codec;
pub mod dataplane;
pub mod endpoint;
#[doc(hidden)]
pub mod fuzz;
pub mod gossip;
pub mod icmp;
pub mod id;
pub mod identity;
pub mod join;
pub mod key;
mod limit;
mod netlink;
mod netns;
pub mod overlay;
pub mod peers;
pub mod pipe;
pub mod pod;
mod pool;
pub mod seal;
pub mod services;
pub mod socket;
#[cfg(test)]
mod testing;
mod tls;
pub mod token;
mod transport;
pub mod wire;

pub use admit::Admission;
pub use callers::allowed;
pub use channel::{Channel, ChannelError, Dial, DialError, Method, Protocol, Serve};
pub use endpoint::{Endpoint, EndpointConfig, EndpointError};
pub use gossip::{Gossip, GossipConfig};
pub use id::{Caller, NodeId, NodeIdError, Role};
pub use identity::{Identity, IdentityError};
pub use join::{JoinError, join};
pub use key::{KeyError, KeyFingerprint, KeyPairP256};
pub use overlay::{Overlay, OverlayConfig, OverlayError, OverlayPeer, PathState};
pub use peers::{Peer, PeerTable, Peers, Refused, Removed};
pub use pipe::{AcceptStream, PipeListener, PipeServer, PipeStream};
pub use pod::{Attachment, PodNetwork, PodNetworkConfig, PodNetworkError};
pub use token::{Token, TokenError, TokenHash, TokenId, TokenSecret};
pub use transport::{BindError, bind};
