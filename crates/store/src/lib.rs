//! What is true: a replicated map of opaque records, changed only by [`State::apply`].
//!
//! Knows no Kubernetes: keys are strings, bodies are bytes, selectors are pairs. It reads no clock, draws no
//! random number and does no I/O, so two nodes (and two binary versions) that apply the same commands hold the
//! same state. The design is in ARCHITECTURE.md, "Store".

pub mod command;
pub mod record;
pub mod storage;

pub use command::{Command, Guard, Op, Outcome, Refusal, RequestId};
pub use record::{Body, Event, Key, Pairs, Record, Revision};
pub use storage::{Freshness, ReadError, Scope, Storage, Watch, WatchError, WriteError};

/// A snapshot of the whole state at one revision; cheap to hold and to clone.
#[derive(Clone, Debug)]
pub struct View {}
