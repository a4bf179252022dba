//! Whole clusters on one thread, in virtual time, made of nothing but a seed: real store, consensus and log over a
//! simulated network and simulated disks.
//!
//! [`run`] does one: chaos, then heal, then everything is looked at. What must hold is in `tests/`, one file per
//! invariant. A failure prints its seed; `SIM_SEED=<seed> cargo nextest run -p sim` draws the same faults and requests
//! again. Known gap: the interleaving within a run is not yet the same to the last message.

pub mod client;
pub mod disk;
pub mod history;
pub mod judge;
pub mod linearizable;
pub mod network;
pub mod plan;
pub mod watcher;
pub mod world;

pub use plan::Plan;
pub use world::{Report, run, seeds};
