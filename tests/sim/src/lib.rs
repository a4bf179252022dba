//! Whole clusters on one thread, in virtual time, made of nothing but a seed: real store, consensus and log over a
//! simulated network and simulated disks.
//!
//! [`run`] does one: chaos, then heal, then everything is looked at. What must hold is in
//! [`invariants`], a file each. Each run has a process of its own, the binary `sim`, in which all randomness is fixed: `sim <seed>` is the
//! same run to the last message, every time (`tests/replay.rs`). A failure prints its seed.

mod chaos;
pub mod child;
pub mod client;
pub mod deciders;
pub mod disk;
pub mod fault;
pub mod flaw;
pub mod history;
mod hosts;
pub mod invariants;
mod life;
pub mod linearizable;
pub mod network;
pub mod plan;
pub mod recovery;
mod report;
mod stream;
pub mod trace;
pub mod watcher;
pub mod weather;
mod wire;
pub mod world;

pub use plan::{Plan, seeds};
pub use report::Report;
pub use world::run;
