//! What lies between a node's two processes: the control process feeds, the data plane does, and goes on alone.
//!
//! Frames are in [`wire`], the socket they cross in [`socket`], what the data plane remembers in [`kept`], and which nodes it takes
//! for dead in [`reach`]. The process itself is built in `actors`.

pub mod kept;
pub mod reach;
pub mod socket;
pub mod wire;

pub use kept::{Kept, KeptFile};
pub use reach::Reach;
pub use socket::{DataplaneListener, Link, LinkError, connect};
pub use wire::{NodeFacts, ObjectKind, Order, PeerFacts, Report, Status};
