//! Services in the kernel: from Services and EndpointSlices to one nftables table, change by change.
//!
//! [`Table`] is pure: it holds what is wanted and returns each change as a [`Batch`]. [`Proxy`] has [`Nft`] carry them out. Choice of
//! endpoints: [`choose`]. A front (address, protocol, port) costs one element that names the chain and one
//! per endpoint; a change of one Service touches its own elements only, and a packet costs one lookup.
//!
//! IPv6 clients stick by a hash of their address, not for a time. Left out: `externalIPs` (off by default), `healthCheckNodePort`, `loadBalancerSourceRanges`, ports of loopback addresses.

mod batch;
mod chain;
pub mod choose;
pub mod conntrack;
pub mod front;
mod listing;
pub mod nft;
pub mod objects;
mod program;
mod proxy;
mod skeleton;
mod table;
#[cfg(test)]
mod tests;
pub mod ways;

pub use batch::{Batch, Withdrawn};
pub use choose::Surroundings;
pub use front::{Family, Front};
pub use nft::{Installed, Nft, NftError};
pub use objects::{ObjectKey, Protocol, Service, Slice, Unreadable};
pub use proxy::Proxy;
pub use skeleton::Facts;
pub use table::Table;
