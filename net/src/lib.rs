//! How nodes reach each other: identity, encrypted endpoints, who may call what, gossip, pass-through.
//!
//! Everything between nodes is QUIC with mutual TLS. Other crates see only [`Channel`], [`Dial`] and [`Serve`],
//! which a simulation implements as well; quinn and chitchat are named nowhere else.

pub mod channel;
pub mod id;

pub use channel::{Channel, ChannelError, Dial, DialError, Method, Protocol, Serve};
pub use id::{Caller, NodeId, Role};
