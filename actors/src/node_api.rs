//! How a node reads and writes the API as itself: in process where it serves the API, else asking a voter over
//! `mesh/rpc/1`. Main types: [`Api`], which asks once, and [`Mirror`], which keeps a collection equal to the cluster's.
//!
//! A voter answers as the user of the *calling member*, by its proven key: no node can speak as another.
//! Which of them it may read is decided by the API's own authorization (node authorizer, NodeRestriction, RBAC).

pub mod api;
pub mod backend;
pub mod mirror;
pub mod server;
pub mod wire;

pub use api::Api;
pub use backend::{Backend, Members};
pub use mirror::{Changes, Key, Mirror};
pub use server::Server;
pub use wire::{Call, Face, News};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
